"""The tallies of a deployed stack, also of days that its Reporter has not processed."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

from inventory.reports.drift import REFERENCE
from inventory.reports.tallies import Answer, Tally, answer_of, tally
from local.stack.deployed_stack import Stack


def tallies(stack: Stack, first: date, last: date) -> Iterator[Tally]:
    """Those of `first` to `last`, both inclusive, and the stored ones of the weeks before. Missing ones are computed
    from the checks."""
    stored = stack.tallies.between(first - REFERENCE, last - timedelta(days=1))
    yield from stored
    known = {each.day for each in stored}
    missing = (day for day in spanned(first, last) if day.isoformat() not in known)
    yield from tallied(missing, lambda day: map(answer_of, stack.checks.list_by_day(day)))


def checks_by_band(stack: Stack, first: date) -> Counter[int]:
    """The number of checks since `first` in each band of suspicion, as inventory.reports.audit numbers them."""
    bands: Counter[int] = Counter()
    for each in tallies(stack, first, datetime.now(UTC).date()):
        if each.day >= first.isoformat():
            bands.update({int(band): count for band, count in each.bands.items()})
    return bands


def tallied(days: Iterable[date], answers_of: Callable[[date], Iterable[Answer]]) -> Iterator[Tally]:
    """The tallies of each day's answers."""
    for day in days:
        yield from tally(answers_of(day))


def spanned(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`."""
    return (first + timedelta(days=number) for number in range((last - first).days + 1))
