"""The values that checking is about: a check, what is known of a bin, an alert. No AWS, no rules."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from inventory.addresses import S3Address
from inventory.bins import Bin, Part, StrayKey, Subject

Status = Literal["match", "mismatch", "waiting", "rejected"]
Kind = Literal["mismatch", "rejected", "unpaired", "resolved"]
OpenList = Literal["mismatch", "rejected", "waiting", "unpaired", "reviewed", "unclear"]
FindingKind = Literal["count", "unclear", "withdrawn"]


@dataclass(frozen=True)
class StoredObject:
    """An object in S3, as it was when it was read."""

    bucket: str
    key: str
    version: str

    @property
    def address(self) -> str:
        return str(S3Address(self.bucket, self.key))


@dataclass(frozen=True)
class Check:
    """The result of comparing one image of a bin with one record. A field that does not apply to the status is None.

    `bin` is the bin's name; if `stray` is set, it is a key outside the inbox layout. `check` is the identity within the
    bin. `expected`, `predicted` and `difference` are object counts, `interval` that of the prediction. `suspicion` and
    the `probabilities` (by label) are between 0 and 1. `expected_volume_in3` and `predicted_volume_in3` are cubic
    inches. `image` and `metadata` are s3:// addresses. `compared_with` is the `check_id` of the last confirmed check of
    the bin, whose error the prediction takes into account; `probabilities_alone` are then those of the image alone.
    Times are ISO 8601 in UTC. `alerted_at` is when the alert was put into the outbox. `repeats` is the `check_id` of an
    earlier check with the same answer, whose alert is still open. `resolves` describes the alert that this check
    closes. `actual` is the number of objects that a person found. It is None despite `reviewed_at` if the image does
    not show the number.
    """

    bin: str
    site: str
    check: str
    status: Status
    checked_at: str
    expected: int | None = None
    predicted: int | None = None
    interval: tuple[int, int | None] | None = None
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
    compared_with: str | None = None
    probabilities_alone: Mapping[str, float] | None = None
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
    def versions(self) -> tuple[str, str]:
        """The versions of the image and of the metadata; a dash for a missing part."""
        image, metadata, *_ = self.check.split("/")
        return image, metadata

    @property
    def check_id(self) -> str:
        """The stable id of this check: 32 hexadecimal digits. The same contents always give the same id."""
        return _digest(self.subject.partition, self.check)

    @property
    def open_list(self) -> OpenList | None:
        """The open list of this check while it is the current check of its bin; None if it needs no attention."""
        if self.reviewed_at:
            return "unclear" if self.actual is None else "reviewed"
        if self.status == "waiting":
            return "unpaired" if self.alerted_at else "waiting"
        return None if self.status == "match" else self.status


@dataclass(frozen=True)
class Finding:
    """One review of the check with the identity `check`.

    `kind` is "count" if the image shows `actual` objects, "unclear" if it does not show how many, and "withdrawn" if
    the review withdraws the previous one. `revision` orders the findings of a bin. `reviewer` is a name, `note` is free
    text.
    """

    check: str
    kind: FindingKind
    actual: int | None
    reviewed_at: str
    revision: int
    reviewer: str = ""
    note: str = ""


@dataclass(frozen=True)
class KnownUpload:
    """The known upload of one key of a bin: the latest version, read or reported by an event, the greatest sequencer of
    the key's events, and whether a check of that version is `recorded`."""

    version: str
    sequencer: str = ""
    recorded: bool = False


@dataclass(frozen=True)
class LonePart:
    """The part of a bin that waits for its partner. `stored` is its latest content, `since` is when it was first alone,
    and `overdue_at` when the missing partner was alerted, both ISO 8601 in UTC."""

    part: Part
    stored: StoredObject
    since: str
    overdue_at: str | None = None


@dataclass(frozen=True)
class CurrentCheck:
    """The current check of a bin: its identity and status, and whether a person has reviewed it."""

    check: str
    status: Status
    reviewed: bool = False


@dataclass(frozen=True)
class LastAlert:
    """The last alert of a bin that is not resolved.

    `check_id` is the alerted check. `actual` is the count that a review found since; None without one. `expected` is
    the count of the reviewed record. `max_severity` and `max_suspicion` are the greatest of the alerts since the last
    time without an open one.
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
        """The alert of a check that is no match."""
        names = ("predicted", "expected", "difference", "direction", "suspicion", "severity", "reason")
        kind: Kind = "unpaired" if check.status == "waiting" else check.status  # type: ignore[assignment]
        return cls(kind, check.check_id, **{name: getattr(check, name) for name in names})


@dataclass(frozen=True)
class BinState:
    """Everything about a bin that a decision needs. `revision` grows with every write; 0 means no stored state.
    `newest` is the identity of the newest check; None if that is the current one."""

    bin: Subject
    revision: int = 0
    uploads: Mapping[str, KnownUpload] = field(default_factory=dict)
    lone: LonePart | None = None
    current: CurrentCheck | None = None
    last_alert: LastAlert | None = None
    newest: str | None = None


@dataclass(frozen=True)
class Alert:
    """An alert to send. `check` is the check at the time of the decision. `revision` is the revision of the state after
    the decision: it orders the alerts of a bin."""

    kind: Kind
    check: Check
    revision: int

    @property
    def alert_id(self) -> str:
        """The stable id of this alert: 32 hexadecimal digits. Every copy has the same id."""
        return _digest(self.check.subject.partition, self.check.check, str(self.revision))


def contents_of(image: StoredObject | None, metadata: StoredObject | None) -> str:
    """The identity of a check within its bin: `<image version>/<metadata version>`. A missing part is a dash."""
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
