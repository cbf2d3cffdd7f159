"""What reviews say about all checks: how many records are wrong, how good the model is, which slips happen. Pure code.

Two groups of checks are reviewed, and neither alone answers for the rest:

- The **audit** is a random sample of all checks with a count, drawn by `sampling.is_audited` whatever their suspicion.
  From it alone come the share of wrong records, the accuracy and the bias of the model, and whether suspicion means
  what it says.
- **Alerts** are reviewed because they are suspicious, so the share of wrong records among them says nothing about the
  rest. Together with the audit, and each weighted by the chance of its suspicion band to be reviewed, they say which
  slips happen: wrong records are rare in the audit and frequent among alerts.

Intervals cover 95%. Those of shares are Clopper's and Pearson's, that of a mean is a normal one.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from inventory.check import Check
from inventory.reports.intervals import Interval, Z, clopper_pearson
from inventory.verdict import SLIPS

BAND_EDGES = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 1.0)
"""Of suspicion, each band from its edge up to the next one."""
OTHER = 0
"""Stands for every slip that SLIPS does not name: the record belongs to another bin."""
LEAST_REVIEWS = 20
"""Of a band; bands with fewer are merged with their neighbour below."""


@dataclass(frozen=True)
class ReviewedCheck:
    """A check that people reviewed: `expected`, `predicted` and `actual` are object counts, `suspicion` lies between 0
    and 1. `predicted` stands for itself and more where `open_label`. `audited` is whether the check is in the audit.
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
    """Audited checks of one band of suspicion: how many, their mean suspicion, and the share of wrong records."""

    checks: int
    suspicion: float
    wrong: Interval


@dataclass(frozen=True)
class Audit:
    """What the audit alone says. `bias` is the mean of predicted minus actual counts, over checks without an open
    label; None where there are fewer than two. `naive_wrong` is the share among reviewed alerts, which is no estimate
    of the whole and is shown beside it for that reason; None without any."""

    reviewed: int
    wrong: Interval
    accuracy: Interval
    bias: Interval | None
    reliability: tuple[ReliabilityBand, ...]
    naive_wrong: float | None


def reviewed_check(check: Check, *, audited: bool) -> ReviewedCheck | None:
    """A check with the count that people found; None where they found none, or nothing was counted or recorded."""
    if check.actual is None or check.expected is None or check.predicted is None or check.suspicion is None:
        return None
    opens = f"{check.predicted}+" in (check.probabilities or {})
    return ReviewedCheck(check.expected, check.predicted, check.actual, check.suspicion, audited, opens)


def audit(findings: Sequence[ReviewedCheck]) -> Audit | None:
    """What the audited ones of `findings` say; None where none is audited."""
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
    """The index of the band of BAND_EDGES in which a suspicion lies."""
    return max(index for index, edge in enumerate(BAND_EDGES[:-1]) if suspicion >= edge)


def slip_shares(findings: Sequence[ReviewedCheck], checks_by_band: Mapping[int, int]) -> dict[int, Interval]:
    """The share of each slip (actual minus expected count) among all wrong records; OTHER holds what SLIPS lacks.

    `checks_by_band` says how many checks lie in each band of suspicion. Within a band every check is taken to have the
    same chance of being reviewed, so each reviewed one stands for as many as its band has per review: Horvitz and
    Thompson (1952), "A Generalization of Sampling Without Replacement From a Finite Universe". The intervals are those
    of as many reviews as weigh the same: Kish (1965), "Survey Sampling".
    """
    weights: dict[int, list[float]] = defaultdict(list)
    for members, checks in _merged_bands(findings, checks_by_band):
        for member in members:
            if member.record_wrong:
                weights[_slip(member)].append(max(1.0, checks / len(members)))
    total = sum(map(sum, weights.values()))
    squares = sum(weight**2 for each in weights.values() for weight in each)
    alike = total**2 / squares if squares else 0.0
    return {slip: clopper_pearson(alike * sum(weights[slip]) / (total or 1), alike) for slip in (*SLIPS, OTHER)}


def _merged_bands(
    findings: Iterable[ReviewedCheck], checks_by_band: Mapping[int, int]
) -> Iterable[tuple[list[ReviewedCheck], int]]:
    """The reviewed checks of each band, and how many checks it has; bands with few reviews joined to the next below."""
    by_band: dict[int, list[ReviewedCheck]] = defaultdict(list)
    for finding in findings:
        by_band[band_of(finding.suspicion)].append(finding)
    members, checks = list[ReviewedCheck](), 0
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
