"""Every kind of upload is either decoded as a person sees it or refused with a reason that names the cure."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from model.pictures import MAX_BYTES, RejectedImage, decode, squash


def encoded(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def picture(mode: str = "RGB", colour: object = (200, 30, 30)) -> Image.Image:
    return Image.new(mode, (60, 40), colour)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not a picture at all", "no JPEG or PNG"),
        (b"\xff\xd8\xff\xe0", "no JPEG or PNG|cannot be decoded"),
        (encoded(picture(), "JPEG")[:300], "cannot be decoded.*upload it again"),
        (encoded(Image.effect_noise((300, 300), 90))[:4000], "cannot be decoded"),
        (encoded(picture(), "GIF"), "no JPEG or PNG"),
        (encoded(picture(), "PNG", save_all=True, append_images=[picture(colour=(0, 0, 0))]), "animated"),
        (png_header(0, 10), "cannot be decoded|no JPEG or PNG"),
    ],
    ids=["empty", "text", "magic only", "cut jpeg", "cut png", "gif", "animated png", "no width"],
)
def test_picture_that_cannot_be_read_is_refused_with_the_cure(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedImage, match=reason) as refusal:
        decode(data)
    assert not refusal.value.too_large


@pytest.mark.parametrize("size", [(10_000, 10_000), (20_000, 20_000), (2**31 - 1, 2**31 - 1)])
def test_bomb_is_refused_by_its_header(size: tuple[int, int]) -> None:
    with pytest.raises(RejectedImage, match="million") as refusal:
        decode(png_header(*size))
    assert refusal.value.too_large


def test_upload_beyond_the_payload_limit_is_refused() -> None:
    with pytest.raises(RejectedImage, match="bytes") as refusal:
        decode(b"\xff" * (MAX_BYTES + 1))
    assert refusal.value.too_large


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (encoded(picture("L", 100)), (100, 100, 100)),
        (encoded(picture("I;16", 100 * 256)), (100, 100, 100)),
        (encoded(picture().quantize(4)), (200, 30, 30)),
        (encoded(picture("RGBA", (200, 30, 30, 0))), (255, 255, 255)),
        (encoded(picture("1", 1)), (255, 255, 255)),
        (encoded(picture("CMYK", (0, 0, 0, 0)), "JPEG", quality=95), (255, 255, 255)),
        (encoded(picture(), "JPEG", progressive=True, quality=95), (200, 30, 30)),
    ],
    ids=["grey", "16-bit", "palette", "transparent", "bilevel", "cmyk", "progressive"],
)
def test_every_mode_becomes_rgb(data: bytes, colour: tuple[int, int, int]) -> None:
    pixels = np.asarray(decode(data)).astype(int)
    assert pixels.shape == (40, 60, 3)
    assert np.abs(pixels[20, 30] - colour).max() <= 3


def test_orientation_of_the_camera_is_undone() -> None:
    image = picture()
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    assert decode(encoded(image, "JPEG", exif=exif)).size == (40, 60)


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (640, 480)])
def test_squash_keeps_the_whole_picture_whatever_its_aspect(size: tuple[int, int]) -> None:
    pixels = squash(Image.new("RGB", size, (9, 99, 199)), 224)
    assert pixels.shape == (224, 224, 3)
    assert (pixels == (9, 99, 199)).all()
