"""How the reviews are going, and what the audit says of all checks."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from inventory.check import Check
from inventory.reports.audit import Audit, audit
from inventory.reports.findings import precision, reviewed_checks
from inventory.reports.intervals import Interval, clopper_pearson
from review.desk import Desk

DAYS = 30


@dataclass(frozen=True)
class Figures:
    """Reviews by day (the oldest first), the share of right alerts by severity (the highest first) with how many were
    reviewed, and what the audit says; None while it has no review."""

    days: tuple[tuple[str, int], ...]
    right_alerts: tuple[tuple[str, int, Interval], ...]
    audit: Audit | None


def figures(desk: Desk) -> Figures:
    """The figures of the last DAYS days."""
    until = desk.now()
    since = until - timedelta(days=DAYS)
    reviewed = list(desk.store.list_open("reviewed", since, until))
    return Figures(_by_day(reviewed, until), _right_alerts(reviewed), audit(reviewed_checks(desk.store, since, until)))


def _by_day(reviewed: list[Check], until: datetime) -> tuple[tuple[str, int], ...]:
    counts = Counter((check.reviewed_at or "")[:10] for check in reviewed)
    days = [str((until - timedelta(days=number)).date()) for number in reversed(range(DAYS))]
    return tuple((day, counts[day]) for day in days)


def _right_alerts(reviewed: list[Check]) -> tuple[tuple[str, int, Interval], ...]:
    ranked = precision(reviewed).items()
    return tuple((severity, one.reviewed, clopper_pearson(one.right, one.reviewed)) for severity, one in ranked)
