"""The body of a message in the inbox queue."""

from inventory.uploads import OtherEvent, Removal, UnreadableEvent, Upload, read_message

MEMORY_MB = 512
TOKENS = (
    b'"Records"',
    b'"eventName"',
    b'"ObjectRemoved:Delete"',
    b'"source":"aws.s3"',
    b'"detail-type"',
    b'"Object Created"',
    b'"detail"',
    b'"TopicArn"',
    b'"Message"',
    b'"Type":"Notification"',
    b'"Sns"',
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
        events = read_message(data.decode(errors="surrogateescape"))
    except UnreadableEvent as refusal:
        assert len(str(refusal)) < 1000
        return "UnreadableEvent"
    for event in events:
        assert isinstance(event, Upload | Removal | OtherEvent)
        if isinstance(event, OtherEvent):
            continue
        assert 0 < len(event.key.encode()) <= 1024
        assert event.bucket.isprintable()
        if isinstance(event, Upload):
            assert event.sequencer.isalnum()
            assert 0 < len(event.version.encode()) <= 511
    return type(events[0]).__name__ if events else "no event"
