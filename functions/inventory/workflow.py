"""From an upload to a check: load the state, look at the inbox, count, decide, commit. It decides nothing itself.

An upload is a reason to look at its bin as the inbox holds it *now*. So the order of events does not matter, an event
that comes twice changes nothing, and one that comes late finds the newer check already made.
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
from inventory.prediction import Prediction
from inventory.sampling import agreed_count, is_audited
from inventory.uploads import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_ATTEMPTS = 5
"""How often a bin is decided on anew while others change it, before the message goes back to the queue."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class CheckWorkflow:
    """Checks bins. `count(image, inference_id)` asks the endpoint, `now()` tells the time.

    `audit_share` of the checks with a count, 0 to 1, goes into the audit.
    """

    s3: "S3Client"
    store: CheckStore
    count: Callable[[bytes, str], Prediction]
    mismatch_rate: float
    audit_share: float = 0.0
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def process(self, upload: Upload) -> Check | None:
        """Look at the bin that an upload belongs to, and leave its check recorded and its alert in the outbox.

        Returns the check that speaks for the bin then; None for an upload that is settled and whose check has expired.

        Raises:
            RetryLater: what retrying can cure; nothing is lost by trying again. AWS errors pass as they are.
        """
        try:
            subject: Subject = locate(upload.key)[0]
            refusal = f"{upload.key} was deleted before it could be checked: upload it again"
        except RejectedUpload as rejection:
            subject, refusal = StrayKey(upload.key), str(rejection)
        return _retrying(subject, lambda: self._attempt(subject, upload, refusal))

    def _attempt(self, subject: Subject, upload: Upload, refusal: str) -> Check | None:
        state = self.store.load(subject)
        with ExitStack() as opened:
            image = metadata = None
            if isinstance(subject, Bin):
                uploads = known_uploads(state, upload)
                image, metadata = open_parts(self.s3, upload.bucket, subject, uploads, opened)
            observation = Observation(upload, self.now(), _stored(image), _stored(metadata))
            if contents := check_needed(state, observation):
                observation = self._with_check(state, observation, contents, image, metadata, refusal)
        decision = decide(state, observation)
        made = decision.append
        if made and made.predicted is not None and is_audited(made.check_id, self.audit_share):
            decision = replace(decision, audited=True)
        self.store.commit(state, decision, observation.moment)
        return decision.check or self.store.current_check(state)

    def _with_check(
        self,
        state: BinState,
        observation: Observation,
        contents: str,
        image: OpenObject | None,
        metadata: OpenObject | None,
        refusal: str,
    ) -> Observation:
        """The look with the check that it calls for: a recorded one, else one that is made now."""

        def made() -> Check:
            if image and metadata:
                return self._judge(state, observation, contents, image, metadata)
            return reject(state, observation.upload, refusal, observation.moment)

        recorded = self.store.find_by_contents(state.bin, contents)
        known = preferred_check(state, recorded)
        if known is None:
            check = made()
        elif observation.upload.recheck and not known.reviewed_at:
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
                expected_volume_in3=record.volume_in3 and round(record.volume_in3, DIGITS),
            )
            prediction = self.count(image.read(IMAGE_LIMIT_BYTES), check.check_id)
        except RejectedUpload as rejection:
            return replace(check, reason=str(rejection))
        judged = verdict.judge(prediction, record, self.mismatch_rate)
        return replace(
            check,
            status=judged.status,
            predicted=prediction.count,
            difference=judged.difference,
            direction=judged.direction,
            suspicion=round(judged.suspicion, DIGITS),
            severity=judged.severity,
            probabilities={
                label: round(share, DIGITS)
                for label, share in zip(prediction.labels, prediction.probabilities, strict=True)
            },
            predicted_volume_in3=None if prediction.volume_in3 is None else round(prediction.volume_in3, DIGITS),
            model=prediction.model,
        )


def alert_overdue(
    s3: "S3Client", store: CheckStore, waiting: Check, timeout: timedelta, moment: datetime
) -> Check | None:
    """Tell people of a lone part that waits too long for its partner, unless the inbox has both by now.

    Returns the check that people were told of; None where nothing was due any more.

    Raises:
        RetryLater: others changed the bin time and again; the next run tells.
    """
    bin = Bin.named(waiting.bin)

    def attempt() -> Check | None:
        state = store.load(bin)
        if state.lone is None:
            return None
        with ExitStack() as opened:
            bucket = state.lone.stored.bucket
            # Of a partner whose event has not led to a check yet nothing is known, so the bucket is asked.
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
    """Keep how many objects the person `reviewer` found in the image of a check; None: the image does not show it. A
    count closes what is open. A later review of a check replaces an earlier one, which is kept beside it.

    Raises:
        RetryLater: others changed the bin time and again.
    """

    def attempt() -> Check:
        state = store.load(check.subject)
        known = store.find(check.subject, check.check) or check
        decision = decide(state, Review(known, actual, moment, reviewer, note))
        store.commit(state, decision, moment)
        return decision.check or check

    reviewed = _retrying(check.subject, attempt)
    settle_audit(store, reviewed, moment)
    return reviewed


def withdraw_review(store: CheckStore, check: Check, moment: datetime, reviewer: str = "") -> Check:
    """Take the last review of a check back. The one before it holds again, if there is one; else the check is open.

    Raises:
        CannotWithdraw: nobody has reviewed the check, or another one speaks for its bin since.
        RetryLater: others changed the bin time and again.
    """

    def attempt() -> Check:
        state = store.load(check.subject)
        findings = store.list_findings(check.subject, check.check)
        known = store.find(check.subject, check.check)
        if known is None or not findings:
            raise CannotWithdraw(f"bin {check.bin}: nobody has reviewed this check, so there is nothing to take back")
        if state.current is None or state.current.check != check.check:
            raise CannotWithdraw(f"bin {check.bin} has been checked again since: review the new check instead")
        decision = decide(state, Withdrawal(known, findings[-2] if findings[1:] else None, moment, reviewer))
        store.commit(state, decision, moment)
        return decision.check or check

    restored = _retrying(check.subject, attempt)
    settle_audit(store, restored, moment)
    return restored


def settle_audit(store: CheckStore, check: Check, moment: datetime) -> None:
    """Move the audit's copy of a check to the list that its reviews call for. Nothing where it has no copy.

    It is apart from the review itself, and does the same however often it is done: whoever reviews again mends it.
    """
    audited = store.find_audited(check.subject, check.check)
    if audited is None or audited.expected is None:
        return
    actual = agreed_count(audited.expected, store.list_findings(check.subject, check.check))
    reviewed_at = timestamp(moment) if actual is not None else None
    if audited.actual != actual:
        store.settle_audited(replace(audited, actual=actual, reviewed_at=reviewed_at))


def _retrying(subject: Subject, attempt: Callable[[], Result]) -> Result:
    for _ in range(MAX_ATTEMPTS):
        try:
            return attempt()
        except ConcurrentUpdate:
            continue
    raise RetryLater(f"bin {subject.name} changed {MAX_ATTEMPTS} times while it was decided on")


def _stored(opened: OpenObject | None) -> StoredObject | None:
    return opened.stored if opened else None
