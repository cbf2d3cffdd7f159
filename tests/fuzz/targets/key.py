"""The key of an upload, as its event encodes it, up to the check that stands under its bin."""

from inventory.bins import Bin, locate
from inventory.checks import Check, identity
from inventory.errors import RejectedUpload
from inventory.uploads import UnreadableEvent, read_notification
from tests.fuzz.leaving import leave

MEMORY_MB = 512
TOKENS = (
    *(
        b"../",
        b"..",
        b"%2e%2e%2f",
        b"%252e",
        b"%00",
        b"\0",
        b"\n",
        b"%0a",
        b"+",
        b"%",
        b"%ff",
        b"%c3%28",
        b"//",
        b"\\",
        b" ",
    ),
    *(
        b"bin-images/",
        b"metadata/",
        b".jpg",
        b".JSON",
        b".png",
        "\u202e".encode(),
        "漢".encode(),
        b"\xed\xa0\x80",
        b"\x1b[31m",
    ),
)


def feed(data: bytes) -> str:
    stored = {"key": data.decode(errors="surrogateescape"), "eTag": "0" * 32}
    try:
        uploads = read_notification({"Records": [{"s3": {"bucket": {"name": "inbox"}, "object": stored}}]})
    except UnreadableEvent:
        return "UnreadableEvent"
    if not uploads:
        return "folder"
    address = f"s3://inbox/{uploads[0].key}"
    try:
        bin, part = locate(uploads[0].key)
    except RejectedUpload as rejection:
        bin, reason = Bin(site="", id=uploads[0].key), str(rejection)
        leave(Check(bin.name, bin.site, identity("0" * 32, None), "rejected", NOW, image=address, reason=reason))
        return "RejectedUpload"
    assert all(locate(key) == (bin, part) for key in bin.keys(part))
    folder, _, name = uploads[0].key.rpartition("/")
    assert bin.id
    assert (bin.site, bin.id) == (folder.rpartition("/")[0], name.rpartition(".")[0])
    leave(Check(bin.name, bin.site, identity("0" * 32, "0" * 32), "mismatch", NOW, image=address))
    return part


NOW = "2026-03-01T12:00:00.000+00:00"
