"""The values that checking is about: a check, what is known of a bin, an alert. No AWS, no rules."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from inventory.bins import Bin, Part, StrayKey, Subject

Status = Literal["match", "mismatch", "waiting", "rejected"]
Kind = Literal["mismatch", "rejected", "unpaired", "resolved"]
OpenList = Literal["mismatch", "rejected", "waiting", "unpaired", "reviewed", "unclear"]
FindingKind = Literal["count", "unclear", "withdrawn"]


@dataclass(frozen=True)
class StoredObject:
    """An object in S3, as it lay there when it was looked at."""

    bucket: str
    key: str
    version: str

    @property
    def address(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def bucket_and_key(address: str) -> tuple[str, str]:
    """What an `s3://` address names. A key may hold any character, so an address is no URL to parse."""
    bucket, _, key = address.removeprefix("s3://").partition("/")
    return bucket, key


@dataclass(frozen=True)
class Check:
    """One look at one bin.

    `bin` names the bin; where `stray` is set it is a key that has no place in the inbox. `check` is its identity within
    the bin. `expected`, `predicted` and `difference` are object counts, `suspicion` and the `probabilities` (by label)
    lie between 0 and 1, `expected_volume_in3` and `predicted_volume_in3` are the cubic inches of objects that are
    recorded and seen, `image` and `metadata` are s3:// addresses, and times are ISO 8601 in UTC. `alerted_at` is when
    its alert was put into the outbox. `repeats` is the `check_id` of an earlier check whose alert said the same,
    `resolves` describes the alert that an agreeing check closes. `actual` is how many objects a person found; None in
    spite of `reviewed_at` where the image does not show how many. What a status does not know is None.
    """

    bin: str
    site: str
    check: str
    status: Status
    checked_at: str
    expected: int | None = None
    predicted: int | None = None
    difference: int | None = None
    direction: str | None = None
    suspicion: float | None = None
    severity: str | None = None
    probabilities: Mapping[str, float] | None = None
    expected_volume_in3: float | None = None
    predicted_volume_in3: float | None = None
    image: str | None = None
    metadata: str | None = None
    model: str | None = None
    reason: str | None = None
    alerted_at: str | None = None
    repeats: str | None = None
    resolves: Mapping[str, Any] | None = None
    actual: int | None = None
    reviewed_at: str | None = None
    stray: bool = False

    @property
    def subject(self) -> Subject:
        return StrayKey(self.bin) if self.stray else Bin.named(self.bin)

    @property
    def check_id(self) -> str:
        """Names this check everywhere, the same however often it is made (32 hexadecimal digits)."""
        return _digest(self.subject.partition, self.check)

    @property
    def open_list(self) -> OpenList | None:
        """The list that this check stands on while it speaks for its bin."""
        if self.reviewed_at:
            return "unclear" if self.actual is None else "reviewed"
        if self.status == "waiting":
            return "unpaired" if self.alerted_at else "waiting"
        return None if self.status == "match" else self.status


@dataclass(frozen=True)
class Finding:
    """One review of the check with the identity `check`: `actual` objects are in the image ("count"), the image does
    not show how many ("unclear"), or the review before is taken back ("withdrawn"). `revision` orders the findings of a
    bin, `reviewer` is a name, `note` free text."""

    check: str
    kind: FindingKind
    actual: int | None
    reviewed_at: str
    revision: int
    reviewer: str = ""
    note: str = ""


@dataclass(frozen=True)
class KnownUpload:
    """What is known under one key of a bin: the version that was seen or told of last, the greatest sequencer of its
    events, and whether a check of that version is recorded."""

    version: str
    sequencer: str = ""
    recorded: bool = False


@dataclass(frozen=True)
class LonePart:
    """The part of a bin that waits for its partner: since when (ISO 8601, UTC), as it lay there last, and whether
    people were told that the partner never came (`overdue_at`)."""

    part: Part
    stored: StoredObject
    since: str
    overdue_at: str | None = None


@dataclass(frozen=True)
class CurrentCheck:
    """The check that speaks for a bin: its identity, and whether a person has reviewed it."""

    check: str
    status: Status
    reviewed: bool = False


@dataclass(frozen=True)
class LastAlert:
    """What people were told of a bin last, and have not been told the end of.

    `check_id` is the check that it was told of. `actual` is what a person found since (None without a review), and
    `expected` what the record said of it. `max_severity` and `max_suspicion` are the greatest that people were told
    since they knew of nothing.
    """

    kind: Kind
    check_id: str
    predicted: int | None = None
    expected: int | None = None
    difference: int | None = None
    direction: str | None = None
    suspicion: float | None = None
    severity: str | None = None
    reason: str | None = None
    actual: int | None = None
    max_severity: str | None = None
    max_suspicion: float | None = None

    @classmethod
    def of(cls, check: Check) -> "LastAlert":
        """What the alert of a check that does not agree says."""
        names = ("predicted", "expected", "difference", "direction", "suspicion", "severity", "reason")
        kind: Kind = "unpaired" if check.status == "waiting" else check.status  # type: ignore[assignment]
        return cls(kind, check.check_id, **{name: getattr(check, name) for name in names})


@dataclass(frozen=True)
class BinState:
    """All of a bin that a decision needs. `revision` grows with every write; 0 where nothing is known."""

    bin: Subject
    revision: int = 0
    uploads: Mapping[str, KnownUpload] = field(default_factory=dict)
    lone: LonePart | None = None
    current: CurrentCheck | None = None
    last_alert: LastAlert | None = None


@dataclass(frozen=True)
class Alert:
    """Something to tell people: a check as it was when that was decided. `revision` is the state's that decided it, so
    that the alerts of a bin have an order."""

    kind: Kind
    check: Check
    revision: int

    @property
    def alert_id(self) -> str:
        """Names this alert everywhere, however often it is sent (32 hexadecimal digits)."""
        return _digest(self.check.subject.partition, self.check.check, str(self.revision))


def contents_of(image: StoredObject | None, metadata: StoredObject | None) -> str:
    """What makes a check of a bin this one and no other; a part that has not come is a dash."""
    return f"{image.version if image else '-'}/{metadata.version if metadata else '-'}"


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds; such strings sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def waiting_check(bin: Subject, lone: LonePart) -> Check:
    """A lone part in the form of a check."""
    image = lone.stored if lone.part == "image" else None
    metadata = lone.stored if lone.part == "metadata" else None
    return Check(
        bin=bin.name,
        site=bin.site,
        check=contents_of(image, metadata),
        status="waiting",
        checked_at=lone.since,
        severity="medium",
        image=image.address if image else None,
        metadata=metadata.address if metadata else None,
        alerted_at=lone.overdue_at,
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
