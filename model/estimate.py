"""The count to read and its interval, from the distribution of the count. Pure code.

The last of the labels "0", "1", … may be open: it stands for its count and all greater ones.
"""

from collections.abc import Sequence
from itertools import accumulate

INTERVAL_SHARE = 0.8
"""The least probability of an interval."""
HALF = 0.5
_ROUNDING = 1e-9

Interval = tuple[int, int | None]
"""The least and the greatest count; None for the greatest of an open label."""


def median(probabilities: Sequence[float]) -> int:
    """The least count that at least half of the distribution (labels,) does not exceed.

    No other count has a smaller expected error in objects. An open label counts as its least count.
    """
    reached = accumulate(probabilities)
    return next(count for count, share in enumerate(reached) if share >= HALF - _ROUNDING)


def shortest_interval(probabilities: Sequence[float], *, open_end: bool) -> Interval:
    """The shortest run of counts that has at least INTERVAL_SHARE of the distribution (labels,).

    Of several it is the likeliest, then the lowest. It holds more than half, so the median lies in it. With `open_end`
    the last label is open.
    """
    last = len(probabilities) - 1
    runs = ((low, high) for low in range(last + 1) for high in range(low, last + 1))
    shares = {(low, high): sum(probabilities[low : high + 1]) for low, high in runs}
    low, high = min(
        (run for run, share in shares.items() if share >= INTERVAL_SHARE - _ROUNDING),
        key=lambda run: (run[1] - run[0], -shares[run], run),
    )
    return low, None if open_end and high == last else high
