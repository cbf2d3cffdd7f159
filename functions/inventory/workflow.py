"""Processes an upload: load the state, read the inbox, count, decide, commit. The rules are in `decision`.

The event of an upload or a removal triggers a read of its bin as it is in the inbox *now*. So the order of events does
not matter, but for the memory of a bin (`past`), which knows the checks that were made before. A repeated event changes
nothing, and a late one finds the newer check.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from inventory import verdict
from inventory.bins import Bin, StrayKey, Subject, locate
from inventory.check import BinState, Check, KnownUpload, StoredObject, timestamp
from inventory.check_items import DIGITS
from inventory.check_store import CheckStore, ConcurrentUpdate
from inventory.decision import (
    ACTION_REQUIRED,
    Observation,
    Review,
    TimePassed,
    Withdrawal,
    as_recheck,
    check_needed,
    decide,
    known_uploads,
    preferred_check,
    reject,
)
from inventory.errors import CannotWithdraw, RejectedUpload, RetryLater
from inventory.inbox import IMAGE_LIMIT_BYTES, OpenObject, keys_of, open_parts
from inventory.metadata import METADATA_LIMIT_BYTES, read_record
from inventory.past import MOST_EARLIER, given_past, last_confirmed
from inventory.prediction import Prediction
from inventory.sampling import is_audited
from inventory.uploads import InboxEvent, Removal, Upload
from inventory.verdict import ASSUMED_SLIPS, Slips

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_ATTEMPTS = 5
"""Attempts to decide on a bin while others change it. After the last one the message returns to the queue."""
SHARE_DIGITS, VOLUME_DIGITS = 4, 2
"""Decimal places of probabilities and volumes: with more, an alert takes two write units."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class CheckWorkflow:
    """Checks bins.

    `count(image, inference_id)` calls the endpoint. `mismatch_rate` is the share of wrong records in general, 0 to 1
    exclusive. `audit_share` is the share of checks with a count that go into the audit, 0 to 1. `now()` is the time.
    """

    s3: "S3Client"
    store: CheckStore
    count: Callable[[bytes, str], Prediction]
    mismatch_rate: float
    audit_share: float = 0.0
    slips: Slips = ASSUMED_SLIPS
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    alert_put: Callable[[], None] = lambda: None
    """Called once for each alert that is put into the outbox."""

    def process(self, delivered: Upload | Removal) -> Check | None:
        """Check the bin of an upload or a removal. Store the check, and put its alert into the outbox.

        Returns the current check of the bin; None if the upload is obsolete and its check has expired, and if a removal
        leaves no pair, or has a key outside the inbox layout.

        Raises:
            RetryLater: a retry can help, and is safe. AWS errors pass unchanged.
        """
        subject: Subject
        try:
            subject, _ = locate(delivered.key)
            refusal = f"{delivered.key} was deleted before it could be checked: upload it again"
        except RejectedUpload as rejection:
            if isinstance(delivered, Removal):
                return None
            subject, refusal = StrayKey(delivered.key), str(rejection)
        return _retrying(subject, lambda: self._attempt(subject, delivered, refusal))

    def _attempt(self, subject: Subject, delivered: Upload | Removal, refusal: str) -> Check | None:
        state = self.store.load(subject)
        with ExitStack() as opened:
            image = metadata = None
            if isinstance(subject, Bin):
                uploads = known_uploads(state, delivered)
                image, metadata = open_parts(self.s3, delivered.bucket, subject, uploads, opened)
            observation = Observation(delivered, self.now(), _stored(image), _stored(metadata))
            if contents := check_needed(state, observation):
                observation = self._with_check(state, observation, contents, image, metadata, refusal)
        decision = decide(state, observation)
        made = decision.append
        if made and made.predicted is not None and is_audited(made.check_id, self.audit_share):
            decision = replace(decision, audited=True)
        self.store.commit(state, decision, observation.moment)
        if decision.alert:
            self.alert_put()
        if decision.check or isinstance(delivered, Removal):
            return decision.check
        return self.store.current_check(state)

    def _with_check(
        self,
        state: BinState,
        observation: Observation,
        contents: str,
        image: OpenObject | None,
        metadata: OpenObject | None,
        refusal: str,
    ) -> Observation:
        """The observation with the check that it needs: a stored one if there is one, else a new one."""
        delivered = observation.delivered

        def made() -> Check:
            if image and metadata:
                return self._judge(state, observation, contents, image, metadata)
            if isinstance(delivered, Removal):
                raise ValueError(f"the removal of {delivered.key} needs no check of its own")
            return reject(state, delivered, refusal, observation.moment)

        recorded = self.store.find_by_contents(state.bin, contents)
        known = preferred_check(state, recorded)
        if known is None:
            check = made()
        elif isinstance(delivered, Upload) and delivered.recheck and not known.reviewed_at:
            check = as_recheck(made(), known, recorded)
        else:
            check = known
        return replace(observation, check=check, recorded=check in recorded)

    def _judge(
        self,
        state: BinState,
        observation: Observation,
        contents: str,
        image: OpenObject,
        metadata: OpenObject,
    ) -> Check:
        check = Check(
            bin=state.bin.name,
            site=state.bin.site,
            check=contents,
            status="rejected",
            checked_at=timestamp(observation.moment),
            severity=ACTION_REQUIRED,
            image=image.stored.address,
            metadata=metadata.stored.address,
        )
        try:
            record = read_record(metadata.read(METADATA_LIMIT_BYTES), metadata.stored.key)
            check = replace(
                check,
                expected=record.expected,
                expected_volume_in3=record.volume_in3 and round(record.volume_in3, VOLUME_DIGITS),
            )
            prediction = self.count(image.read(IMAGE_LIMIT_BYTES), check.check_id)
        except RejectedUpload as rejection:
            return replace(check, reason=str(rejection))
        check = replace(check, model=prediction.model)
        confirmed = last_confirmed(check, self.store.newest_checks(state, MOST_EARLIER))
        remembered = given_past(prediction, confirmed) if confirmed else None
        estimate = remembered or prediction
        judged = verdict.judge(estimate, record, self.mismatch_rate, self.slips)
        return replace(
            check,
            status=judged.status,
            predicted=estimate.count,
            interval=estimate.interval,
            difference=judged.difference,
            direction=judged.direction,
            suspicion=round(judged.suspicion, DIGITS),
            severity=judged.severity,
            probabilities=_shares(estimate),
            predicted_volume_in3=None if prediction.volume_in3 is None else round(prediction.volume_in3, VOLUME_DIGITS),
            compared_with=confirmed.check.check_id if confirmed and remembered else None,
            probabilities_alone=_shares(prediction) if remembered else None,
        )


def subject_of(event: InboxEvent) -> Subject:
    """The bin of an event, or its key if it lies outside the inbox layout."""
    try:
        return locate(event.key)[0]
    except RejectedUpload:
        return StrayKey(event.key)


def alert_overdue(
    s3: "S3Client", store: CheckStore, waiting: Check, timeout: timedelta, moment: datetime
) -> Check | None:
    """Alert of a lone part that has waited too long for its partner, unless the inbox has both parts now.

    Returns the alerted check; None if no alert was due.

    Raises:
        RetryLater: others changed the bin during all attempts. The next run tries again.
    """
    bin = Bin.named(waiting.bin)

    def attempt() -> Check | None:
        state = store.load(bin)
        if state.lone is None:
            return None
        with ExitStack() as opened:
            bucket = state.lone.stored.bucket
            # The event of the partner may still be queued. Then the state does not know its key, so list the bucket.
            uploads = {key: KnownUpload("") for key in keys_of(s3, bucket, bin)} | dict(state.uploads)
            image, metadata = open_parts(s3, bucket, bin, uploads, opened)
            passed = TimePassed(moment, timeout, _stored(image), _stored(metadata))
        decision = decide(state, passed)
        store.commit(state, decision, moment)
        return decision.check if decision.alert else None

    return _retrying(bin, attempt)


def review(
    store: CheckStore, check: Check, actual: int | None, moment: datetime, reviewer: str = "", note: str = ""
) -> Check:
    """Store how many objects the person `reviewer` found in the image of a check; None: the image does not show it.

    A count closes the open alert. A later review of a check replaces an earlier one, which stays stored.

    Raises:
        RetryLater: others changed the bin during all attempts.
    """

    def attempt() -> Check:
        state = store.load(check.subject)
        known = store.find(check.subject, check.check) or check
        audited = store.find_audited(check.subject, check.check)
        earlier = store.list_findings(check.subject, check.check) if audited else []
        decision = decide(state, Review(known, actual, moment, reviewer, note, earlier, audited))
        store.commit(state, decision, moment)
        return decision.check or check

    return _retrying(check.subject, attempt)


def withdraw_review(
    store: CheckStore, check: Check, moment: datetime, reviewer: str = "", reviewed_at: str | None = None
) -> Check:
    """Withdraw the last review of a check. The previous review is valid again. Without one, the check is open again if
    it is the current one of its bin.

    Raises:
        CannotWithdraw: no review of the check holds, or the last one was not made at `reviewed_at` (None: whenever).
        RetryLater: others changed the bin during all attempts.
    """

    def attempt() -> Check:
        state = store.load(check.subject)
        findings = store.list_findings(check.subject, check.check)
        known = store.find(check.subject, check.check)
        if known is None or not findings:
            raise CannotWithdraw(f"bin {check.bin}: nobody has reviewed this check, so there is nothing to take back")
        if reviewed_at not in (None, findings[-1].reviewed_at):
            raise CannotWithdraw(f"bin {check.bin} was reviewed again since, so nothing was taken back")
        audited = store.find_audited(check.subject, check.check)
        current = None
        if state.current and state.current.check != check.check:
            current = store.current_check(state)
        decision = decide(state, Withdrawal(known, findings[:-1], moment, reviewer, audited, current))
        store.commit(state, decision, moment)
        return decision.check or check

    return _retrying(check.subject, attempt)


def _retrying(subject: Subject, attempt: Callable[[], Result]) -> Result:
    for _ in range(MAX_ATTEMPTS):
        try:
            return attempt()
        except ConcurrentUpdate:
            continue
    raise RetryLater(f"bin {subject.name} changed {MAX_ATTEMPTS} times while it was decided on")


def _shares(prediction: Prediction) -> dict[str, float]:
    shares = zip(prediction.labels, prediction.probabilities, strict=True)
    return {label: round(share, SHARE_DIGITS) for label, share in shares}


def _stored(opened: OpenObject | None) -> StoredObject | None:
    return opened.stored if opened else None
