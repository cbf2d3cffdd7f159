"""The kept corpus: what each target is fed first, and mutated from. Run as a program it writes the seeds that we make.

Other files of the corpus are inputs that once broke something; they stay.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from local.stack.backfill import message
from tests.builders import (
    LABELS,
    PRIOR,
    eventbridge_event,
    item,
    metadata,
    metadata_of,
    notification,
    prediction,
    sns_message,
    upload,
)
from tests.fuzz.mutation import sealed

CORPUS = Path(__file__).parent / "corpus"
KEYS = {
    "image": "BOS1/bin-images/523.jpg",
    "metadata": "metadata/00523.json",
    "plus": "a+b%2Bc/bin-images/50%2525+%C3%A9.PNG",
    "dots": "bin-images/../metadata/..json",
    "encoded-dots": "bin-images/%2e%2e%2f%2e%2e%2fmetadata/1.json",
    "twice-encoded": "bin-images%252F1.jpg",
    "nul": "bin-images/1%00.jpg",
    "newline": "bin-images/1%0A.jpg",
    "controls": "%1b%5b31m/%07/bin-images/1.jpg",
    "unicode": "K\u00f6ln/\u6f22/bin-images/\U0001f4e6\u202e.jpg",
    "no-utf-8": "bin-images/%ff%c3%28.jpg",
    "no-id": "bin-images/.jpg",
    "spaces": "bin-images/ 1 .jpg ",
    "longest": "bin-images/" + "x" * 1009 + ".jpg",
    "longer": "bin-images/" + "x" * 1010 + ".jpg",
    "stray": "notes/read me.txt",
    "folder": "bin-images/",
    "markup": "%5B/x%5D/bin-images/%5Bred%5D.jpg",
    "formula": "bin-images/%3D1%2B1.JPG",
    "decomposed": "S%C3%BCd/metadata/Su%CC%88d.JSON",
    "longer-composed": "bin-images/" + "%E0%A5%98" * 300 + ".jpg",
    "url": "bin-images/a%23b%3Fc%3Dd%25.jpeg",
    "bidi": "bin-images/%E2%80%AEgpj.%C2%9B2J.png",
}

LIST = 'id,expected_quantity,split\r\n00523,2,train\r\n523,3,\r\n"S\u00fcd 1",10,val\r\n'


def seeds(target: str) -> list[bytes]:
    """The corpus of a target, in the order of its names."""
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def _answer(count: int, **more: object) -> bytes:
    shares = prediction(count).probabilities
    answer = {"count": count, "labels": LABELS, "probabilities": shares, "prior": PRIOR, "model": "test@0"}
    return json.dumps(answer | more).encode()


def _saved(image: Image.Image, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _images() -> dict[str, bytes]:
    small = Image.effect_noise((6, 4), 120).resize((48, 32), Image.Resampling.BICUBIC).convert("RGB")
    deep = Image.fromarray(np.asarray(small.convert("L"), np.uint16) * 257)
    grey, other = small.convert("L"), small.transpose(Image.Transpose.ROTATE_180)
    exif = small.getexif()
    exif[0x0112], exif[0x010E] = 6, "a bin"
    told = PngImagePlugin.PngInfo()
    told.add_text("Comment", "a bin " * 20, zip=True)
    told.add_itxt("Title", "a bin", "en", "Title", zip=True)
    clear = small.quantize(8)
    clear.info["transparency"] = 3
    return {
        "baseline.jpg": _saved(small, "JPEG", quality=60),
        "progressive.jpg": _saved(small, "JPEG", progressive=True, quality=60),
        "grey.jpg": _saved(grey, "JPEG", restart_marker_blocks=1),
        "cmyk.jpg": _saved(small.convert("CMYK"), "JPEG"),
        "nonsense.jpg": _with_nonsense(_saved(small, "JPEG", quality=60)),
        "rotated.jpg": _saved(small, "JPEG", exif=exif, icc_profile=b"no profile" * 9, comment=b"a bin"),
        "two.jpg": _saved(small, "MPO", save_all=True, append_images=[other]),
        "plain.png": _saved(small, "PNG"),
        "grey-16.png": _saved(deep, "PNG"),
        "bilevel.png": _saved(grey.convert("1"), "PNG"),
        "palette.png": _saved(clear, "PNG"),
        "transparent.png": _saved(
            small.convert("RGBA"), "PNG", pnginfo=told, exif=exif, icc_profile=b"none" * 9, dpi=(72, 72)
        ),
        "animated.png": _saved(small, "PNG", save_all=True, append_images=[other]),
        "animated-gif.png": _saved(small, "GIF", save_all=True, append_images=[other]),
        "animated-webp.png": _saved(small, "WEBP", save_all=True, append_images=[other]),
        "no-width.png": b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 0, 9, 8, 2, 0, 0, 0))
        + chunk(b"IEND", b""),
    }


def _with_nonsense(jpeg: bytes) -> bytes:
    """EXIF data that turns the image, and has no sense in its other tags and directories."""
    entries = [(0x0112, 3, 1, 6), (0x8769, 4, 1, 26), (0x8825, 4, 1, 26), (0x011A, 5, 0xFFFF, 0xFFFFFFF0)]
    entries += [(tag, kind, 0xFFFFFFFF, tag) for kind, tag in enumerate((0, 0x0100, 0x0201, 0x927C, 0xEA1C, 0xFFFF))]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries) + struct.pack("<I", 8)
    exif = b"Exif\0\0" + struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + directory
    return jpeg[:2] + struct.pack(">BBH", 0xFF, 0xE1, len(exif) + 2) + exif + jpeg[2:]


def _refused() -> dict[str, bytes]:
    """Images that lost a part, or show nothing."""
    scene = Image.effect_noise((12, 9), 120).resize((96, 72), Image.Resampling.BICUBIC).convert("RGB")
    cut = scene.copy()
    cut.paste((128, 128, 128), (0, 32, 96, 72))
    plain, noise = Image.new("RGB", (96, 72), (90, 120, 60)), Image.effect_noise((640, 480), 9).convert("RGB")
    whole, png = _saved(scene, "JPEG", quality=60), _saved(scene, "PNG")
    scans = _saved(scene, "JPEG", progressive=True, quality=60)
    frame = whole.index(b"\xff\xc0")
    restarts = _saved(scene, "JPEG", restart_marker_blocks=2)
    half = (whole.index(b"\xff\xda") + len(whole)) // 2
    return {
        "cut.jpg": whole[:half],
        "cut-and-ended.jpg": whole[:half] + b"\xff\xd9",
        "two-frames.jpg": whole[:frame] + whole[frame : frame + 19] + whole[frame:],
        "two-headers.png": png[:-12] + png[8:],
        "hole.jpg": whole[:half] + whole[half + 200 :],
        "repeated.jpg": whole[:half] + whole[half - 200 :],
        "no-restart.jpg": restarts[: restarts.index(b"\xff\xd2")] + restarts[restarts.index(b"\xff\xd3") :],
        "zeros.jpg": whole[:half] + bytes(len(whole) - half),
        "no-last-scan.jpg": scans[: scans.rindex(b"\xff\xda")] + b"\xff\xd9",
        "cut.png": png[: len(png) // 2],
        "zeros.png": sealed(png[: len(png) // 2] + bytes(len(png) // 2 - 12) + png[-12:]),
        "flat-end.png": _saved(cut, "PNG"),
        "one-colour.jpg": _saved(plain, "JPEG"),
        "one-colour.png": _saved(plain, "PNG"),
        "gradient.png": _saved(Image.linear_gradient("L"), "PNG"),
        "noise.jpg": _saved(noise, "JPEG", quality=5),
    }


def _made() -> dict[str, dict[str, bytes]]:
    images = _images() | {f"refused-{name}": data for name, data in _refused().items()}
    event = notification(upload("BOS1/bin-images/523.jpg", b"x", 7), upload("BOS1/metadata/523.json", b"y", 8))
    event["Records"][1]["s3"]["object"]["versionId"] = "3HL4kqtJlcpXroDTDmJ"
    lone = upload("S\u00fcd +/bin-images/[x].JPG", b"z", 10)
    removed = notification(upload("BOS1/metadata/523.json", b"", 9), name="ObjectRemoved:Delete")
    call = b"POST /invocations\nhost: localhost:8080\ncontent-type: image/%s\ncontent-length: %d\n\n%s"
    return {
        "event": {
            "uploads.json": json.dumps(event).encode(),
            "removed.json": json.dumps(removed).encode(),
            "eventbridge.json": json.dumps(eventbridge_event(upload("BOS1/metadata/523.json", b"y", 8))).encode(),
            "sns.json": json.dumps(sns_message(event)).encode(),
            "sns-of-eventbridge.json": json.dumps(sns_message(eventbridge_event(lone, "Object Deleted"))).encode(),
            "sns-that-invokes.json": json.dumps({"Records": [{"Sns": sns_message(event)}]}).encode(),
            "subscription.json": json.dumps(sns_message(event, "SubscriptionConfirmation")).encode(),
            "backfill.json": message(lone, recheck=True).encode(),
            "other.json": json.dumps(notification(lone, name="ObjectTagging:Put")).encode(),
            "test.json": b'{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inbox"}',
        },
        "key": {name: key.encode() for name, key in KEYS.items()},
        "record": {
            "plain.json": metadata(3),
            "sizes.json": metadata_of(3, item(2, 1, 2, 3.5), item(1, 2.54, 2.54, 25.4, unit="CM")),
            "marked.json": b"\xef\xbb\xbf" + metadata(0),
            "utf-16.json": metadata(3).decode().encode("utf-16"),
            "twice.json": b'{"EXPECTED_QUANTITY": 5, "BIN_FCSKU_DATA": {}, "EXPECTED_QUANTITY": 2}',
            "float.json": b'{"EXPECTED_QUANTITY": 3.0}',
            "huge.json": metadata(10**30),
            "infinite.json": b'{"EXPECTED_QUANTITY": 1e999}',
            "quoted.json": metadata("4"),
        },
        "labels": {
            "plain.csv": LIST.encode(),
            "marked.csv": b"\xef\xbb\xbf" + LIST.encode(),
            "utf-16.csv": LIST.replace(",", "\t").encode("utf-16"),
            "semicolons.csv": ("sep=;\n" + LIST.replace(",", ";").replace("2\r", "2,0\r")).encode("cp1252"),
            "texts.csv": LIST.replace("00523", '"=""00523"""').replace("523,", "'523,").encode(),
            "empty-rows.csv": (LIST + ",,\r\n,,\r\n").encode(),
            "workbook.xlsx": b"PK\x03\x04\x14\0\x06\0",
        },
        "answer": {
            "plain.json": _answer(2),
            "volume.json": _answer(6, volume_in3=321.5, volume_error=0.5),
            "huge.json": _answer(6, volume_in3=1e308, volume_error=5e-324),
            "hostile.json": json.dumps({"reason": "\x1b[2J\n[/x]\ud800" * 9}).encode(),
            "other-words.json": b'{"message": "Service Unavailable"}',
            "refusal.json": b'{"reason": "the JPEG ends too early"}',
        },
        "image": images,
        "endpoint": {
            "ping": b"GET /ping\nhost: localhost:8080\n\n",
            "hang-up": b"POST /invocations\ncontent-type: image/png\nhang-up: yes\n\n" + images["plain.png"],
            **{
                name: call % (name[-3:].encode().replace(b"jpg", b"jpeg"), len(data), data)
                for name, data in images.items()
            },
        },
    }


def main() -> None:
    for target, made in _made().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in made.items():
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
