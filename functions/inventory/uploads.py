"""S3 event notifications, bare or inside SQS messages, become uploads."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

SEQUENCER_DIGITS = 64
KEY_LIMIT_BYTES = 1024
"""Longest key that S3 takes."""
NO_VERSION = "null"
"""What S3 calls the version of an object that was put while its bucket kept none."""
VERSION_LIMIT_BYTES = 511
"""Two versions and a slash are a sort key of DynamoDB, which takes 1,024 bytes; S3 makes them of 32."""


class UnreadableEvent(Exception):
    """The event is no S3 notification, so there is no bin to record it under; it ends in the dead letters."""


@dataclass(frozen=True)
class Upload:
    """One object that was put in the inbox, as its event describes it.

    `version` is what `version_of` says. `sequencer` orders uploads of one key: the hexadecimal number of the event,
    padded so that strings compare as S3 documents it. `recheck` asks for an answer of the model in service now, also
    where another one has answered.
    """

    bucket: str
    key: str
    version: str
    sequencer: str
    recheck: bool = False


def version_of(version_id: str | None, etag: str) -> str:
    """Names the content of an object: its VersionId where the bucket keeps versions, else its ETag."""
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

    There are none in the s3:TestEvent that S3 sends when it is set up, and the empty objects that stand for folders
    (keys that end in a slash) are no uploads.

    Raises:
        UnreadableEvent: the event is something else, or lacks a part.
    """
    if not isinstance(event, Mapping):
        raise UnreadableEvent(f"expected an S3 notification, got {type(event).__name__}")
    if event.get("Event") == "s3:TestEvent":
        return []
    try:
        if not isinstance(event["Records"], list):
            raise TypeError("Records is no list")
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
        raise ValueError(f"{bucket[:80]!r} is no bucket's name")
    if not re.fullmatch(rf"[0-9A-Fa-f]{{0,{SEQUENCER_DIGITS}}}", sequencer):
        raise ValueError(f"{sequencer[:80]!r} is no sequencer")
    version = version_of(stored.get("versionId"), stored["eTag"])
    if "/" in version:  # the checks table names a check by two versions and a slash
        raise ValueError(f"{version[:80]!r} is no version")
    return Upload(
        bucket=bucket,
        key=_within(KEY_LIMIT_BYTES, unquote_plus(stored["key"])),
        version=_within(VERSION_LIMIT_BYTES, version),
        sequencer=sequencer.upper().ljust(SEQUENCER_DIGITS, "0"),
        recheck=record.get("bincheck", {}).get("recheck") is True,
    )


def _within(limit_bytes: int, text: str) -> str:
    """The text, if S3 can have said it: UTF-8 (JSON can also tell half a character), not empty, and not too long."""
    if not 0 < len(text.encode()) <= limit_bytes:
        raise ValueError(f"{text[:80]!r} has {len(text):,} characters: 1 to {limit_bytes:,} bytes are possible")
    return text
