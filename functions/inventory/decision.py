"""Every rule of what becomes of a bin. Pure code: no AWS, no clock, no chance.

`decide(state, event)` returns the next state, the checks to write and the alert to send. Everything that affects the
state of a bin is in this file. These two tables are all of its transitions (`transition_tables()` prints them).

The event decides what is written, and which part waits for its partner:

| event | what is written | which part waits then |
| --- | --- | --- |
| both parts are present, not checked together before | a new check | nothing |
| both parts are present, checked together before | that check becomes current | nothing |
| one part is present | nothing | that part, from when it was first alone |
| the upload was removed before its check | a rejected check | the other part, if present |
| the upload is already checked or replaced | nothing | no change |
| the key is outside the inbox layout | a rejected check | nothing |
| one part has waited too long | nothing | no change, marked as alerted |
| no part is alone | nothing | nothing |
| nothing is overdue | nothing | no change |
| a person reviews a check | the finding, in the reviewed check | no change |
| a person withdraws a review | the previous finding, in the reviewed check | no change |

The last alert of a bin and the new result decide which alert is sent:

| last alert | new result | alert sent | last alert then |
| --- | --- | --- | --- |
| none | the image agrees | none | none |
| none | a different answer | an alert | open |
| none | a review | none | none |
| none | a withdrawn review | none | none |
| open | the image agrees | a resolved alert | none |
| open | the same answer | none | open |
| open | a different answer | an alert | open |
| open | a review | none | reviewed |
| open | a withdrawn review | none | open |
| reviewed | the image agrees | none | none |
| reviewed | the same answer | none | reviewed |
| reviewed | a different answer | an alert | open |
| reviewed | a review | none | reviewed |
| reviewed | a withdrawn review | none | open |

The same answer has the same kind, count, direction and reason, and no greater severity; after a review, it is the same
only if the review confirmed this record. A reviewed check sends no alert. A review counts in the second table if its
check is the current one, or the one that was last alerted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from inventory.bins import PARTS, Bin, Part, locate
from inventory.check import (
    Alert,
    BinState,
    Check,
    CurrentCheck,
    Finding,
    FindingKind,
    Kind,
    KnownUpload,
    LastAlert,
    LonePart,
    StoredObject,
    contents_of,
    timestamp,
    waiting_check,
)
from inventory.uploads import Upload
from inventory.verdict import SEVERITIES, Severity

ACTION_REQUIRED: Severity = "medium"
"""Severity of what is no verdict but needs a person: a rejected upload, a partner that never came."""
RANKS: Mapping[str | None, int] = {severity: rank for rank, (_, severity) in enumerate(reversed(SEVERITIES))}
RESOLVED = ("check_id", "severity", "direction", "difference", "suspicion")
"""What a `resolved` alert says of the alert that it closes: with the greatest severity and suspicion that people heard,
so that whoever heard of it hears of its end."""


class Seen(StrEnum):
    """What happens to a bin."""

    NEW_PAIR = "both parts are present, not checked together before"
    KNOWN_PAIR = "both parts are present, checked together before"
    ONE_PART = "one part is present"
    REMOVED = "the upload was removed before its check"
    SETTLED = "the upload is already checked or replaced"
    STRAY = "the key is outside the inbox layout"
    OVERDUE = "one part has waited too long"
    NOT_ALONE = "no part is alone"
    NOT_DUE = "nothing is overdue"
    REVIEW = "a person reviews a check"
    WITHDRAWAL = "a person withdraws a review"


class Written(StrEnum):
    """What is written of checks."""

    NOTHING = "nothing"
    NEW = "a new check"
    REJECTED = "a rejected check"
    AGAIN = "that check becomes current"
    FINDING = "the finding, in the reviewed check"
    RESTORED = "the previous finding, in the reviewed check"


class Waits(StrEnum):
    """Which part waits for its partner then."""

    NOTHING = "nothing"
    PART = "that part, from when it was first alone"
    REST = "the other part, if present"
    AS_BEFORE = "no change"
    TOLD = "no change, marked as alerted"


class Knows(StrEnum):
    """What people know of a bin."""

    NOTHING = "none"
    OPEN = "open"
    REVIEWED = "reviewed"


class News(StrEnum):
    """How what is seen relates to what people know."""

    AGREES = "the image agrees"
    SAME = "the same answer"
    OTHER = "a different answer"
    REVIEW = "a review"
    WITHDRAWAL = "a withdrawn review"


class Told(StrEnum):
    """What people are told."""

    NOTHING = "none"
    ALERT = "an alert"
    RESOLVED = "a resolved alert"


WRITING: Mapping[Seen, tuple[Written, Waits]] = {
    Seen.NEW_PAIR: (Written.NEW, Waits.NOTHING),
    Seen.KNOWN_PAIR: (Written.AGAIN, Waits.NOTHING),
    Seen.ONE_PART: (Written.NOTHING, Waits.PART),
    Seen.REMOVED: (Written.REJECTED, Waits.REST),
    Seen.SETTLED: (Written.NOTHING, Waits.AS_BEFORE),
    Seen.STRAY: (Written.REJECTED, Waits.NOTHING),
    Seen.OVERDUE: (Written.NOTHING, Waits.TOLD),
    Seen.NOT_ALONE: (Written.NOTHING, Waits.NOTHING),
    Seen.NOT_DUE: (Written.NOTHING, Waits.AS_BEFORE),
    Seen.REVIEW: (Written.FINDING, Waits.AS_BEFORE),
    Seen.WITHDRAWAL: (Written.RESTORED, Waits.AS_BEFORE),
}
TELLING: Mapping[tuple[Knows, News], tuple[Told, Knows]] = {
    (Knows.NOTHING, News.AGREES): (Told.NOTHING, Knows.NOTHING),
    (Knows.NOTHING, News.OTHER): (Told.ALERT, Knows.OPEN),
    (Knows.NOTHING, News.REVIEW): (Told.NOTHING, Knows.NOTHING),
    (Knows.NOTHING, News.WITHDRAWAL): (Told.NOTHING, Knows.NOTHING),
    (Knows.OPEN, News.AGREES): (Told.RESOLVED, Knows.NOTHING),
    (Knows.OPEN, News.SAME): (Told.NOTHING, Knows.OPEN),
    (Knows.OPEN, News.OTHER): (Told.ALERT, Knows.OPEN),
    (Knows.OPEN, News.REVIEW): (Told.NOTHING, Knows.REVIEWED),
    (Knows.OPEN, News.WITHDRAWAL): (Told.NOTHING, Knows.OPEN),
    (Knows.REVIEWED, News.AGREES): (Told.NOTHING, Knows.NOTHING),
    (Knows.REVIEWED, News.SAME): (Told.NOTHING, Knows.REVIEWED),
    (Knows.REVIEWED, News.OTHER): (Told.ALERT, Knows.OPEN),
    (Knows.REVIEWED, News.REVIEW): (Told.NOTHING, Knows.REVIEWED),
    (Knows.REVIEWED, News.WITHDRAWAL): (Told.NOTHING, Knows.OPEN),
}


@dataclass(frozen=True)
class Look:
    """A delivered upload had its bin looked at: the parts as the inbox holds them now.

    `check` is the check that this calls for (see `check_needed`): one that was just made, or the one that is recorded
    of the same contents.
    """

    upload: Upload
    moment: datetime
    image: StoredObject | None = None
    metadata: StoredObject | None = None
    check: Check | None = None
    recorded: bool = False


@dataclass(frozen=True)
class TimePassed:
    """Time has passed, so a bin was looked at that has a lone part. `timeout` is how long that may wait."""

    moment: datetime
    timeout: timedelta
    image: StoredObject | None = None
    metadata: StoredObject | None = None


@dataclass(frozen=True)
class Review:
    """The person `reviewer` found `actual` objects in the image of `check`; None: the image does not show how many."""

    check: Check
    actual: int | None
    moment: datetime
    reviewer: str = ""
    note: str = ""


@dataclass(frozen=True)
class Withdrawal:
    """The person `reviewer` takes the last review of `check` back, so that the one `before` it holds, if there is one.
    `check` speaks for its bin."""

    check: Check
    before: Finding | None
    moment: datetime
    reviewer: str = ""


Event = Look | TimePassed | Review | Withdrawal


@dataclass(frozen=True)
class Decision:
    """What becomes of a bin, to be written all together or not at all.

    `check` is what the event came to, None where it came to nothing. `append` is a check to put, `amend` a recorded one
    whose attributes `amended` have changed, `delist` the check that leaves the open list, `finding` a review to
    put. `audited` is whether the check to put belongs to the audit.
    """

    state: BinState
    check: Check | None = None
    append: Check | None = None
    amend: Check | None = None
    amended: tuple[str, ...] = ()
    delist: CurrentCheck | None = None
    alert: Alert | None = None
    finding: Finding | None = None
    audited: bool = False


def decide(state: BinState, event: Event) -> Decision:
    """What becomes of a bin in this state by this event. The new state bears the next revision, whatever changes.

    Raises:
        ValueError: a Look calls for a check and brings none.
    """
    seen = classify(state, event)
    written, waits = WRITING[seen]
    state = replace(state, revision=_next_revision(state, event.moment))
    lone = _lone(state, event, waits)
    if isinstance(event, Look) and seen is not Seen.SETTLED:
        state = replace(state, uploads=_uploads_after(state, event, seen))
    state = replace(state, lone=lone)
    if waits is Waits.TOLD and lone:
        return _tell_overdue(state, lone)
    if written is Written.NOTHING:
        return Decision(state, waiting_check(state.bin, lone) if seen is Seen.ONE_PART and lone else None)
    if isinstance(event, Review):
        return _review(state, event)
    if isinstance(event, Withdrawal):
        return _withdraw(state, event)
    if not isinstance(event, Look) or event.check is None:
        raise ValueError(f"{seen} calls for a check")
    return _speak(state, event.check, event.recorded, event.moment)


def classify(state: BinState, event: Event) -> Seen:
    """What an event comes to for a bin in this state."""
    if isinstance(event, Review):
        return Seen.REVIEW
    if isinstance(event, Withdrawal):
        return Seen.WITHDRAWAL
    lying = [part for part, stored in _parts(event).items() if stored]
    if isinstance(event, TimePassed):
        return _classify_time(state, event, lying)
    if not isinstance(state.bin, Bin):
        return Seen.SETTLED if _is_settled(state, event.upload) else Seen.STRAY
    if len(lying) == len(PARTS):
        return Seen.KNOWN_PAIR if event.recorded else Seen.NEW_PAIR
    if locate(event.upload.key)[1] in lying:
        return Seen.ONE_PART
    return Seen.SETTLED if _is_settled(state, event.upload) else Seen.REMOVED


def check_needed(state: BinState, look: Look) -> str | None:
    """The identity of the check that a look calls for, None where it calls for none."""
    match classify(state, look):
        case Seen.NEW_PAIR | Seen.KNOWN_PAIR:
            return contents_of(look.image, look.metadata)
        case Seen.REMOVED | Seen.STRAY:
            return _contents_alone(state, look.upload)
    return None


def known_uploads(state: BinState, upload: Upload) -> Mapping[str, KnownUpload]:
    """What is known under each key of the bin, once this upload was told of. An event that comes late, and one that
    comes twice, tells nothing new."""
    known = state.uploads.get(upload.key)
    if known and upload.sequencer < known.sequencer:
        return state.uploads
    recorded = known is not None and known.recorded and known.version == upload.version
    return {**state.uploads, upload.key: KnownUpload(upload.version, upload.sequencer, recorded)}


def speaking(state: BinState, known: Sequence[Check]) -> Check | None:
    """Which of several recorded checks of the same contents speaks for them: the current one, else the latest."""
    current = state.current.check if state.current else None
    return max(known, key=lambda check: (check.check == current, check.checked_at), default=None)


def as_recheck(made: Check, known: Check, recorded: Sequence[Check]) -> Check:
    """The check by which a recheck of known contents speaks: the known one, unless another model has answered now; then
    that model's own, which may be recorded already."""
    if made.model in (None, known.model):
        return known
    named = replace(made, check=f"{made.check}/{made.model}")
    return next((check for check in recorded if check.check == named.check), named)


def reject(state: BinState, upload: Upload, reason: str, moment: datetime) -> Check:
    """The check of an upload that cannot be looked at together with a partner."""
    address = StoredObject(upload.bucket, upload.key, upload.version).address
    part = _part(state, upload)
    return Check(
        bin=state.bin.name,
        site=state.bin.site,
        check=_contents_alone(state, upload),
        status="rejected",
        checked_at=timestamp(moment),
        severity=ACTION_REQUIRED,
        image=address if part == "image" else None,
        metadata=address if part == "metadata" else None,
        reason=reason,
        stray=not isinstance(state.bin, Bin),
    )


def transition_tables() -> str:
    """The tables of this page, as its docstring and docs/architecture.md have them."""
    writing = [(seen, *effects) for seen, effects in WRITING.items()]
    telling = [(*situation, *effects) for situation, effects in TELLING.items()]
    return "\n\n".join(
        (
            _markdown(("event", "what is written", "which part waits then"), writing),
            _markdown(("last alert", "new result", "alert sent", "last alert then"), telling),
        )
    )


# ---- What lies there ----


def _parts(event: Look | TimePassed) -> Mapping[Part, StoredObject | None]:
    return {"image": event.image, "metadata": event.metadata}


def _part(state: BinState, upload: Upload) -> Part:
    return locate(upload.key)[1] if isinstance(state.bin, Bin) else "image"


def _contents_alone(state: BinState, upload: Upload) -> str:
    """The identity of the check of an upload that is looked at without its partner."""
    stored = StoredObject(upload.bucket, upload.key, upload.version)
    return contents_of(stored, None) if _part(state, upload) == "image" else contents_of(None, stored)


def _classify_time(state: BinState, event: TimePassed, lying: list[Part]) -> Seen:
    if state.lone is None:
        return Seen.NOT_DUE
    if len(lying) != 1:  # of both, the delivery of one makes their check
        return Seen.NOT_ALONE
    if lying != [state.lone.part]:
        return Seen.ONE_PART
    waited = event.moment - datetime.fromisoformat(state.lone.since)
    return Seen.OVERDUE if waited >= event.timeout and not state.lone.overdue_at else Seen.NOT_DUE


def _is_settled(state: BinState, upload: Upload) -> bool:
    """Whether a check of this upload is recorded, or a newer upload has taken its place."""
    known = state.uploads.get(upload.key)
    if known is None:
        return False
    if known.version == upload.version:
        return known.recorded
    return upload.sequencer <= known.sequencer


def _uploads_after(state: BinState, look: Look, seen: Seen) -> Mapping[str, KnownUpload]:
    """What is known of the keys after a look: what was told of, what lay there, and whether its check is recorded."""
    uploads = dict(known_uploads(state, look.upload))
    for stored in (look.image, look.metadata):
        if stored:
            known = uploads.get(stored.key, KnownUpload(stored.version))
            recorded = seen in (Seen.NEW_PAIR, Seen.KNOWN_PAIR) or (known.recorded and known.version == stored.version)
            uploads[stored.key] = KnownUpload(stored.version, known.sequencer, recorded)
    if seen in (Seen.REMOVED, Seen.STRAY):
        uploads[look.upload.key] = replace(uploads[look.upload.key], version=look.upload.version, recorded=True)
    return uploads


def _next_revision(state: BinState, moment: datetime) -> int:
    """One more; of a bin of which nothing is known, or not any more, the seconds of the epoch. So revisions grow for
    ever, also where a state has expired, and no alert gets the name of an earlier one."""
    return state.revision + 1 if state.revision else int(moment.timestamp())


def _lone(state: BinState, event: Event, waits: Waits) -> LonePart | None:
    if waits is Waits.NOTHING:
        return None
    if waits is Waits.AS_BEFORE or isinstance(event, Review | Withdrawal):
        return state.lone
    if waits is Waits.TOLD:
        return replace(state.lone, overdue_at=timestamp(event.moment)) if state.lone else None
    for part, stored in _parts(event).items():
        if stored and state.lone and state.lone.part == part:
            return replace(state.lone, stored=stored)
        if stored:
            return LonePart(part, stored, since=timestamp(event.moment))
    return None


# ---- What people are told ----


def _knows(state: BinState) -> Knows:
    if state.last_alert is None:
        return Knows.NOTHING
    return Knows.OPEN if state.last_alert.actual is None else Knows.REVIEWED


def _news(last: LastAlert | None, check: Check) -> News:
    if check.status == "match":
        return News.AGREES
    return News.SAME if last and _is_same_answer(last, check) else News.OTHER


def _is_same_answer(last: LastAlert, check: Check) -> bool:
    answer = (check.status, check.predicted, check.direction, check.reason)
    if answer != (last.kind, last.predicted, last.direction, last.reason):
        return False
    if last.actual is not None and not last.actual == last.expected == check.expected:
        return False
    return RANKS.get(check.severity, 0) <= RANKS.get(last.severity, 0)


def _speak(state: BinState, check: Check, recorded: bool, moment: datetime) -> Decision:
    """Let a check speak for its bin, and tell people what is news to them."""
    before = state.current
    was_current = before is not None and before.check == check.check
    state = replace(state, current=CurrentCheck(check.check, check.status, check.reviewed_at is not None))
    delist = before if before and not was_current and _is_listed(before) else None
    last = state.last_alert
    spoken, alert = check, None
    if not check.reviewed_at:
        news = _news(last, check)
        told, knows = TELLING[_knows(state), news]
        if knows is Knows.NOTHING:
            state = replace(state, last_alert=None)
        if news is News.SAME and last and not was_current:
            spoken = replace(check, repeats=last.check_id)
        if told is not Told.NOTHING:
            resolves = _resolved(last) if told is Told.RESOLVED and last else None
            spoken = replace(check, alerted_at=timestamp(moment), repeats=None, resolves=resolves)
            state, alert = _tell(state, told, spoken)
    if not recorded:
        return Decision(state, spoken, append=spoken, delist=delist, alert=alert)
    if was_current and alert is None:
        return Decision(state, check)
    amended = ("alerted_at", "repeats", "resolves", "open_list", "expires_at")
    return Decision(state, spoken, amend=spoken, amended=amended, delist=delist, alert=alert)


def _tell_overdue(state: BinState, lone: LonePart) -> Decision:
    """Tell people that the partner of a lone part never came."""
    check = waiting_check(state.bin, lone)
    told, _ = TELLING[_knows(state), News.OTHER]
    state, alert = _tell(state, told, check)
    return Decision(state, check, alert=alert)


def _tell(state: BinState, told: Told, check: Check) -> tuple[BinState, Alert]:
    last = None if told is Told.RESOLVED else _heard(state, LastAlert.of(check))
    kind: Kind = last.kind if last else "resolved"
    return replace(state, last_alert=last), Alert(kind, check, state.revision)


def _heard(state: BinState, last: LastAlert) -> LastAlert:
    """An alert, with the greatest that people have heard of this bin since they knew of nothing."""
    before = state.last_alert if _knows(state) is Knows.OPEN else None
    severities = (last.severity, before.heard_severity if before else None)
    suspicions = (last.suspicion, before.heard_suspicion if before else None)
    return replace(
        last,
        heard_severity=max(severities, key=lambda severity: RANKS.get(severity, -1)),
        heard_suspicion=max((one for one in suspicions if one is not None), default=None),
    )


def _review(state: BinState, event: Review) -> Decision:
    kind: FindingKind = "unclear" if event.actual is None else "count"
    reviewed = replace(event.check, actual=event.actual, reviewed_at=timestamp(event.moment))
    return _reviewed(state, reviewed, kind, event)


def _withdraw(state: BinState, event: Withdrawal) -> Decision:
    before = event.before
    restored = replace(
        event.check,
        actual=before.actual if before else None,
        reviewed_at=before.reviewed_at if before else None,
    )
    return _reviewed(state, restored, "withdrawn", event)


def _reviewed(state: BinState, reviewed: Check, kind: FindingKind, event: Review | Withdrawal) -> Decision:
    """Keep what a person found in its check. A count closes the last alert if that check speaks for the bin, or is the
    one that was alerted; but not that a partner is missing, which no image shows."""
    last, current = state.last_alert, state.current
    speaks = current is not None and current.check == reviewed.check
    if last and (last.check_id == reviewed.check_id or (speaks and last.kind != "unpaired")):
        last = replace(last, actual=reviewed.actual, expected=reviewed.expected)
    if current and speaks:
        current = replace(current, reviewed=reviewed.reviewed_at is not None)
    state = replace(state, last_alert=last, current=current)
    finding = Finding(
        reviewed.check,
        kind,
        reviewed.actual if kind == "count" else None,
        timestamp(event.moment),
        state.revision,
        event.reviewer,
        event.note if isinstance(event, Review) else "",
    )
    amended = ("actual", "reviewed_at", "open_list", "expires_at")
    return Decision(state, reviewed, amend=reviewed, amended=amended, finding=finding)


def _resolved(last: LastAlert) -> Mapping[str, object]:
    heard = replace(last, severity=last.heard_severity, suspicion=last.heard_suspicion)
    return {name: getattr(heard, name) for name in RESOLVED if getattr(heard, name) is not None}


def _is_listed(current: CurrentCheck) -> bool:
    """Whether a check stands on a list that it leaves when another speaks: what was reviewed stays where it is."""
    return current.status in ("mismatch", "rejected") and not current.reviewed


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
