"""Every kind of upload is either decoded as a person sees it or refused with a reason that names the cure."""

import io
import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from model.images import MAX_BYTES, MAX_PIXELS, MAX_SEGMENTS, RejectedImage, decode, resize


def encoded(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    width: int, height: int, pixels: bytes = b"\0" * 1000, *, depth: int = 8, colour: int = 2, further: bytes = b""
) -> bytes:
    """A PNG by its parts; `further` chunks stand between header and pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", header), further, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 255, marker, len(content) + 2) + content


def with_scans(count: int) -> bytes:
    """A progressive JPEG whose second scan comes again and again: 86 bytes for a pass over all pixels."""
    head, first, second, *_ = encoded(image_of(), "JPEG", progressive=True).split(b"\xff\xda")
    return b"\xff\xda".join([head, first, *[second] * count]) + b"\xff\xd9"


def image_of(mode: str = "RGB", colour: object = (200, 30, 30)) -> Image.Image:
    return Image.new(mode, (60, 40), colour)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not an image at all", "no JPEG or PNG"),
        (b"\xff\xd8\xff\xe0", "no JPEG or PNG|cannot be decoded"),
        (encoded(image_of(), "JPEG")[:300], "cannot be decoded.*upload it again"),
        (encoded(Image.effect_noise((300, 300), 90))[:4000], "cannot be decoded"),
        (encoded(image_of(), "GIF"), "no JPEG or PNG"),
        (encoded(image_of(), "GIF", save_all=True, append_images=[image_of(colour=(0, 0, 0))]), "no JPEG or PNG"),
        (encoded(image_of(), "WEBP", save_all=True, append_images=[image_of(colour=(0, 0, 0))]), "no JPEG or PNG"),
        (encoded(image_of(), "PNG", save_all=True, append_images=[image_of(colour=(0, 0, 0))]), "animated"),
        (png(0, 10), "cannot be decoded|no JPEG or PNG"),
    ],
    ids=[
        "empty",
        "text",
        "magic only",
        "cut jpeg",
        "cut png",
        "gif",
        "animated gif",
        "animated webp",
        "animated png",
        "no width",
    ],
)
def test_image_that_cannot_be_read_is_refused_with_the_cure(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedImage, match=reason) as refusal:
        decode(data)
    assert not refusal.value.too_large


@pytest.mark.parametrize("size", [(10_000, 10_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(RejectedImage, match="million") as refusal:
        decode(png(*size))
    assert refusal.value.too_large


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (with_scans(MAX_SEGMENTS + 1), "more than 500 scans"),
        (b"\xff\xd8" + segment(0xE1, b"Exif\0\0") * (MAX_SEGMENTS + 1), "more than 500 EXIF segments"),
        (png(9, 9, further=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))), "too large"),
        (png(9, 9, further=chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(50_000_000)))), "too large"),
        (png(9, 9, further=chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(50_000_000)))), "too large"),
        (png(9, 9, further=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000))) * 70), "Too much memory"),
    ],
    ids=["scans", "exif", "text", "international text", "profile", "many texts"],
)
def test_small_file_that_asks_for_much_work_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedImage, match=reason):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        with_scans(50),
        png(9, 9, bytes(50_000_000)),
        png(9, 9, further=chunk(b"eXIf", b"MM\0*" + b"\xff" * 50_000)),
        png(9, 9, further=chunk(b"prIV", b"") * 100_000),
        b"\xff\xd8"
        + segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\1\1\2\0\xff\xff\0\0\0\0\0\0" * 5_000)
        + encoded(image_of(), "JPEG")[2:],
    ],
    ids=["some scans", "pixels that never end", "exif of nonsense", "many chunks", "large directory"],
)
@pytest.mark.filterwarnings("ignore")
def test_what_costs_little_is_decoded_for_all_its_oddities(data: bytes) -> None:
    assert decode(data).size in {(9, 9), (60, 40)}


DECODE = "import sys; from model.images import decode; print(decode(sys.stdin.buffer.read()).size)"


def test_largest_image_is_decoded_in_half_a_gigabyte() -> None:
    side = int(MAX_PIXELS**0.5)
    data = png(side, side, bytes(side * (4 * side + 1)), colour=6)
    half = 512 << 20
    run = subprocess.run(
        [sys.executable, "-c", DECODE],
        input=data,
        capture_output=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (half, half)),
    )
    assert run.stdout.decode() == f"({side}, {side})\n", run.stderr.decode()


def test_upload_beyond_the_payload_limit_is_refused() -> None:
    with pytest.raises(RejectedImage, match="bytes") as refusal:
        decode(b"\xff" * (MAX_BYTES + 1))
    assert refusal.value.too_large


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (encoded(image_of("L", 100)), (100, 100, 100)),
        (encoded(image_of("I;16", 100 * 256)), (100, 100, 100)),
        (png(60, 40, (b"\0" + b"\xc8\7\x1e\7\x1e\7" * 60) * 40, depth=16), (200, 30, 30)),
        (encoded(image_of().quantize(4)), (200, 30, 30)),
        (encoded(image_of("RGBA", (200, 30, 30, 0))), (255, 255, 255)),
        (encoded(image_of("1", 1)), (255, 255, 255)),
        (encoded(image_of("CMYK", (0, 0, 0, 0)), "JPEG", quality=95), (255, 255, 255)),
        (encoded(image_of(), "JPEG", progressive=True, quality=95), (200, 30, 30)),
    ],
    ids=["grey", "16-bit grey", "16-bit", "palette", "transparent", "bilevel", "cmyk", "progressive"],
)
def test_every_mode_becomes_rgb(data: bytes, colour: tuple[int, int, int]) -> None:
    pixels = np.asarray(decode(data)).astype(int)
    assert pixels.shape == (40, 60, 3)
    assert np.abs(pixels[20, 30] - colour).max() <= 3


def test_orientation_of_the_camera_is_undone() -> None:
    image = image_of()
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    assert decode(encoded(image, "JPEG", exif=exif)).size == (40, 60)
    assert decode(encoded(image, "PNG", exif=exif)).size == (40, 60)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (640, 480)])
def test_squash_keeps_the_whole_image_whatever_its_aspect(size: tuple[int, int]) -> None:
    pixels = resize(Image.new("RGB", size, (9, 99, 199)), 224)
    assert pixels.shape == (224, 224, 3)
    assert (pixels == (9, 99, 199)).all()
