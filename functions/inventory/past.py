"""The memory of a bin: what its last confirmed photograph says about a new one. Pure code.

A model repeats its error on a bin, because what hides an object hides it again. So if the last photograph was
underestimated, the new one probably is, too.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import accumulate, pairwise
from statistics import NormalDist

from inventory.check import Check
from inventory.prediction import Prediction, estimated, is_open
from inventory.verdict import TAIL_RATIO

MOST_EARLIER = 4
"""The number of earlier checks to choose from. A bin whose two files are replaced gets two checks."""

SETTLED = timedelta(hours=1)
"""Longer than the two files of an update are apart."""

REVIEW_DOUBT = 0.02
"""Assumed: people miscount too."""

CORRELATION = 0.65
"""Of a model's errors on two photographs that share at least half of their objects. Chosen on val of the public bin
images: the log loss of the count is nearly the same from 0.6 to 0.75 (docs/experiments.md)."""

RESTOCKED = 0.2
"""Assumed share of bins that hold other objects since, so that the last error says nothing. On val it takes a tenth of
what the past gains where the objects are the same, and more than half of what it loses where they are others."""

LEAST_TAIL = 1e-4
"""A last count that the model found less probable than this counts as if it were this probable."""

NORMAL = NormalDist()


@dataclass(frozen=True)
class Confirmed:
    """A check whose image shows `count` objects. `doubt` is the probability that this is wrong, 0 to 1."""

    check: Check
    count: int
    doubt: float


def last_confirmed(check: Check, earlier: Iterable[Check]) -> Confirmed | None:
    """The last of the `earlier` checks of the bin, which come newest first, that is of another image than `check`, by
    the same model, and confirmed; None without one.

    A count that a person found is confirmed. An undisputed record is if its pair was settled, which means that it
    shares no part with its successor or was current for SETTLED. The two files of an update arrive one after the other,
    so for a moment the new image is paired with the old record, or the reverse. Such a record says nothing about the
    image. The successor is the next check that was made: a pair that was current again later is not seen.
    """
    later = check
    for before in earlier:
        other_image = before.versions[0] != check.versions[0]
        if other_image and before.model == check.model and (confirmed := _confirmed(before, later)):
            return confirmed
        later = before
    return None


def _confirmed(check: Check, later: Check) -> Confirmed | None:
    """A check that a person counted, or whose record nobody disputes; None for any other, or one without an answer."""
    if check.probabilities is None:
        return None
    if check.reviewed_at:
        return None if check.actual is None else Confirmed(check, check.actual, REVIEW_DOUBT)
    if check.status != "match" or check.expected is None or check.suspicion is None or not _is_settled(check, later):
        return None
    return Confirmed(check, check.expected, check.suspicion)


def _is_settled(check: Check, later: Check) -> bool:
    current_for = datetime.fromisoformat(later.checked_at) - datetime.fromisoformat(check.checked_at)
    shared = any(version == its for version, its in zip(check.versions, later.versions, strict=True))
    return current_for >= SETTLED or not shared


def given_past(prediction: Prediction, confirmed: Confirmed) -> Prediction | None:
    """The prediction once the last confirmed check of the bin is known; None if that has other labels."""
    shares = confirmed.check.probabilities_alone or confirmed.check.probabilities or {}
    if shares.keys() != set(prediction.labels):
        return None
    return remembering(prediction, [shares[label] for label in prediction.labels], confirmed.count, confirmed.doubt)


def remembering(prediction: Prediction, last: Sequence[float], last_count: int, doubt: float) -> Prediction:
    """The prediction once it is known that the bin held `last_count` objects when `last` (labels,) was predicted.

    `doubt` is the probability, 0 to 1, that this count is wrong. Then it says nothing, nor does it if the bin was
    restocked, and the prediction stands.
    """
    given = given_last(prediction.probabilities, last, last_count, open_end=is_open(prediction))
    alone, trust = prediction.probabilities, (1 - doubt) * (1 - RESTOCKED)
    mixed = (trust * one + (1 - trust) * other for one, other in zip(given, alone, strict=True))
    return estimated(replace(prediction, probabilities=tuple(mixed)))


def given_last(now: Sequence[float], last: Sequence[float], last_count: int, *, open_end: bool) -> tuple[float, ...]:
    """The distribution `now` (labels,) once it is known that the bin held `last_count` objects when `last` (labels,)
    was predicted. With `open_end` the last label is open.

    The place of a true count in its predicted distribution, as a quantile of a standard normal, is the error. Both
    errors are taken as normal with the correlation CORRELATION (a Gaussian copula: Nelsen (2006), "An Introduction to
    Copulas"). So F(k), the probability of at most k objects, becomes
    Phi((Phi^-1(F(k)) - c * error of `last`) / sqrt(1 - c**2)), where c is that correlation.
    """
    place = (_fewer(last, last_count, open_end) + _fewer(last, last_count + 1, open_end)) / 2
    error = NORMAL.inv_cdf(min(max(place, LEAST_TAIL), 1 - LEAST_TAIL))

    def moved(edge: float) -> float:
        if not 0 < edge < 1:
            return min(max(edge, 0.0), 1.0)
        return NORMAL.cdf((NORMAL.inv_cdf(edge) - CORRELATION * error) / math.sqrt(1 - CORRELATION**2))

    edges = [0.0, *(moved(edge) for edge in accumulate(now[:-1])), 1.0]
    return tuple(high - low for low, high in pairwise(accumulate(edges, max)))


def _fewer(shares: Sequence[float], count: int, open_end: bool) -> float:
    """The probability of fewer than `count` objects; the counts of an open label are spread as the verdict does."""
    last = len(shares) - 1
    if count <= last:
        return 1 - sum(shares[count:])
    return 1 - shares[last] * TAIL_RATIO ** (count - last) if open_end else 1.0
