"""The key of an upload, as its event encodes it, up to the check that stands under its bin."""

from inventory.bins import Bin, StrayKey, composed, locate
from inventory.check import BinState, Check, StoredObject, contents_of
from inventory.decision import reject
from inventory.errors import RejectedUpload
from inventory.uploads import UnreadableEvent, read_notification
from tests.fuzz.leaving import MOMENT, NOW, PAIR, leave

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
        s3 = {"bucket": {"name": "inbox"}, "object": stored}
        uploads = read_notification({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]})
    except UnreadableEvent:
        return "UnreadableEvent"
    if not uploads:
        return "folder"
    (upload,) = uploads
    try:
        bin, part = locate(upload.key)
    except RejectedUpload as rejection:
        stray = StrayKey(upload.key)
        check = reject(BinState(stray), upload, str(rejection), MOMENT)
        assert check.subject == stray
        leave(check, None, None, upload)
        return "RejectedUpload"
    assert all(locate(key) == (bin, part) for key in bin.keys(part))
    folder, _, name = upload.key.rpartition("/")
    assert bin.id
    assert bin.name == composed(Bin(folder.rpartition("/")[0], name.rpartition(".")[0]).name)
    assert not bin.partition.endswith("/")
    here = StoredObject(upload.bucket, upload.key, upload.version)
    image, metadata = (here, PAIR[1]) if part == "image" else (PAIR[0], here)
    check = Check(bin.name, bin.site, contents_of(image, metadata), "mismatch", NOW, image=image.address)
    assert check.subject == bin
    leave(check, image, metadata, upload)
    return part
