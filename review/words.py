"""What the page says of a check, in words and bars. Pure code."""

from datetime import datetime, timedelta
from typing import NamedTuple

from inventory.alert_text import REMEMBERED, covers, first_count, seen_range
from inventory.alert_text import percent as in_words
from inventory.check import Check


class Bar(NamedTuple):
    """A label of the model, its probability from 0 to 1, and whether the record says this count."""

    label: str
    share: float
    recorded: bool


def bars(check: Check) -> list[Bar]:
    """The distribution that the model gave, in the order of its labels."""
    shares = check.probabilities or {}
    return [Bar(label, shares[label], covers(label, check.expected)) for label in sorted(shares, key=first_count)]


def percent(share: float) -> str:
    """A share from 0 to 1 in whole percents; what is neither nothing nor all is not called so."""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 <= share < 1 else f"{share:.0%}"


def reason(check: Check) -> str:
    """Why the check is suspicious, in one sentence."""
    if check.status == "rejected":
        return f"The bin could not be checked: {check.reason}"
    if check.status == "waiting":
        return f"Its {'metadata' if check.image else 'image'} never came."
    share = next((bar.share for bar in bars(check) if bar.recorded), None)
    chance = f" It gives the recorded {check.expected} a chance of {in_words(share)}." if share is not None else ""
    chance += f" {REMEMBERED}" * bool(check.compared_with)
    if check.status == "match":
        agrees = "does not contradict the record" if check.difference else "agrees with the record"
        return f"The model counts {seen_range(check)}, which {agrees}.{chance}"
    return f"The model counts {seen_range(check)}: {abs(check.difference or 0)} {check.direction}.{chance}"


def measured_volume(check: Check) -> str | None:
    """The volume in the image beside the recorded one; None where one is not known."""
    measured, recorded = check.predicted_volume_in3, check.expected_volume_in3
    if measured is None or recorded is None:
        return None
    return f"{measured:,.0f} in³ in the image, {recorded:,.0f} in³ recorded"


def age(moment: str, now: datetime) -> str:
    """How long ago a moment (ISO 8601) was, in its largest unit, as `5 min`."""
    passed = max(now - datetime.fromisoformat(moment), timedelta())
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if passed.total_seconds() >= seconds:
            return f"{passed.total_seconds() // seconds:.0f} {unit}"
    return "under 1 min"
