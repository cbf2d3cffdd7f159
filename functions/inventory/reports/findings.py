"""What people found, as the reports take it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from inventory.check import Check
from inventory.check_store import CheckStore
from inventory.reports.audit import ReviewedCheck, reviewed_check


@dataclass(frozen=True)
class Reviewed:
    """The number of reviewed mismatches, and the number of those whose record was wrong."""

    reviewed: int
    right: int


def reviewed_checks(store: CheckStore, since: datetime, until: datetime) -> list[ReviewedCheck]:
    """The checks that were made between two moments and reviewed: those of `reviewed_by_id`."""
    return list(reviewed_by_id(store, since, until).values())


def reviewed_by_id(store: CheckStore, since: datetime, until: datetime) -> dict[str, ReviewedCheck]:
    """By check id, the reviewed checks of a period: those of the audit with an agreed count, and alerts.

    A check of the audit without an agreed count yet is left out: its first review alone says too often that the record
    is wrong.
    """
    settled = {check.check_id: check for check in store.list_audited(since, until)}
    pending = {check.check_id for check in store.list_audited(since, until, settled=False)}
    others = {
        check.check_id: check
        for check in store.list_open("reviewed", since, until)
        if check.status == "mismatch" and check.check_id not in pending | settled.keys()
    }
    found = {id: reviewed_check(check, audited=id in settled) for id, check in (settled | others).items()}
    return {id: check for id, check in found.items() if check}


def precision(checks: Iterable[Check]) -> dict[str, Reviewed]:
    """The precision of mismatches by severity, the highest first. Severities without a review are absent."""
    found: dict[str, list[bool]] = defaultdict(list)
    for check in checks:
        if check.status == "mismatch" and check.actual is not None:
            found[check.severity or ""].append(check.actual != check.expected)
    ranked = (severity for severity in ("high", "medium", "low") if severity in found)
    return {severity: Reviewed(len(found[severity]), sum(found[severity])) for severity in ranked}
