"""The audit: which checks are in it, and what its reviews come to. Pure code.

The audit is a random sample of the checks with a count, whatever their suspicion. What is found in it holds for all
checks; what is found in alerts holds for alerts only.
"""

from collections import Counter
from collections.abc import Sequence

from inventory.check import Finding

_HASH_DIGITS = 8
_HASHES: int = 16**_HASH_DIGITS


def is_audited(check_id: str, share: float) -> bool:
    """Whether a check belongs to the random sample of that `share`, 0 to 1. The same for a check whenever it is asked.

    `check_id` is a SHA-256 digest, so its first digits are uniform and depend on nothing that the check says.
    """
    return int(check_id[:_HASH_DIGITS], 16) < share * _HASHES


def agreed_count(expected: int, findings: Sequence[Finding]) -> int | None:
    """The count that the reviews of an audited check agree on; None where more are needed.

    One review that finds the record right is enough. One that finds it wrong is not: wrong records are rare, so most of
    these would be slips of the reviewer, and double counting is the remedy of every stock audit. Two equal counts are.
    """
    counts = [finding.actual for finding in findings if finding.kind == "count" and finding.actual is not None]
    votes = Counter(counts)
    agreed = next((count for count in counts if votes[count] > 1), None)
    return expected if agreed is None and counts[:1] == [expected] else agreed
