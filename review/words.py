"""What the page says of a check, in words and bars. Pure code."""

import unicodedata
from datetime import datetime, timedelta
from typing import NamedTuple

from inventory.check import Check

_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Unicode's categories of characters that show nothing and change what others show: ESC, right-to-left marks ..."""


class Bar(NamedTuple):
    """A label of the model, its probability from 0 to 1, and whether the record says this count."""

    label: str
    share: float
    recorded: bool


def plain(text: object) -> str:
    """Others' text as one that can only be read: what shows nothing is shown as a question mark."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in _HIDDEN else one for one in str(text))


def bars(check: Check) -> list[Bar]:
    """The distribution that the model gave, in the order of its labels."""
    shares = check.probabilities or {}
    return [Bar(label, shares[label], _covers(label, check.expected)) for label in sorted(shares, key=_first_count)]


def seen(check: Check) -> str:
    """The count that the model saw, as `6+` where its last label is open; a dash where it saw none."""
    if check.predicted is None:
        return "-"
    opened = f"{check.predicted}+"
    return opened if opened in (check.probabilities or {}) else str(check.predicted)


def reason(check: Check) -> str:
    """Why the check is suspicious, in one sentence."""
    if check.status == "rejected":
        return f"It could not be checked: {check.reason}."
    if check.status == "waiting":
        return f"Its {'metadata' if check.image else 'image'} never came."
    share = (check.probabilities or {}).get(str(check.expected))
    recorded = f"finds {check.expected} {share:.0%} likely" if share is not None else f"cannot say {check.expected}"
    if check.status == "match":
        return f"The model sees {seen(check)}, as recorded; it {recorded}."
    return f"The model sees {seen(check)} and {recorded}: {abs(check.difference or 0)} {check.direction}."


def measured_volume(check: Check) -> str | None:
    """The volume in the image beside the recorded one; None where one is not known."""
    measured, recorded = check.predicted_volume_in3, check.expected_volume_in3
    if measured is None or recorded is None:
        return None
    return f"{measured:,.0f} in³ in the image, {recorded:,.0f} in³ recorded"


def age(moment: str, now: datetime) -> str:
    """How long ago a moment (ISO 8601) was, in its largest unit."""
    passed = max(now - datetime.fromisoformat(moment), timedelta())
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if passed.total_seconds() >= seconds:
            return f"{passed.total_seconds() // seconds:.0f} {unit}"
    return "now"


def _covers(label: str, count: int | None) -> bool:
    if count is None:
        return False
    return count >= _first_count(label) if label.endswith("+") else count == _first_count(label)


def _first_count(label: str) -> int:
    return int(label.rstrip("+"))
