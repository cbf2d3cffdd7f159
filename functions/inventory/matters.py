"""What people already know of a bin, and so whether a new check has to be told.

A bin that disagrees is an open matter from the alert that told of it until a check agrees again, or a person has
looked. While it goes on disagreeing in the same way nobody is told twice.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from inventory.checks import Check
from inventory.verdict import SEVERITIES

RANKS: Mapping[str | None, int] = {severity: rank for rank, (_, severity) in enumerate(reversed(SEVERITIES))}
CLOSED_BY = ("check_id", "severity", "direction", "difference", "suspicion")
"""What a `resolved` alert says of the matter that it closes, so that whoever was told of the one hears the other."""


def in_view_of(told: Check | None, check: Check) -> Check:
    """A new check, marked as what it is to people who were last told of `told`.

    It `repeats` what they know where it gives the same answer, no more severely, and the alert of that went out; it
    `resolves` the matter where it agrees and they were told that the bin did not. Else it stands for itself.
    """
    unmarked = replace(check, repeats=None, resolves=None)
    if told is None:
        return unmarked
    if check.status == "match":
        return replace(unmarked, resolves=_matter(told)) if _stands_open(told) else unmarked
    return replace(unmarked, repeats=told.check_id) if _says_the_same(told, check) else unmarked


def _stands_open(told: Check) -> bool:
    return told.status != "match" and not told.reviewed_at


def _says_the_same(told: Check, check: Check) -> bool:
    if not told.alerted_at or _answer(told) != _answer(check):
        return False
    if told.reviewed_at and not (told.actual == told.expected == check.expected):
        return False
    return RANKS[check.severity] <= RANKS[told.severity]


def _answer(check: Check) -> tuple[Any, ...]:
    return check.status, check.predicted, check.direction, check.reason


def _matter(told: Check) -> Mapping[str, Any]:
    return {name: getattr(told, name) for name in CLOSED_BY if getattr(told, name) is not None}
