"""The body of a message in the inbox queue."""

from inventory.uploads import UnreadableEvent, Upload, read_message

MEMORY_MB = 512
TOKENS = (
    b'"Records"',
    b'"s3"',
    b'"key"',
    b'"eTag"',
    b'"versionId"',
    b'"sequencer"',
    b"[",
    b"{",
    b'"',
    b"\\u0000",
    b"%00",
    b"%2e",
)


def feed(data: bytes) -> str:
    try:
        uploads = read_message(data.decode(errors="surrogateescape"))
    except UnreadableEvent as refusal:
        assert len(str(refusal)) < 1000
        return "UnreadableEvent"
    for upload in uploads:
        assert isinstance(upload, Upload)
        assert all(isinstance(text, str) and text.isprintable() for text in (upload.bucket, upload.sequencer))
        assert 0 < len(upload.key.encode()) <= 1024
        assert 0 < len(upload.version.encode()) <= 511
    return "uploads" if uploads else "no upload"
