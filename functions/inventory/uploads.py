"""Reads what S3 reports of the inbox, on every way that it takes: as a notification of S3 or an event of EventBridge,
bare or inside a message of SNS, each of them bare or in an SQS message. Pure code.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from inventory.bins import KEY_LIMIT_BYTES

SEQUENCER_DIGITS = 64
NO_VERSION = "null"
"""S3's version id of an object that was put while the bucket kept no versions."""
VERSION_LIMIT_BYTES = 511
"""Two versions and a slash are a sort key of DynamoDB, whose limit is 1,024 bytes. S3's own versions have 32."""
BACKFILL = "bincheck:backfill"
"""The source of the messages of `bincheck backfill`. They have the form of S3's notifications, without a name."""
_UPLOADED = re.compile(r"ObjectCreated:.*|ObjectRestore:Completed|Object Created|Object Restore Completed", re.DOTALL)
_REMOVED = re.compile(r"(ObjectRemoved|LifecycleExpiration):.*|Object Deleted", re.DOTALL)
_IN_NOTIFICATIONS = {"etag": "eTag", "version-id": "versionId"}
"""What the notifications of S3 call the fields of an event of EventBridge."""


class UnreadableEvent(Exception):
    """The event is not one of S3. It names no bin to record, so its message ends in the dead-letter queue."""


@dataclass(frozen=True)
class Upload:
    """One object that was put in the inbox, copied into it or restored from an archive, as its event describes it.

    `version` comes from `version_of`. `sequencer` orders the uploads of one key: it is the event's hexadecimal number,
    padded on the right, so that strings compare in S3's documented order. `recheck` requests an answer of the model in
    service, even if another model has answered.
    """

    bucket: str
    key: str
    version: str
    sequencer: str
    recheck: bool = False


@dataclass(frozen=True)
class Removal:
    """An object was deleted, expired, hidden by a delete marker, or lost one of its versions."""

    bucket: str
    key: str


@dataclass(frozen=True)
class OtherEvent:
    """An event that changes no content. `name` is S3's or EventBridge's name of it, `key` is empty if it has none."""

    name: str
    key: str


InboxEvent = Upload | Removal | OtherEvent


def version_of(version_id: str | None, etag: str) -> str:
    """The identity of an object's content: its VersionId if the bucket keeps versions, else its ETag."""
    return version_id if version_id and version_id != NO_VERSION else etag.strip('"')


def read_message(body: str) -> list[InboxEvent]:
    """The events of one SQS message body.

    Raises:
        UnreadableEvent: the body is not JSON, or `read_notification` cannot read it.
    """
    return read_notification(_json(body))


def read_notification(notification: Any) -> list[InboxEvent]:
    """The events that a notification reports.

    It is one of S3 or EventBridge, or of SNS with one of these as its message. S3's test event has no events. Keys that
    end in a slash are empty objects that stand for folders: they are skipped.

    Raises:
        UnreadableEvent: the notification is none of these, or lacks a field.
    """
    try:
        events = [event for told in _out_of_sns(notification) for event in _read(told)]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UnreadableEvent(
            "expected an S3 notification with Records[].s3.object.key and eTag, or an EventBridge event of S3: "
            f"{type(error).__name__} {error}"
        ) from error
    return [event for event in events if isinstance(event, OtherEvent) or not event.key.endswith("/")]


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableEvent(f"the message is not JSON: {error}") from error


def _out_of_sns(notification: Any) -> list[Any]:
    """The messages of SNS, as it puts them in a queue or hands them to a function; all else as it is."""
    if not isinstance(notification, Mapping):
        raise UnreadableEvent(f"expected an S3 notification, got {type(notification).__name__}")
    records = notification.get("Records")
    if isinstance(records, list) and any(isinstance(record, Mapping) and "Sns" in record for record in records):
        return [_message(record["Sns"]) for record in records]
    return [_message(notification) if "TopicArn" in notification else notification]


def _message(sns: Mapping[str, Any]) -> Any:
    if sns["Type"] != "Notification":
        raise UnreadableEvent(
            f"SNS sends a {str(sns['Type'])[:80]} for {str(sns['TopicArn'])[:300]}, not an event: a subscription has "
            "ended, or has to be confirmed with the SubscribeURL of this message"
        )
    return _json(sns["Message"])


def _read(told: Any) -> list[InboxEvent]:
    if not isinstance(told, Mapping):
        raise TypeError(f"{type(told).__name__} is not an object")
    if told.get("Event") == "s3:TestEvent":
        return []
    if told.get("source") == "aws.s3":
        return [_of_eventbridge(told)]
    if not isinstance(told["Records"], list):
        raise TypeError("Records is not a list")
    return [_of_s3(record) for record in told["Records"]]


def _of_s3(record: Mapping[str, Any]) -> InboxEvent:
    """The event of one record of S3's notifications. They encode keys as URLs do."""
    name = "ObjectCreated:Put" if record.get("eventSource") == BACKFILL else record["eventName"].removeprefix("s3:")
    s3 = record["s3"]
    stored = {**s3["object"], "key": unquote_plus(s3["object"]["key"])}
    return _event(name, s3["bucket"], stored, recheck=record.get("bincheck", {}).get("recheck") is True)


def _of_eventbridge(event: Mapping[str, Any]) -> InboxEvent:
    """The event of EventBridge in the words of S3's notifications. It holds keys as they are."""
    detail = event["detail"]
    stored = {_IN_NOTIFICATIONS.get(name, name): value for name, value in detail.get("object", {}).items()}
    return _event(event["detail-type"], detail.get("bucket", {}), stored)


def _event(name: str, bucket: Mapping[str, Any], stored: Mapping[str, Any], *, recheck: bool = False) -> InboxEvent:
    uploaded = _UPLOADED.fullmatch(name)
    if not uploaded and not _REMOVED.fullmatch(name):
        return OtherEvent(name, str(stored.get("key", "")))
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,255}", bucket["name"]):
        raise ValueError(f"{bucket['name'][:80]!r} is not a bucket name")
    key = _within(KEY_LIMIT_BYTES, stored["key"])
    if not uploaded:
        return Removal(bucket["name"], key)
    sequencer = stored.get("sequencer", "")
    if not re.fullmatch(rf"[0-9A-Fa-f]{{0,{SEQUENCER_DIGITS}}}", sequencer):
        raise ValueError(f"{sequencer[:80]!r} is not a sequencer")
    version = version_of(stored.get("versionId"), stored["eTag"])
    if "/" in version:  # a check's identity is two versions with a slash between them
        raise ValueError(f"{version[:80]!r} is not a version")
    return Upload(
        bucket=bucket["name"],
        key=key,
        version=_within(VERSION_LIMIT_BYTES, version),
        sequencer=sequencer.upper().ljust(SEQUENCER_DIGITS, "0"),
        recheck=recheck,
    )


def _within(limit_bytes: int, text: str) -> str:
    """The text, if S3 can have sent it. Raises ValueError if it is empty, too long, or no UTF-8 (a lone surrogate)."""
    if not 0 < len(text.encode()) <= limit_bytes:
        raise ValueError(f"{text[:80]!r} has {len(text):,} characters: it must have 1 to {limit_bytes:,} bytes")
    return text
