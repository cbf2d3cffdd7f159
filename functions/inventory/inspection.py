"""From an upload to a check: pair, count, decide, record, alert.

An upload is a reason to look at its bin as the inbox holds it *now*. So the order of events does not matter, an event
that comes twice changes nothing, and one that comes late finds the newer check already made.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from inventory import verdict
from inventory.alerts import Alerts
from inventory.bins import (
    IMAGE_LIMIT_BYTES,
    Bin,
    Part,
    StoredPart,
    locate,
    open_part,
)
from inventory.checks import Check, ChecksTable, Pairing, PairingChanged, identity, identity_by, timestamp
from inventory.counting import Prediction
from inventory.errors import RejectedUpload, RetryLater
from inventory.matters import in_view_of
from inventory.records import METADATA_LIMIT_BYTES, read_record
from inventory.uploads import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LOOKS = 5
"""How often a bin is looked at anew while it keeps changing, before the message goes back to the queue."""
CHECKER_TIMEOUT = timedelta(seconds=60)
"""The Checker's timeout in template.yaml. A check whose alert is not marked by then was interrupted: alert again."""
ALERT_PATIENCE_S = 3.0
"""How long to wait for another process that has put the same check and is about to alert."""

NEEDS_A_LOOK: verdict.Severity = "medium"
"""Severity of what is no verdict but needs a person: a rejected upload, a partner that never came."""


@dataclass(frozen=True)
class Inspector:
    """Looks at bins. `count(picture, inference_id)` asks the endpoint, `now()` tells the time."""

    s3: "S3Client"
    table: ChecksTable
    alerts: Alerts
    count: Callable[[bytes, str], Prediction]
    mismatch_rate: float
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep

    def inspect(self, upload: Upload) -> Check:
        """Look at the bin that an upload belongs to, and leave its check recorded and alerted.

        Raises:
            RetryLater: what retrying can cure; nothing is lost by trying again. AWS errors pass as they are.
        """
        try:
            bin, part = locate(upload.key)
        except RejectedUpload as rejection:
            return self._reject(upload, Bin(site="", id=upload.key), str(rejection))
        for look in range(LOOKS):
            try:
                return self._look(bin, part, upload)
            except PairingChanged:
                self.sleep(random.uniform(0, 0.05 * 2**look))  # noqa: S311
        raise RetryLater(f"bin {bin.name} changed {LOOKS} times while it was looked at")

    def _look(self, bin: Bin, part: Part, upload: Upload) -> Check:
        pairing = self.table.note_upload(bin, part, upload)
        image = open_part(self.s3, upload.bucket, pairing.keys("image"))
        metadata = open_part(self.s3, upload.bucket, pairing.keys("metadata"))
        try:
            check = Check(
                bin=bin.name,
                site=bin.site,
                check=identity(image.version if image else None, metadata.version if metadata else None),
                status="waiting",
                checked_at=timestamp(self.now()),
                severity=NEEDS_A_LOOK,
                image=f"s3://{upload.bucket}/{image.key}" if image else None,
                metadata=f"s3://{upload.bucket}/{metadata.key}" if metadata else None,
            )
            if image is None or metadata is None:
                if image or metadata:
                    check = self.table.wait(check, pairing)
                else:
                    self.table.stop_waiting(pairing)
                is_there = image if part == "image" else metadata
                return check if is_there else self._settle_deleted(upload, bin, part)
            known = self.table.find_latest(bin.name, check.check)
            if known and (known.reviewed_at or not upload.recheck):
                return self._look_again(known, pairing)
            check = self._judge(check, image, metadata)
            if known:
                check = self._as_recheck(check, known)
                if made := self.table.find(bin.name, check.check):
                    return self._look_again(made, pairing)
        finally:
            for opened in (image, metadata):
                if opened:
                    opened.close()
        check = in_view_of(self._told(pairing), check)
        if check.alert_kind:
            pairing = replace(pairing, told=check.check)
        self.table.record(check, pairing)
        return self._settle(check, replace(pairing, waiting=None))

    def _told(self, pairing: Pairing) -> Check | None:
        """The check that people were told of last: the upload that waited too long, or the last one alerted."""
        if pairing.waiting and pairing.waiting.alerted_at:
            return pairing.waiting
        return self.table.find(pairing.bin.name, pairing.told) if pairing.told else None

    def _look_again(self, known: Check, pairing: Pairing) -> Check:
        """Finish a recorded check, or let it speak once more where people were told something else in between."""
        told = self._told(pairing)
        if known.reviewed_at or told is None or told.check == known.check:
            return self._settle_known(known, pairing)
        anew = in_view_of(told, replace(known, alerted_at=None))
        was_cut_off = known.alert_kind and not known.alerted_at and self._interrupted(known)
        if (anew == known and not was_cut_off) or (known.alerted_at and not anew.alert_kind):
            return self._settle_known(known, pairing)
        self.table.tell_anew(anew, pairing)
        return self._settle(anew, replace(pairing, told=anew.check))

    def _judge(self, check: Check, image: StoredPart, metadata: StoredPart) -> Check:
        try:
            record = read_record(metadata.read(METADATA_LIMIT_BYTES), metadata.key)
            check = replace(check, expected=record.expected, expected_volume_in3=record.volume_in3)
            prediction = self.count(image.read(IMAGE_LIMIT_BYTES), check.check_id)
        except RejectedUpload as rejection:
            return replace(check, status="rejected", reason=str(rejection))
        judged = verdict.judge(prediction, record, self.mismatch_rate)
        return replace(
            check,
            status=judged.status,
            predicted=prediction.count,
            difference=judged.difference,
            direction=judged.direction,
            suspicion=judged.suspicion,
            severity=judged.severity,
            probabilities=dict(zip(prediction.labels, prediction.probabilities, strict=True)),
            predicted_volume_in3=prediction.volume_in3,
            model=prediction.model,
        )

    def _as_recheck(self, check: Check, known: Check) -> Check:
        """The check by which a recheck speaks: the known one, unless another model has answered now."""
        if check.model in (None, known.model):
            return known
        return replace(check, check=identity_by(check.model, check.check))

    def _settle_deleted(self, upload: Upload, bin: Bin, part: Part) -> Check:
        """Settle an upload that the inbox no longer holds: by the check made while it did, else as rejected."""
        for known in self.table.of_bin(bin.name):
            if known.status != "waiting" and upload.version in known.check.split("/"):
                return self._settle_known(known)
        return self._reject(upload, bin, f"{upload.key} was deleted before it could be checked: upload it again", part)

    def _reject(self, upload: Upload, bin: Bin, reason: str, part: Part = "image") -> Check:
        """Reject an upload by itself, whatever its partner."""
        address = f"s3://{upload.bucket}/{upload.key}"
        check = Check(
            bin=bin.name,
            site=bin.site,
            check=identity(upload.version, None),
            status="rejected",
            checked_at=timestamp(self.now()),
            severity=NEEDS_A_LOOK,
            image=address if part == "image" else None,
            metadata=address if part == "metadata" else None,
            reason=reason,
        )
        if self.table.record_lone(check):
            return self._settle(check)
        return self._settle_known(self.table.reread(check))

    def _settle_known(self, check: Check, pairing: Pairing | None = None) -> Check:
        """Finish a check that another delivery recorded, unless that one is alive and finishing it."""
        deadline = self.now() + timedelta(seconds=ALERT_PATIENCE_S)
        while check.alert_kind and not check.alerted_at and not self._interrupted(check):
            if self.now() > deadline:
                raise RetryLater(f"check {check.check_id} of bin {check.bin} is being alerted by another delivery")
            self.sleep(0.1)
            check = self.table.reread(check)
        return self._settle(check, pairing)

    def _interrupted(self, check: Check) -> bool:
        return self.now() - datetime.fromisoformat(check.checked_at) > CHECKER_TIMEOUT

    def _settle(self, check: Check, pairing: Pairing | None = None) -> Check:
        if check.alert_kind and not check.alerted_at:
            self.alerts.publish(check)
            self.table.mark_alerted(check, self.now())
        if pairing:
            self.table.make_current(check, pairing)
        return check
