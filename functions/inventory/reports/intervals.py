"""Intervals of shares. Pure code.

The interval is that of Clopper and Pearson (1934), "The Use of Confidence or Fiducial Limits Illustrated in the Case of
the Binomial": it covers the truth in at least 95% of all samples, whatever the truth is. Its limits are quantiles of
beta distributions, which also take numbers of trials that are no whole numbers, as weighted samples have them: Korn and
Graubard (1998), "Confidence Intervals for Proportions With Small Expected Number of Positive Counts".
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

COVERAGE = 0.95
Z = NormalDist().inv_cdf((1 + COVERAGE) / 2)
"""Half the width of a normal interval, in standard errors."""
_STEPS = 60
"""Halvings of the interval from 0 to 1: more than a double can tell apart."""


@dataclass(frozen=True)
class Interval:
    """An estimate and its 95% interval."""

    estimate: float
    low: float
    high: float


def clopper_pearson(successes: float, trials: float) -> Interval:
    """The share of successes, from 0 to 1. Without trials it is 0 to 1 around one half."""
    if trials <= 0:
        return Interval(0.5, 0.0, 1.0)
    failures, tail = trials - successes, (1 - COVERAGE) / 2
    low = _beta_quantile(tail, successes, failures + 1) if successes > 0 else 0.0
    high = _beta_quantile(1 - tail, successes + 1, failures) if failures > 0 else 1.0
    return Interval(successes / trials, low, high)


def _beta_quantile(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _beta_cdf(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_cdf(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function, by its continued fraction: DLMF, https://dlmf.nist.gov/8.17.v."""
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below only
        return 1 - _beta_cdf(1 - x, b, a)
    if x <= 0:
        return 0.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    return front / _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)), from its tail; the terms needed grow with the root of the trials."""
    fraction = 1.0
    for m in range(20 + int(math.sqrt(max(a, b))) * 4, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m - 1) * (a + b + m - 1) * x / ((a + 2 * m - 2) * (a + 2 * m - 1))
        fraction = 1 + odd / (1 + even / fraction)
    return fraction
