"""Estimates from reviews: the share of wrong records, the accuracy of the model, and the slips in records. Pure code.

People review two groups of checks:

- The **audit** is a random sample of all checks with a count, independent of their suspicion (`sampling.is_audited`).
  The share of wrong records, the accuracy and bias of the model, and the calibration of suspicion come from it alone.
- **Alerts** are reviewed because they are suspicious, so the share of wrong records among them is no estimate for all
  checks. But wrong records are rare in the audit and frequent among alerts. So the distribution of slips comes from
  both, each weighted by the chance of its suspicion band to be reviewed.

Intervals cover 95%. Those of shares are Clopper's and Pearson's, that of a mean is a normal one.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from inventory.check import Check
from inventory.reports.intervals import Interval, Z, clopper_pearson
from inventory.verdict import MIXED_UP_SHARE, SLIPS

BAND_EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""The edges of the bands of suspicion. A band includes its lower edge."""
OTHER = 0
"""The key for all slips that SLIPS does not contain: the record belongs to another bin."""
ASSUMED_WEIGHT = 10
"""Wrong records."""
LEAST_REVIEWS = 20
"""The minimum number of reviews in a band. A band with fewer is merged with the next lower one."""


@dataclass(frozen=True)
class ReviewedCheck:
    """A reviewed check. `expected`, `predicted` and `actual` are object counts, `suspicion` is between 0 and 1.

    With `open_label` `predicted` means that count or more. `audited` says whether the check belongs to the audit.
    """

    expected: int
    predicted: int
    actual: int
    suspicion: float
    audited: bool
    open_label: bool = False

    @property
    def record_wrong(self) -> bool:
        return self.actual != self.expected

    @property
    def model_right(self) -> bool:
        return self.actual == self.predicted or (self.open_label and self.actual >= self.predicted)


@dataclass(frozen=True)
class ReliabilityBand:
    """The audited checks of one band of suspicion: their number, mean suspicion, and share of wrong records."""

    checks: int
    suspicion: float
    wrong: Interval


@dataclass(frozen=True)
class Audit:
    """The estimates from the audit alone.

    `bias` is the mean of predicted minus actual counts, over checks without an open label; None for fewer than two.
    `naive_wrong` is the share of wrong records among reviewed alerts; None without any. It is no estimate for all
    checks, and is reported for comparison.
    """

    reviewed: int
    wrong: Interval
    accuracy: Interval
    bias: Interval | None
    reliability: tuple[ReliabilityBand, ...]
    naive_wrong: float | None


def reviewed_check(check: Check, *, audited: bool) -> ReviewedCheck | None:
    """A check as a ReviewedCheck; None if it lacks a reviewed, predicted or recorded count."""
    if check.actual is None or check.expected is None or check.predicted is None or check.suspicion is None:
        return None
    opens = f"{check.predicted}+" in (check.probabilities or {})
    return ReviewedCheck(check.expected, check.predicted, check.actual, check.suspicion, audited, opens)


def audit(findings: Sequence[ReviewedCheck]) -> Audit | None:
    """The estimates from the audited ones of `findings`; None if none is audited."""
    sample = [finding for finding in findings if finding.audited]
    if not sample:
        return None
    alerts = [finding for finding in findings if not finding.audited]
    return Audit(
        reviewed=len(sample),
        wrong=clopper_pearson(sum(finding.record_wrong for finding in sample), len(sample)),
        accuracy=clopper_pearson(sum(finding.model_right for finding in sample), len(sample)),
        bias=_mean_error(sample),
        reliability=tuple(_reliability(sample)),
        naive_wrong=fmean(finding.record_wrong for finding in alerts) if alerts else None,
    )


def band_of(suspicion: float) -> int:
    """The index of the band that a suspicion belongs to."""
    return max(index for index, edge in enumerate(BAND_EDGES[:-1]) if suspicion >= edge)


def review_weights(findings: Sequence[ReviewedCheck], checks_by_band: Mapping[int, int]) -> list[float]:
    """How many checks each finding stands for, at least 1, in the order of `findings`.

    `checks_by_band` is the number of checks in each band of suspicion. The checks of a band are assumed to have the
    same chance of a review, so each review has the weight of the band's checks per review: Horvitz and Thompson (1952),
    "A Generalization of Sampling Without Replacement From a Finite Universe".
    """
    weights = [0.0] * len(findings)
    for members, checks in _merged_bands(findings, checks_by_band):
        for member in members:
            weights[member] = max(1.0, checks / len(members))
    return weights


def slip_shares(findings: Sequence[ReviewedCheck], weights: Sequence[float]) -> dict[int, Interval]:
    """The share of each slip (actual minus expected count) among all wrong records. OTHER has the rest.

    `weights` are those of `review_weights`. The intervals are those of the effective sample size.
    """
    totals, alike = _wrong_records(findings, weights)
    wrong = sum(totals.values())
    return {slip: clopper_pearson(alike * total / wrong if wrong else 0.0, alike) for slip, total in totals.items()}


def suggested_parameters(findings: Sequence[ReviewedCheck], weights: Sequence[float]) -> dict[str, str] | None:
    """The parameters of the stack, by name, that make suspicion start from these findings; None without an audit.

    `weights` are those of `review_weights`.
    """
    found = audit(findings)
    if found is None:
        return None
    slips = _suggested_slips(findings, weights)
    return {
        "MismatchRate": f"{min(max(found.wrong.estimate, 0.0001), 0.5):.4f}",
        "Slips": ",".join(f"{slip}:{share:.3f}" for slip, share in slips.items()),
    }


def _suggested_slips(findings: Sequence[ReviewedCheck], weights: Sequence[float]) -> dict[int, float]:
    """The share of each slip of SLIPS among all wrong records, as suspicion can be set to assume it: what was found, as
    if ASSUMED_WEIGHT further wrong records had been as assumed. So a slip that nobody has met yet stays possible."""
    totals, alike = _wrong_records(findings, weights)
    wrong = sum(totals.values())
    shares = {}
    for slip, share in SLIPS.items():
        found = alike * totals[slip] / wrong if wrong else 0.0
        shares[slip] = (found + ASSUMED_WEIGHT * share * (1 - MIXED_UP_SHARE)) / (alike + ASSUMED_WEIGHT)
    return shares


def effective_size(weights: Iterable[float]) -> float:
    """How many findings of equal weight say as much: Kish (1965), "Survey Sampling". 0 without any weight."""
    weights = list(weights)
    squares = sum(weight**2 for weight in weights)
    return sum(weights) ** 2 / squares if squares else 0.0


def _wrong_records(findings: Sequence[ReviewedCheck], weights: Sequence[float]) -> tuple[dict[int, float], float]:
    """Wrong records by slip, among all checks, and how many reviewed ones of equal weight would say as much."""
    totals = dict.fromkeys((*SLIPS, OTHER), 0.0)
    wrong = [(each, weight) for each, weight in zip(findings, weights, strict=True) if each.record_wrong]
    for each, weight in wrong:
        totals[_slip(each)] += weight
    return totals, effective_size(weight for _, weight in wrong)


def _merged_bands(
    findings: Iterable[ReviewedCheck], checks_by_band: Mapping[int, int]
) -> Iterable[tuple[list[int], int]]:
    """The positions of each band's findings, and its number of checks. A band with few joins the next lower one."""
    by_band: dict[int, list[int]] = defaultdict(list)
    for position, finding in enumerate(findings):
        by_band[band_of(finding.suspicion)].append(position)
    members, checks = list[int](), 0
    for index in reversed(range(len(BAND_EDGES) - 1)):
        members += by_band[index]
        checks += checks_by_band.get(index, 0)
        if len(members) >= LEAST_REVIEWS or index == 0:
            yield members, checks
            members, checks = [], 0


def _slip(finding: ReviewedCheck) -> int:
    slip = finding.actual - finding.expected
    return slip if slip in SLIPS else OTHER


def _reliability(sample: Iterable[ReviewedCheck]) -> Iterable[ReliabilityBand]:
    by_band: dict[int, list[ReviewedCheck]] = defaultdict(list)
    for finding in sample:
        by_band[band_of(finding.suspicion)].append(finding)
    for _, members in sorted(by_band.items()):
        wrong = clopper_pearson(sum(member.record_wrong for member in members), len(members))
        yield ReliabilityBand(len(members), fmean(member.suspicion for member in members), wrong)


def _mean_error(sample: Iterable[ReviewedCheck]) -> Interval | None:
    errors = [finding.predicted - finding.actual for finding in sample if not finding.open_label]
    if len(errors) < 2:
        return None
    mean, half = fmean(errors), Z * stdev(errors) / math.sqrt(len(errors))
    return Interval(mean, mean - half, mean + half)
