"""The audit: which checks belong to it, and what its reviews agree on. Pure code.

The audit is a random sample of the checks with a count, independent of their suspicion. So its findings hold for all
checks. Findings of alerts hold for alerts only.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from inventory.check import Finding

LOOK_LIFE = timedelta(minutes=5)
"""The same answer of the same reviewer within this time is the same look."""
_HASH_DIGITS = 8
_HASHES: int = 16**_HASH_DIGITS


def is_audited(check_id: str, share: float) -> bool:
    """Whether a check belongs to the random sample of `share`, 0 to 1. The answer for a check never changes.

    `check_id` is a SHA-256 digest, so its first digits are uniform and independent of the check's result.
    """
    return int(check_id[:_HASH_DIGITS], 16) < share * _HASHES


def agreed_count(expected: int, findings: Sequence[Finding]) -> int | None:
    """The count that the reviews of an audited check agree on; None if more reviews are needed.

    One review that confirms the record is enough. Otherwise two reviews must have the same count. Wrong records are
    rare, so without a second count many findings would be mistakes of the reviewer. Stock audits count twice too.
    """
    counts = [finding.actual for finding in _looks(findings) if finding.kind == "count" and finding.actual is not None]
    votes = Counter(counts)
    agreed = next((count for count in counts if votes[count] > 1), None)
    return expected if agreed is None and counts[:1] == [expected] else agreed


def _looks(findings: Sequence[Finding]) -> Iterator[Finding]:
    """The reviews without repetitions: a form that a browser sends twice, or a page that is answered again after the
    back key, is no second look. Unnamed reviewers are taken to be different people."""
    last: dict[tuple[str, int | None], datetime] = {}
    for finding in findings:
        if finding.reviewer:
            who, moment = (finding.reviewer, finding.actual), datetime.fromisoformat(finding.reviewed_at)
            if who in last and moment - last[who] < LOOK_LIFE:
                continue
            last[who] = moment
        yield finding


def is_settled(expected: int, findings: Sequence[Finding]) -> bool:
    """Whether an audited check needs no more reviews: they agree on a count, or more of them cannot tell than can."""
    unclear = sum(finding.kind == "unclear" for finding in findings)
    return agreed_count(expected, findings) is not None or unclear > len(findings) - unclear
