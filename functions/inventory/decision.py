"""All rules for the state of a bin. Pure code: no AWS, no clock, no randomness.

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
| a file was removed, and no pair is left | nothing | the waiting part, if it is still present |
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
from inventory.sampling import agreed_count, is_settled
from inventory.uploads import Removal, Upload
from inventory.verdict import SEVERITIES, Severity

ACTION_REQUIRED: Severity = "medium"
"""The severity of checks without a verdict that need a person: a rejected upload, a missing partner."""
RANKS: Mapping[str | None, int] = {severity: rank for rank, (_, severity) in enumerate(reversed(SEVERITIES))}
RESOLVED_FIELDS = ("check_id", "severity", "direction", "difference", "suspicion")
"""The fields of the closed alert in a `resolved` alert. Severity and suspicion are the greatest ones that were alerted,
so subscribers to severe alerts also receive the resolved one."""


class Situation(StrEnum):
    """The event of a bin, together with what the state knows about it."""

    NEW_PAIR = "both parts are present, not checked together before"
    KNOWN_PAIR = "both parts are present, checked together before"
    ONE_PART = "one part is present"
    REMOVED = "the upload was removed before its check"
    OBSOLETE = "the upload is already checked or replaced"
    REMOVAL = "a file was removed, and no pair is left"
    STRAY = "the key is outside the inbox layout"
    OVERDUE = "one part has waited too long"
    NOT_ALONE = "no part is alone"
    NOT_DUE = "nothing is overdue"
    REVIEW = "a person reviews a check"
    WITHDRAWAL = "a person withdraws a review"


class Written(StrEnum):
    """The check that is written."""

    NOTHING = "nothing"
    NEW = "a new check"
    REJECTED = "a rejected check"
    CURRENT_AGAIN = "that check becomes current"
    FINDING = "the finding, in the reviewed check"
    RESTORED = "the previous finding, in the reviewed check"


class Waits(StrEnum):
    """The part that waits for its partner afterwards."""

    NOTHING = "nothing"
    PART = "that part, from when it was first alone"
    REST = "the other part, if present"
    STILL = "the waiting part, if it is still present"
    UNCHANGED = "no change"
    ALERTED = "no change, marked as alerted"


class AlertState(StrEnum):
    """The last alert of a bin; a resolved one counts as none."""

    NOTHING = "none"
    OPEN = "open"
    REVIEWED = "reviewed"


class Outcome(StrEnum):
    """The new result, compared with the last alert."""

    AGREES = "the image agrees"
    SAME = "the same answer"
    OTHER = "a different answer"
    REVIEW = "a review"
    WITHDRAWAL = "a withdrawn review"


class Notification(StrEnum):
    """The alert that is sent."""

    NOTHING = "none"
    ALERT = "an alert"
    RESOLVED = "a resolved alert"


WRITES: Mapping[Situation, tuple[Written, Waits]] = {
    Situation.NEW_PAIR: (Written.NEW, Waits.NOTHING),
    Situation.KNOWN_PAIR: (Written.CURRENT_AGAIN, Waits.NOTHING),
    Situation.ONE_PART: (Written.NOTHING, Waits.PART),
    Situation.REMOVED: (Written.REJECTED, Waits.REST),
    Situation.OBSOLETE: (Written.NOTHING, Waits.UNCHANGED),
    Situation.REMOVAL: (Written.NOTHING, Waits.STILL),
    Situation.STRAY: (Written.REJECTED, Waits.NOTHING),
    Situation.OVERDUE: (Written.NOTHING, Waits.ALERTED),
    Situation.NOT_ALONE: (Written.NOTHING, Waits.NOTHING),
    Situation.NOT_DUE: (Written.NOTHING, Waits.UNCHANGED),
    Situation.REVIEW: (Written.FINDING, Waits.UNCHANGED),
    Situation.WITHDRAWAL: (Written.RESTORED, Waits.UNCHANGED),
}
NOTIFICATIONS: Mapping[tuple[AlertState, Outcome], tuple[Notification, AlertState]] = {
    (AlertState.NOTHING, Outcome.AGREES): (Notification.NOTHING, AlertState.NOTHING),
    (AlertState.NOTHING, Outcome.OTHER): (Notification.ALERT, AlertState.OPEN),
    (AlertState.NOTHING, Outcome.REVIEW): (Notification.NOTHING, AlertState.NOTHING),
    (AlertState.NOTHING, Outcome.WITHDRAWAL): (Notification.NOTHING, AlertState.NOTHING),
    (AlertState.OPEN, Outcome.AGREES): (Notification.RESOLVED, AlertState.NOTHING),
    (AlertState.OPEN, Outcome.SAME): (Notification.NOTHING, AlertState.OPEN),
    (AlertState.OPEN, Outcome.OTHER): (Notification.ALERT, AlertState.OPEN),
    (AlertState.OPEN, Outcome.REVIEW): (Notification.NOTHING, AlertState.REVIEWED),
    (AlertState.OPEN, Outcome.WITHDRAWAL): (Notification.NOTHING, AlertState.OPEN),
    (AlertState.REVIEWED, Outcome.AGREES): (Notification.NOTHING, AlertState.NOTHING),
    (AlertState.REVIEWED, Outcome.SAME): (Notification.NOTHING, AlertState.REVIEWED),
    (AlertState.REVIEWED, Outcome.OTHER): (Notification.ALERT, AlertState.OPEN),
    (AlertState.REVIEWED, Outcome.REVIEW): (Notification.NOTHING, AlertState.REVIEWED),
    (AlertState.REVIEWED, Outcome.WITHDRAWAL): (Notification.NOTHING, AlertState.OPEN),
}


@dataclass(frozen=True)
class Observation:
    """The event of an upload or a removal was delivered, and these are the parts of its bin in the inbox now.

    `check` is the check that this needs (see `check_needed`): a new one, or, if `recorded`, the stored one of the same
    contents.
    """

    delivered: Upload | Removal
    moment: datetime
    image: StoredObject | None = None
    metadata: StoredObject | None = None
    check: Check | None = None
    recorded: bool = False


@dataclass(frozen=True)
class TimePassed:
    """Time has passed for a bin with a lone part, and these are its parts in the inbox now. `timeout` is the longest
    wait without an alert."""

    moment: datetime
    timeout: timedelta
    image: StoredObject | None = None
    metadata: StoredObject | None = None


@dataclass(frozen=True)
class Review:
    """The person `reviewer` found `actual` objects in the image of `check`; None: the image does not show how many.

    `earlier` are the reviews of the check that hold, and `audited` is the audit's copy of it; None outside the audit.
    """

    check: Check
    actual: int | None
    moment: datetime
    reviewer: str = ""
    note: str = ""
    earlier: Sequence[Finding] = ()
    audited: Check | None = None


@dataclass(frozen=True)
class Withdrawal:
    """The person `reviewer` withdraws the last review of `check`. `earlier` are the reviews that hold without it, the
    oldest first. `audited` is the audit's copy of the check; None outside the audit. `current` is the current check of
    the bin; None if there is none."""

    check: Check
    earlier: Sequence[Finding]
    moment: datetime
    reviewer: str = ""
    audited: Check | None = None
    current: Check | None = None


Event = Observation | TimePassed | Review | Withdrawal


@dataclass(frozen=True)
class Decision:
    """The result of an event. One transaction writes all of it.

    `check` is the result for the caller; None if there is none. `append` is a new check; `audited` says whether it
    belongs to the audit, and `previous` is the newest check before it. `amend` is a stored check whose attributes
    `amended` have changed; if another check has `replaced` it, it is on no list. `delist` is the check that leaves the
    open list, `finding` a new review, and `audit` the audit's copy of the reviewed check. `fence` says that the state
    is written even if it has not changed: whoever read the inbox before a removal then has to read it again.
    """

    state: BinState
    check: Check | None = None
    append: Check | None = None
    amend: Check | None = None
    amended: tuple[str, ...] = ()
    replaced: bool = False
    delist: CurrentCheck | None = None
    alert: Alert | None = None
    finding: Finding | None = None
    audited: bool = False
    previous: str | None = None
    audit: Check | None = None
    fence: bool = False


def decide(state: BinState, event: Event) -> Decision:
    """Apply an event to the state of a bin. The new state always has the next revision.

    Raises:
        ValueError: an Observation needs a check and has none.
    """
    situation = classify(state, event)
    written, waits = WRITES[situation]
    state = replace(state, revision=_next_revision(state, event.moment))
    lone = _lone(state, event, waits)
    if isinstance(event, Observation) and situation not in (Situation.OBSOLETE, Situation.REMOVAL):
        state = replace(state, uploads=_uploads_after(state, event, situation))
    state = replace(state, lone=lone)
    if waits is Waits.ALERTED and lone:
        return _alert_overdue(state, lone)
    if written is Written.NOTHING:
        check = waiting_check(state.bin, lone) if situation is Situation.ONE_PART and lone else None
        return Decision(state, check, fence=situation is Situation.REMOVAL)
    if isinstance(event, Review):
        return _review(state, event)
    if isinstance(event, Withdrawal):
        return _withdraw(state, event)
    if not isinstance(event, Observation) or event.check is None:
        raise ValueError(f"{situation}: the event needs a check and has none")
    decision = _make_current(state, event.check, event.recorded, event.moment)
    return replace(decision, fence=isinstance(event.delivered, Removal))


def classify(state: BinState, event: Event) -> Situation:
    """The situation that an event means for a bin in this state."""
    if isinstance(event, Review):
        return Situation.REVIEW
    if isinstance(event, Withdrawal):
        return Situation.WITHDRAWAL
    present = [part for part, stored in _parts(event).items() if stored]
    if isinstance(event, TimePassed):
        return _classify_time(state, event, present)
    if len(present) == len(PARTS):
        return Situation.KNOWN_PAIR if event.recorded else Situation.NEW_PAIR
    if isinstance(event.delivered, Removal):
        return Situation.REMOVAL
    if not isinstance(state.bin, Bin):
        return Situation.OBSOLETE if _is_obsolete(state, event.delivered) else Situation.STRAY
    if locate(event.delivered.key)[1] in present:
        return Situation.ONE_PART
    return Situation.OBSOLETE if _is_obsolete(state, event.delivered) else Situation.REMOVED


def check_needed(state: BinState, observation: Observation) -> str | None:
    """The identity of the check that an observation needs; None if it needs none."""
    situation, delivered = classify(state, observation), observation.delivered
    if situation in (Situation.NEW_PAIR, Situation.KNOWN_PAIR):
        return contents_of(observation.image, observation.metadata)
    if situation in (Situation.REMOVED, Situation.STRAY) and isinstance(delivered, Upload):
        return _contents_alone(state, delivered)
    return None


def known_uploads(state: BinState, delivered: Upload | Removal) -> Mapping[str, KnownUpload]:
    """The known uploads of the bin by key, with the delivered one. A late or repeated event changes nothing."""
    known = state.uploads.get(delivered.key)
    if isinstance(delivered, Removal) or (known and delivered.sequencer < known.sequencer):
        return state.uploads
    recorded = known is not None and known.recorded and known.version == delivered.version
    return {**state.uploads, delivered.key: KnownUpload(delivered.version, delivered.sequencer, recorded)}


def preferred_check(state: BinState, known: Sequence[Check]) -> Check | None:
    """The check to use among stored checks of the same contents: the current one, else the latest."""
    current = state.current.check if state.current else None
    return max(known, key=lambda check: (check.check == current, check.checked_at), default=None)


def as_recheck(made: Check, known: Check, recorded: Sequence[Check]) -> Check:
    """The check that a recheck of known contents results in: the known one if the same model answered, else the check
    of the new model, which may be stored already."""
    if made.model in (None, known.model):
        return known
    named = replace(made, check=f"{made.check}/{made.model}")
    return next((check for check in recorded if check.check == named.check), named)


def reject(state: BinState, upload: Upload, reason: str, moment: datetime) -> Check:
    """The rejected check of an upload that cannot be checked with a partner."""
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
    """The tables in the docstring of this module and in docs/architecture.md."""
    writes = [(situation, *effects) for situation, effects in WRITES.items()]
    notifications = [(*known, *effects) for known, effects in NOTIFICATIONS.items()]
    return "\n\n".join(
        (
            _markdown(("event", "what is written", "which part waits then"), writes),
            _markdown(("last alert", "new result", "alert sent", "last alert then"), notifications),
        )
    )


# ---- Parts and uploads ----


def _parts(event: Observation | TimePassed) -> Mapping[Part, StoredObject | None]:
    return {"image": event.image, "metadata": event.metadata}


def _part(state: BinState, upload: Upload) -> Part:
    return locate(upload.key)[1] if isinstance(state.bin, Bin) else "image"


def _contents_alone(state: BinState, upload: Upload) -> str:
    """The identity of the check of an upload without its partner."""
    stored = StoredObject(upload.bucket, upload.key, upload.version)
    return contents_of(stored, None) if _part(state, upload) == "image" else contents_of(None, stored)


def _classify_time(state: BinState, event: TimePassed, present: list[Part]) -> Situation:
    if state.lone is None:
        return Situation.NOT_DUE
    if len(present) != 1:  # if both are present, the event of one of them makes their check
        return Situation.NOT_ALONE
    if present != [state.lone.part]:
        return Situation.ONE_PART
    waited = event.moment - datetime.fromisoformat(state.lone.since)
    return Situation.OVERDUE if waited >= event.timeout and not state.lone.overdue_at else Situation.NOT_DUE


def _is_obsolete(state: BinState, upload: Upload) -> bool:
    """Whether a check of this upload is stored, or a newer upload has replaced it."""
    known = state.uploads.get(upload.key)
    if known is None:
        return False
    if known.version == upload.version:
        return known.recorded
    return upload.sequencer <= known.sequencer


def _uploads_after(state: BinState, observation: Observation, situation: Situation) -> Mapping[str, KnownUpload]:
    """The known uploads after an observation: the delivered one and the present ones, and whether each is checked."""
    delivered = observation.delivered
    uploads = dict(known_uploads(state, delivered))
    for stored in (observation.image, observation.metadata):
        if stored:
            known = uploads.get(stored.key, KnownUpload(stored.version))
            unchanged = known.recorded and known.version == stored.version
            recorded = unchanged or situation in (Situation.NEW_PAIR, Situation.KNOWN_PAIR)
            uploads[stored.key] = KnownUpload(stored.version, known.sequencer, recorded)
    if situation in (Situation.REMOVED, Situation.STRAY) and isinstance(delivered, Upload):
        uploads[delivered.key] = replace(uploads[delivered.key], version=delivered.version, recorded=True)
    return uploads


def _next_revision(state: BinState, moment: datetime) -> int:
    """One more than the last. A bin without a state, or with an expired one, starts at the seconds since 1970. So its
    revisions always grow, and no alert gets the id of an earlier one."""
    return state.revision + 1 if state.revision else int(moment.timestamp())


def _lone(state: BinState, event: Event, waits: Waits) -> LonePart | None:
    if waits is Waits.NOTHING:
        return None
    if waits is Waits.UNCHANGED or isinstance(event, Review | Withdrawal):
        return state.lone
    if waits is Waits.ALERTED:
        return replace(state.lone, overdue_at=timestamp(event.moment)) if state.lone else None
    for part, stored in _parts(event).items():
        if stored and state.lone and state.lone.part == part:
            return replace(state.lone, stored=stored)
        if stored and waits is not Waits.STILL:
            return LonePart(part, stored, since=timestamp(event.moment))
    return None


# ---- Alerts ----


def _alert_state(state: BinState) -> AlertState:
    if state.last_alert is None:
        return AlertState.NOTHING
    return AlertState.OPEN if state.last_alert.actual is None else AlertState.REVIEWED


def _outcome(last: LastAlert | None, check: Check) -> Outcome:
    if check.status == "match":
        return Outcome.AGREES
    return Outcome.SAME if last and _is_same_answer(last, check) else Outcome.OTHER


def _is_same_answer(last: LastAlert, check: Check) -> bool:
    answer = (check.status, check.predicted, check.direction, check.reason)
    if answer != (last.kind, last.predicted, last.direction, last.reason):
        return False
    if last.actual is not None and not last.actual == last.expected == check.expected:
        return False
    return RANKS.get(check.severity, 0) <= RANKS.get(last.severity, 0)


def _make_current(state: BinState, check: Check, recorded: bool, moment: datetime) -> Decision:
    """Make a check the current one of its bin, and send the alert that the table says."""
    before = state.current
    was_current = before is not None and before.check == check.check
    newest = state.newest or (before.check if before else None)
    state = replace(
        state,
        current=CurrentCheck(check.check, check.status, check.reviewed_at is not None),
        newest=newest if recorded and newest != check.check else None,
    )
    delist = before if before and not was_current and _is_listed(before) else None
    last = state.last_alert
    updated, alert = check, None
    if not check.reviewed_at:
        outcome = _outcome(last, check)
        notification, after = NOTIFICATIONS[_alert_state(state), outcome]
        if after is AlertState.NOTHING:
            state = replace(state, last_alert=None)
        if outcome is Outcome.SAME and last and not was_current:
            updated = replace(check, repeats=last.check_id)
        if notification is not Notification.NOTHING:
            resolves = _resolved(last) if notification is Notification.RESOLVED and last else None
            updated = replace(check, alerted_at=timestamp(moment), repeats=None, resolves=resolves)
            state, alert = _notify(state, notification, updated)
    if not recorded:
        return Decision(state, updated, append=updated, delist=delist, alert=alert, previous=newest)
    if was_current and alert is None:
        return Decision(state, check)
    amended = ("alerted_at", "repeats", "resolves", "open_list", "expires_at")
    return Decision(state, updated, amend=updated, amended=amended, delist=delist, alert=alert)


def _alert_overdue(state: BinState, lone: LonePart) -> Decision:
    """Send the alert that the partner of a lone part is missing."""
    check = waiting_check(state.bin, lone)
    notification, _ = NOTIFICATIONS[_alert_state(state), Outcome.OTHER]
    state, alert = _notify(state, notification, check)
    return Decision(state, check, alert=alert)


def _notify(state: BinState, notification: Notification, check: Check) -> tuple[BinState, Alert]:
    last = None if notification is Notification.RESOLVED else _with_maxima(state, LastAlert.of(check))
    kind: Kind = last.kind if last else "resolved"
    return replace(state, last_alert=last), Alert(kind, check, state.revision)


def _with_maxima(state: BinState, last: LastAlert) -> LastAlert:
    """The last alert with the greatest severity and suspicion since the last time without an open alert."""
    before = state.last_alert if _alert_state(state) is AlertState.OPEN else None
    severities = (last.severity, before.max_severity if before else None)
    suspicions = (last.suspicion, before.max_suspicion if before else None)
    return replace(
        last,
        max_severity=max(severities, key=lambda severity: RANKS.get(severity, -1)),
        max_suspicion=max((one for one in suspicions if one is not None), default=None),
    )


def _review(state: BinState, event: Review) -> Decision:
    kind: FindingKind = "unclear" if event.actual is None else "count"
    reviewed = replace(event.check, actual=event.actual, reviewed_at=timestamp(event.moment))
    return _reviewed(state, reviewed, kind, event)


def _withdraw(state: BinState, event: Withdrawal) -> Decision:
    before = event.earlier[-1] if event.earlier else None
    restored = replace(
        event.check,
        actual=before.actual if before else None,
        reviewed_at=before.reviewed_at if before else None,
    )
    return _reviewed(state, restored, "withdrawn", event)


def _reviewed(state: BinState, reviewed: Check, kind: FindingKind, event: Review | Withdrawal) -> Decision:
    """Store a finding in its check. A count closes the last alert if the check is the current one, or the alerted one.

    It does not close the alert of a missing partner, because the image shows nothing about that.
    """
    last, current = state.last_alert, state.current
    is_current = current is not None and current.check == reviewed.check
    if last and (last.check_id == reviewed.check_id or (is_current and last.kind != "unpaired")):
        found = _holding(reviewed, event)
        last = replace(last, actual=found.actual, expected=found.expected)
    if current and is_current:
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
    audit = _audit_after(event, finding)
    replaced = not is_current and not reviewed.reviewed_at
    return Decision(state, reviewed, amend=reviewed, amended=amended, replaced=replaced, finding=finding, audit=audit)


def _holding(reviewed: Check, event: Review | Withdrawal) -> Check:
    """The check whose review holds for the last alert: after a withdrawal, that of the current check if it has one."""
    current = event.current if isinstance(event, Withdrawal) else None
    return reviewed if current is None or current.reviewed_at is None else current


def _audit_after(event: Review | Withdrawal, finding: Finding) -> Check | None:
    """The audit's copy of the reviewed check, with the count that its reviews agree on."""
    audited = event.audited
    if audited is None or audited.expected is None:
        return None
    holding = [*event.earlier, finding] if isinstance(event, Review) else event.earlier
    settled = is_settled(audited.expected, holding)
    return replace(
        audited,
        actual=agreed_count(audited.expected, holding),
        reviewed_at=finding.reviewed_at if settled else None,
    )


def _resolved(last: LastAlert) -> Mapping[str, object]:
    closed = replace(last, severity=last.max_severity, suspicion=last.max_suspicion)
    return {name: getattr(closed, name) for name in RESOLVED_FIELDS if getattr(closed, name) is not None}


def _is_listed(current: CurrentCheck) -> bool:
    """Whether a check is on a list that it leaves when another check becomes current. A reviewed check stays listed."""
    return current.status in ("mismatch", "rejected") and not current.reviewed


def _markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
