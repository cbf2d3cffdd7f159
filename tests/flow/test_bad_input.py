"""Whatever is uploaded ends as a check, or as a rejection that says what to do: never in silence, never for ever."""

import io
import struct
import zlib

import pytest
from PIL import Image


def bomb(side: int = 10_000) -> bytes:
    """A valid PNG of 100 megapixels in about 100 kB."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(side * (side + 1)), 1))
        + chunk(b"IEND", b"")
    )


def photograph(kind: str) -> bytes:
    image = io.BytesIO()
    Image.effect_noise((200, 150), 80).convert("RGB").save(image, kind)
    return image.getvalue()


BAD_IMAGES = {
    "truncated": (photograph("JPEG")[:-2000], ("truncated", "cut", "incomplete", "whole")),
    "text": (b"this is not an image", ("neither JPEG nor PNG",)),
    "bomb": (bomb(), ("megapixel", "pixels")),
    "empty": (b"", ("empty", "0 bytes", "neither JPEG nor PNG")),
    "too-large": (b"\xff\xd8\xff" + bytes(7_000_000), ("MB", "MiB", "bytes")),
}
BAD_METADATA = {
    "not-json": (b"EXPECTED_QUANTITY=3", "is not JSON"),
    "a-list": (b"[3]", "must be an object"),
    "lacking": (b'{"BIN_FCSKU_DATA": {}}', "lacks EXPECTED_QUANTITY"),
    "mistyped": (b'{"EXPECTED_QUANTITY": "three"}', "not a whole number"),
    "a-fraction": (b'{"EXPECTED_QUANTITY": 2.5}', "not a whole number"),
    "negative": (b'{"EXPECTED_QUANTITY": -1}', "must lie between 0 and"),
    "huge": (b'{"EXPECTED_QUANTITY": 1e400}', "not a whole number"),
    "a-googol": (b'{"EXPECTED_QUANTITY": 1' + b"0" * 100 + b"}", "must lie between 0 and"),
    "no-text": (b"\xff\xfe\x00\x01", "is not JSON"),
}


@pytest.fixture
def rejections(warehouse):
    """Upload what is given by id, pair it with something sound, and return the reasons of the rejections."""

    def rejections(uploads):
        for id, (image, metadata) in uploads.items():
            warehouse.photograph(id, warehouse.image_of(3) if image is None else image)
            warehouse.report(id, 3 if metadata is None else metadata)
        warehouse.settle()
        checks = {id: warehouse.checks(id) for id in uploads}
        assert {id: [check.status for check in made] for id, made in checks.items()} == {
            id: ["rejected"] for id in uploads
        }
        assert warehouse.alerts(len(uploads)) == sorted((id, "rejected") for id in uploads)
        assert warehouse.dead_letters == 0
        return {id: check.reason for id, (check,) in checks.items()}

    return rejections


def test_images_that_cannot_be_counted_are_rejected_with_a_cure(rejections):
    reasons = rejections({id: (image, None) for id, (image, _) in BAD_IMAGES.items()})
    for id, (_, hints) in BAD_IMAGES.items():
        assert any(hint in reasons[id] for hint in hints), f"{id}: {reasons[id]}"


def test_metadata_that_cannot_be_read_is_rejected_with_a_cure(rejections):
    reasons = rejections({id: (None, metadata) for id, (metadata, _) in BAD_METADATA.items()})
    for id, (_, hint) in BAD_METADATA.items():
        assert hint in reasons[id], f"{id}: {reasons[id]}"


def test_a_png_that_is_named_jpg_is_counted(warehouse):
    warehouse.photograph("7", warehouse.image_of(3, "PNG"))
    warehouse.report("7", 3)
    assert warehouse.check("7").status == "match"


@pytest.mark.parametrize("id", ["a b", "a+b", "Ä ö+ü %2B 漢", "{}&=?#"], ids=["space", "plus", "unicode", "signs"])
def test_names_of_any_characters_are_kept(warehouse, id):
    warehouse.photograph(id, warehouse.image_of(2))
    warehouse.report(id, 2)
    assert warehouse.check(id).status == "match"


def test_a_file_outside_the_layout_is_rejected_under_its_own_name(warehouse):
    warehouse.upload("photos/7.jpg", warehouse.image_of(3))
    warehouse.settle()
    (check,) = warehouse.stack.checks.list_by_name(f"{warehouse.site}/photos/7.jpg")
    assert check.status == "rejected"
    assert "bin-images/<id>.jpg" in check.reason


def test_an_upload_that_is_deleted_again_is_not_retried_for_ever(warehouse, impatient_queues):
    warehouse.photograph("7", warehouse.image_of(3))
    warehouse.stack.cloud.s3().delete_object(
        Bucket=warehouse.stack.inbox_bucket, Key=f"{warehouse.site}/bin-images/7.jpg"
    )
    assert warehouse.check("7").status in ("waiting", "rejected")
