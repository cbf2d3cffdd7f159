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

from model.exif import ORIENTATION, orientation
from model.images import MAX_BYTES, MAX_PIXELS, RejectedImage, decode, resize
from model.jpeg import MAX_SCANS


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
    head, first, second, *others = encoded(image_of(), "JPEG", progressive=True)[:-2].split(b"\xff\xda")
    return b"\xff\xda".join([head, first, *[second] * count, *others]) + b"\xff\xd9"


def with_frame(width: int, height: int) -> bytes:
    """A JPEG with another frame before its own."""
    data = encoded(scene(), "JPEG")
    place = data.index(b"\xff\xc0")
    return data[: place + 5] + struct.pack(">HH", height, width) + data[place + 9 : place + 19] + data[place:]


def scene(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Boxes of any colour, sharp and nowhere flat."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3), np.uint8)
    grain = np.random.default_rng(1).integers(0, 20, (size[1], size[0], 3), np.uint8)
    boxes = np.asarray(Image.fromarray(pixels // 2 + 60).resize(size, Image.Resampling.NEAREST))
    return Image.fromarray(boxes + grain)


def image_of(mode: str = "RGB", colour: object = (200, 30, 30)) -> Image.Image:
    """A plain colour at (30, 20), and the scene around it."""
    if mode == "I;16":
        deep = np.asarray(scene().convert("L"), np.uint16) * 256
        deep[12:28, 22:38] = colour
        return Image.fromarray(deep)
    image = scene().convert(mode)
    image.paste(colour, (22, 12, 38, 28))  # type: ignore[arg-type]
    return image


SCENE = b"".join(b"\0" + row.tobytes() for row in np.asarray(scene()))


def deep_png() -> bytes:
    pixels = (np.asarray(image_of(), np.uint16) << 8).astype(">u2")
    return png(60, 40, b"".join(b"\0" + row.tobytes() for row in pixels), depth=16)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not an image at all", "no JPEG or PNG"),
        (b"\xff\xd8\xff\xe0", "ends in its header: upload it again"),
        (encoded(image_of(), "JPEG")[:300], "upload it again"),
        (encoded(Image.effect_noise((300, 300), 90))[:4000], "upload it again"),
        (encoded(image_of(), "GIF"), "no JPEG or PNG"),
        (encoded(image_of(), "GIF", save_all=True, append_images=[image_of(colour=(0, 0, 0))]), "no JPEG or PNG"),
        (encoded(image_of(), "WEBP", save_all=True, append_images=[image_of(colour=(0, 0, 0))]), "no JPEG or PNG"),
        (encoded(image_of(), "PNG", save_all=True, append_images=[image_of(colour=(0, 0, 0))]), "animated"),
        (png(0, 10), "0x10 pixels"),
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
        (with_scans(MAX_SCANS + 1), "more than 500 scans"),
        (b"\xff\xd8" + segment(0xE1, b"Exif\0\0") * 1000, "ends before its pixels"),
        (with_frame(60_000, 60_000), "two frames"),
        (png(12_000, 12_000)[:-12] + png(60, 40, SCENE)[8:], "two headers"),
    ],
    ids=["scans", "exif", "frames", "headers"],
)
def test_small_file_that_asks_for_much_work_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(RejectedImage, match=reason):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        png(60, 40, SCENE + bytes(50_000_000)),
        png(60, 40, SCENE, further=chunk(b"eXIf", b"MM\0*" + b"\xff" * 50_000)),
        png(60, 40, SCENE, further=chunk(b"prIV", b"") * 100_000),
        png(60, 40, SCENE, further=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(50_000_000)))),
        png(60, 40, SCENE, further=chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(bytes(50_000_000)))),
        png(60, 40, SCENE, further=chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(50_000_000)))),
        png(60, 40, SCENE, further=chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000))) * 70),
        encoded(scene(), "JPEG")[:2] + segment(0xE1, b"Exif\0\0") * 1000 + encoded(scene(), "JPEG")[2:],
        b"\xff\xd8"
        + segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\1\1\2\0\xff\xff\0\0\0\0\0\0" * 5_000)
        + encoded(image_of(), "JPEG")[2:],
    ],
    ids=[
        "pixels that never end",
        "exif of nonsense",
        "many chunks",
        "text",
        "international text",
        "profile",
        "many texts",
        "many exif segments",
        "large directory",
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_costs_little_is_decoded_for_all_its_oddities(data: bytes) -> None:
    assert decode(data).size == (60, 40)


DECODE = "import sys; from model.images import decode; print(decode(sys.stdin.buffer.read()).size)"


def test_largest_image_is_decoded_in_half_a_gigabyte() -> None:
    side = int(MAX_PIXELS**0.5)
    stripes = np.random.default_rng(0).integers(0, 256, side // 64 + 1, np.uint8).repeat(4 * 64)
    data = png(side, side, (b"\0" + stripes[: 4 * side].tobytes()) * side, colour=6)
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
        (deep_png(), (200, 30, 30)),
        (encoded(image_of().quantize(128)), (200, 30, 30)),
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


def directories(order: str, kind: int, tags: range, placed: str) -> bytes:
    """EXIF data that turns the image by a quarter and has nonsense of one type under each of `tags` in a directory."""
    turned = struct.pack(f"{order}HHII", ORIENTATION, 3, 1, 6 if order == "<" else 6 << 16)
    pointer = {"exif": 0x8769, "gps": 0x8825, "interop": 0xA005}.get(placed)
    nonsense = b"".join(struct.pack(f"{order}HHII", tag, kind, 0xFFFF0000 | tag, 0xFFFFFFF0) for tag in tags)
    main = turned + (struct.pack(f"{order}HHII", pointer, 4, 1, 38) if pointer else b"") + b"\0" * 12 * (not pointer)
    if placed == "main":
        main, nonsense = nonsense + turned, b""
    following = 38 if placed == "next" else 0
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    first = struct.pack(f"{order}H", len(main) // 12) + main + struct.pack(f"{order}I", following)
    return head + first + struct.pack(f"{order}H", len(nonsense) // 12) + nonsense + bytes(4)


@pytest.mark.parametrize("placed", ["main", "exif", "gps", "interop", "next"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_whatever_exif_holds_only_the_orientation_is_read(order: str, placed: str) -> None:
    plain = encoded(scene(), "JPEG", quality=95)
    upright = np.asarray(decode(plain).transpose(Image.Transpose.ROTATE_270))
    for kind in [*range(15), 129, 0xFFFF]:
        for start in range(0, 0x10000, 5000):
            tags = range(start, min(start + 5000, 0x10000))
            tags = tags if placed != "main" or ORIENTATION not in tags else range(ORIENTATION + 1, tags.stop)
            exif = directories(order, kind, tags, placed)
            data = plain[:2] + segment(0xE1, b"Exif\0\0" + exif) + plain[2:]
            assert (np.asarray(decode(data)) == upright).all()


def test_a_senseless_orientation_turns_nothing() -> None:
    for order in "<>":
        for kind in range(0x100):
            for count in (0, 1, 2, 0xFFFFFFFF):
                for value in (0, 9, 0xFFFFFFFF):
                    entry = struct.pack(f"{order}HHIHHII", 1, ORIENTATION, kind, 0, 0, count, value)
                    assert (
                        orientation(struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8) + entry) == 1
                    )


WHOLE = {
    "baseline": encoded(scene((320, 240)), "JPEG"),
    "progressive": encoded(scene((320, 240)), "JPEG", progressive=True),
    "restarts": encoded(scene((320, 240)), "JPEG", restart_marker_blocks=5),
    "png": encoded(scene((320, 240))),
}
LOSSES = {
    "second half": lambda data, end: data[: len(data) // 2] + end,
    "block": lambda data, end: data[: len(data) // 2] + data[len(data) // 2 + 2048 :],
    "zeros": lambda data, end: data[: len(data) // 2] + bytes(2048) + data[len(data) // 2 + 2048 :],
    "end": lambda data, end: data[: len(data) * 9 // 10],
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", WHOLE)
def test_image_that_lost_a_part_is_refused(name: str, loss: str) -> None:
    data = WHOLE[name]
    decode(data)
    with pytest.raises(RejectedImage, match="upload it again"):
        decode(LOSSES[loss](data, data[-12:] if name == "png" else data[-2:]))


def test_each_scan_of_a_progressive_jpeg_is_needed() -> None:
    head, *scans = WHOLE["progressive"][:-2].split(b"\xff\xda")
    for lost in range(len(scans)):
        kept = [scan for number, scan in enumerate(scans) if number != lost]
        with pytest.raises(RejectedImage, match="upload it again"):
            decode(b"\xff\xda".join([head, *kept]) + b"\xff\xd9")


def test_end_of_one_colour_is_refused_after_it_was_saved_anew() -> None:
    image = scene((320, 240))
    image.paste((128, 128, 128), (0, 120, 320, 240))
    for kind in ("JPEG", "PNG"):
        with pytest.raises(RejectedImage, match="flat colour"):
            decode(encoded(image, kind))


def test_bytes_that_are_no_pixels_do_not_matter() -> None:
    data = WHOLE["baseline"]
    pixels = np.asarray(decode(data))
    start = data.index(b"\xff\xda")
    for other in (
        data[:2]
        + segment(0xE2, b"ICC_PROFILE\0\0\0" + b"x" * 99)
        + segment(0xED, b"Photoshop 3.0\0" + b"8BIM" * 9)
        + data[2:],
        data.replace(b"JFIF\0\1", b"JFIF\0\7", 1),
        data[:start] + b"gap" + data[start:],
        data[:-2],
        data[:-2] + bytes(7) + data[-2:],
        data + b"a video" * 999,
    ):
        assert (np.asarray(decode(other)) == pixels).all()


GRID = np.mgrid[0:1:480j, 0:1:640j]
EMPTY = {
    "black": GRID[0] * 0,
    "white": GRID[0] * 0 + 255,
    "one colour": GRID[0] * 0 + 90,
    "lens cap": np.random.default_rng(0).normal(6, 3, GRID[0].shape),
    "noise": np.random.default_rng(0).uniform(0, 255, GRID[0].shape),
    "gradient": GRID.sum(0) * 127,
    "radial gradient": np.hypot(*(GRID - 0.5)) * 350,
    "one pixel": np.zeros((1, 1)),
    "a strip": np.random.default_rng(0).uniform(0, 255, (31, 640)),
}


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("name", EMPTY)
def test_image_that_shows_nothing_is_refused(name: str, kind: str) -> None:
    with pytest.raises(RejectedImage, match=r"shows nothing|a side"):
        decode(encoded(Image.fromarray(EMPTY[name].clip(0, 255).astype(np.uint8)), kind))
