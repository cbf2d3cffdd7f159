"""Reads uploads from S3 event notifications, bare or inside SQS messages. Pure code."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

SEQUENCER_DIGITS = 64
KEY_LIMIT_BYTES = 1024
"""The longest key that S3 accepts."""
NO_VERSION = "null"
"""S3's version id of an object that was put while the bucket kept no versions."""
VERSION_LIMIT_BYTES = 511
"""Two versions and a slash are a sort key of DynamoDB, whose limit is 1,024 bytes. S3's own versions have 32."""


class UnreadableEvent(Exception):
    """The event is not an S3 notification. It names no bin to record, so its message ends in the dead-letter queue."""


@dataclass(frozen=True)
class Upload:
    """One object that was put in the inbox, as its event describes it.

    `version` comes from `version_of`. `sequencer` orders the uploads of one key: it is the event's hexadecimal number,
    padded on the right, so that strings compare in S3's documented order. `recheck` requests an answer of the model in
    service, even if another model has answered.
    """

    bucket: str
    key: str
    version: str
    sequencer: str
    recheck: bool = False


def version_of(version_id: str | None, etag: str) -> str:
    """The identity of an object's content: its VersionId if the bucket keeps versions, else its ETag."""
    return version_id if version_id and version_id != NO_VERSION else etag.strip('"')


def read_message(body: str) -> list[Upload]:
    """The uploads of one SQS message body.

    Raises:
        UnreadableEvent: the body is not JSON, or not an S3 notification.
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableEvent(f"the message is not JSON: {error}") from error
    return read_notification(event)


def read_notification(event: Any) -> list[Upload]:
    """The uploads that an S3 notification reports.

    S3's test event has none. Keys that end in a slash are empty objects that stand for folders: they are skipped.

    Raises:
        UnreadableEvent: the event is not an S3 notification, or lacks a field.
    """
    if not isinstance(event, Mapping):
        raise UnreadableEvent(f"expected an S3 notification, got {type(event).__name__}")
    if event.get("Event") == "s3:TestEvent":
        return []
    try:
        if not isinstance(event["Records"], list):
            raise TypeError("Records is not a list")
        uploads = [_upload(record) for record in event["Records"]]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableEvent(
            f"expected an S3 notification with Records[].s3.object.key and eTag: {type(error).__name__} {error}"
        ) from error
    return [upload for upload in uploads if not upload.key.endswith("/")]


def _upload(record: Mapping[str, Any]) -> Upload:
    s3 = record["s3"]
    stored = s3["object"]
    bucket, sequencer = s3["bucket"]["name"], stored.get("sequencer", "")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", bucket):
        raise ValueError(f"{bucket[:80]!r} is not a bucket name")
    if not re.fullmatch(rf"[0-9A-Fa-f]{{0,{SEQUENCER_DIGITS}}}", sequencer):
        raise ValueError(f"{sequencer[:80]!r} is not a sequencer")
    version = version_of(stored.get("versionId"), stored["eTag"])
    if "/" in version:  # a check's identity is two versions with a slash between them
        raise ValueError(f"{version[:80]!r} is not a version")
    return Upload(
        bucket=bucket,
        key=_within(KEY_LIMIT_BYTES, unquote_plus(stored["key"])),
        version=_within(VERSION_LIMIT_BYTES, version),
        sequencer=sequencer.upper().ljust(SEQUENCER_DIGITS, "0"),
        recheck=record.get("bincheck", {}).get("recheck") is True,
    )


def _within(limit_bytes: int, text: str) -> str:
    """The text, if S3 can have sent it. Raises ValueError if it is empty, too long, or no UTF-8 (a lone surrogate)."""
    if not 0 < len(text.encode()) <= limit_bytes:
        raise ValueError(f"{text[:80]!r} has {len(text):,} characters: it must have 1 to {limit_bytes:,} bytes")
    return text
