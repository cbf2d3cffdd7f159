"""The text of an alert for people: its facts, and the subject and the body of its email. Pure code.

Names of bins, addresses and reasons come from other people. They pass through a `Quote`, so they add no lines and
change no text around them: `one_line` in email, `in_chat` in chat messages.
"""

import unicodedata
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from inventory.check import Alert, Check

REMEMBERED = "The count takes into account how the model erred on this bin before."
SUBJECT_LIMIT = 100
FACT_LIMIT = 1_000
"""Characters of one name, address or reason. S3 keys have at most 1,024 bytes."""
Quote = Callable[[object], str]
"""Makes other people's text safe for one medium."""
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Unicode's categories of characters that are invisible or change other characters: line breaks, ESC, bidi marks."""


@dataclass(frozen=True)
class Unnamed:
    """The numbers of rejected and of unpaired uploads that no email has named."""

    rejected: int = 0
    unpaired: int = 0

    @property
    def numbers(self) -> tuple[tuple[str, int], ...]:
        """The numbers by kind."""
        return ("rejected", self.rejected), ("unpaired", self.unpaired)


def one_line(text: object, limit: int = FACT_LIMIT) -> str:
    """Other people's text in one line of at most `limit` characters. A replacement character stands for each hidden
    character."""
    plain = visible(text)
    return plain if len(plain) <= limit else f"{plain[: limit - 1]}…"


def visible(text: object) -> str:
    """Other people's text with a replacement character for each hidden character."""
    return "".join("\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in _HIDDEN else one for one in str(text))


def seen(check: Check) -> str:
    """The predicted count, as `10+` if it is the model's open label; a dash without a prediction."""
    return count_text(check.predicted, check.probabilities)


def seen_range(check: Check) -> str:
    """The predicted count with its interval, as `3 (2 to 5)` or `9 (7 or more)`."""
    return count_text(check.predicted, check.probabilities, check.interval)


def count_text(
    predicted: int | None, labels: Container[str] | None, interval: Sequence[int | None] | None = None
) -> str:
    """A predicted count, and its interval if that says more. Of the open one of the model's `labels` the count has a
    plus; without a prediction it is a dash."""
    if predicted is None:
        return "-"
    count = f"{predicted}+" if f"{predicted}+" in (labels or ()) else str(predicted)
    low, high = interval or (predicted, predicted)
    if low == predicted and (high == predicted or (high is None and count.endswith("+"))):
        return count
    return f"{count} ({low} or more)" if high is None else f"{count} ({low} to {high})"


def percent(share: float) -> str:
    """A share from 0 to 1 in whole percents. A chance is not called 0% or 100% unless it is."""
    if 0 < share < 0.005:
        return "under 1%"
    return "over 99%" if 0.995 <= share < 1 else f"{share:.0%}"


def subject(alert: Alert) -> str:
    """The subject of the email: the bin, the recorded count, the predicted count, and the suspicion.

    It is printable ASCII and shorter than SUBJECT_LIMIT, as SNS requires. A long name of a bin loses its start.
    """
    facts = headline(alert, one_line)[: SUBJECT_LIMIT // 2]
    room = SUBJECT_LIMIT - 1 - len(f"Bin : {facts}")
    name = one_line(alert.check.bin)
    name = name if len(name) <= room else f"...{name[3 - room :]}"
    return ascii_subject(f"Bin {name}: {facts}")


def ascii_subject(text: str) -> str:
    """A subject that SNS accepts: printable ASCII, shorter than SUBJECT_LIMIT."""
    plain = " ".join(one_line(text).encode("ascii", "replace").decode().split())
    return plain if len(plain) < SUBJECT_LIMIT else f"{plain[: SUBJECT_LIMIT - 4]}..."


def body_text(alert: Alert, link: str | None, unnamed: Unnamed | None = None) -> str:
    """The body of the email: what, how sure and why, what to do, and the link. Each line has one fact.

    `unnamed` are the rejected and unpaired uploads since the last email about such an upload.
    """
    check = alert.check
    lines = [*facts(alert, one_line), f"What to do: {to_do(alert)}", ""]
    lines += [f"Link: {link}"] if link else []
    lines += [f"{name}: {one_line(address)}" for name, address in _addresses(check) if address]
    lines += [f"Check: {check.check_id}, {one_line(check.checked_at)}"]
    return "\n".join([*lines, *_unnamed_lines(unnamed)])


def headline(alert: Alert, quote: Quote) -> str:
    """The counts and the suspicion in a few words, or why there are none."""
    check = alert.check
    if alert.kind == "rejected":
        return f"not checked: {quote(check.reason)}"
    if alert.kind == "unpaired":
        return f"its {_parts(check)[1]} is missing"
    if alert.kind == "resolved":
        return f"in order again, recorded {check.expected}, seen {seen(check)}"
    return f"recorded {check.expected}, seen {seen(check)}, suspicion {percent(check.suspicion or 0)}"


def facts(alert: Alert, quote: Quote) -> list[str]:
    """What happened, how sure it is and why, one fact each."""
    check, name = alert.check, quote(alert.check.bin)
    if alert.kind == "rejected":
        return [f"Bin {name} could not be checked.", f"Why: {quote(check.reason)}"]
    if alert.kind == "unpaired":
        came, missing = _parts(check)
        return [f"Bin {name}: its {missing} is missing.", f"Why: its {came} came at {one_line(check.checked_at)}."]
    if alert.kind == "resolved":
        return [f"Bin {name} is in order again: the record says {check.expected}, the image shows {seen_range(check)}."]
    counts = f"the record says {check.expected}, the image shows {seen_range(check)}"
    found = [
        f"Bin {name}: {counts}: {abs(check.difference or 0)} {check.direction}.",
        f"Chance that the record is wrong: {percent(check.suspicion or 0)} ({check.severity} severity).",
    ]
    shares = check.probabilities or {}
    if seen(check) in shares:
        recorded = sum(share for label, share in shares.items() if covers(label, check.expected))
        found.append(
            f"Why: the model gives {seen(check)} a probability of {percent(shares[seen(check)])}, "
            f"and the recorded {check.expected} a probability of {percent(recorded)}."
        )
    if check.compared_with:
        found.append(REMEMBERED)
    if check.predicted_volume_in3 is not None and check.expected_volume_in3 is not None:
        found.append(f"Volume: {check.predicted_volume_in3:,.0f} in³ seen, {check.expected_volume_in3:,.0f} recorded.")
    return found


def to_do(alert: Alert) -> str:
    """What a person does next."""
    if alert.kind == "rejected":
        return "correct the cause, and upload the file again."
    if alert.kind == "unpaired":
        came, missing = _parts(alert.check)
        return f"upload the {missing}, or remove the {came}."
    if alert.kind == "resolved":
        return "nothing."
    return "look at the image, and store what you find: on the review page, or with `bincheck resolve`."


def digest_subject(unnamed: Unnamed) -> str:
    """The subject of an email about rejected and unpaired uploads that no other email has named."""
    numbers = (f"{number:,} {kind}" for kind, number in unnamed.numbers if number)
    return ascii_subject(f"Uploads that need attention: {', '.join(numbers)}")


def digest_text(unnamed: Unnamed, review_url: str | None) -> str:
    """The body of that email. `review_url` is the address of the review page; None without one."""
    lines = _unnamed_lines(unnamed)[1:]
    if review_url:
        lines += [f"Link: {review_url.rstrip('/')}/list/{kind}" for kind, number in unnamed.numbers if number]
    return "\n".join(lines)


def _unnamed_lines(unnamed: Unnamed | None) -> list[str]:
    if unnamed is None:
        return []
    lines = ["", "Rejected and unpaired uploads send at most one email an hour."]
    for kind, number in unnamed.numbers:
        if number:
            lines.append(
                f"Others {kind} since the last one: {number:,}. To list them: bincheck mismatches --kind {kind}"
            )
    return lines


def _parts(check: Check) -> tuple[str, str]:
    """The part of a waiting bin that came, and the missing one."""
    return ("image", "metadata") if check.image else ("metadata", "image")


def _addresses(check: Check) -> tuple[tuple[str, str | None], ...]:
    return ("Image", check.image), ("Metadata", check.metadata)


def covers(label: str, count: int | None) -> bool:
    """Whether a label of the model stands for a count: `10+` for 10 and more."""
    if count is None:
        return False
    return count >= first_count(label) if label.endswith("+") else count == first_count(label)


def first_count(label: str) -> int:
    """The least count that a label of the model stands for."""
    return int(label.rstrip("+"))
