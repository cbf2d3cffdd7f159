"""Compares a site's day with the weeks before. Pure code, over tallies.

Two tests run for each day and site, with the days before as the reference:

- **Drift.** Has the distribution of the predicted counts changed? The measure is the population stability index
  Σ (p - q)·ln(p/q) over the labels.
- **Mismatches.** Do more images disagree with their records than before? The test is a control chart of proportions.

Either can mean that the model has become worse (another camera, other light, other goods), or that the site has
changed. A person must inspect some images to decide.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from inventory.reports.tallies import Tally, merge

REFERENCE = timedelta(days=28)
"""Four weeks. Whole weeks give every weekday the same weight."""
DRIFT_THRESHOLD = 0.25
"""The customary limit of the index for a major shift; 0.1 is the one for a moderate shift. Siddiqi (2006), "Credit Risk
Scorecards"; Yurdakul and Naranjo (2020), "Statistical properties of the population stability index"."""
MIN_ANSWERS = 260
"""Minimum answers of a day and of its reference. With fewer there is no test. If nothing has changed, the index is
distributed as (1/n + 1/m)·χ², with one degree of freedom less than there are labels (Yurdakul and Naranjo). For
eleven labels and n = m = 260 it then exceeds 0.25 less than once in 3,000 days."""
SIGMAS = 3.0
"""Control limit of the chart of proportions: NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.3.2."""
MIN_EXCESS = 0.05
"""The minimum rise of the mismatch rate. It is needed because with many thousand checks any change is significant."""
SMOOTHING = 0.5
"""Added to the answers of each label, so that the index is finite if a label has none."""


@dataclass(frozen=True)
class Comparison:
    """A `tally` compared with the `reference` of the days before.

    `drift` is the population stability index. `excess` is the mismatch rate minus the reference's. Each is None if
    either side has fewer than MIN_ANSWERS. `drifted` and `disagrees` say whether a person must inspect the site.
    """

    tally: Tally
    reference: Tally
    drift: float | None
    excess: float | None
    drifted: bool
    disagrees: bool

    @property
    def new_models(self) -> list[str]:
        """Models that answered on the day and not in the reference. Empty without a reference."""
        return sorted(set(self.tally.models) - set(self.reference.models)) if self.reference.models else []

    @property
    def findings(self) -> list[str]:
        """The sentences for a person who must inspect the site."""
        site, day = self.tally.site or "(no site)", self.tally.day
        since = f", which {', '.join(self.new_models)} is new to" if self.new_models else ""
        found = []
        if self.drifted:
            found.append(
                f"{site} on {day}: the counts seen have drifted from the weeks before (index {self.drift:.2f}){since}"
            )
        if self.disagrees:
            found.append(
                f"{site} on {day}: {self.tally.mismatch_rate:.1%} of images disagree with their records, "
                f"{self.reference.mismatch_rate:.1%} in the weeks before{since}"
            )
        return found


def compare(tallies: Iterable[Tally], before: Iterable[Tally]) -> list[Comparison]:
    """Compare each tally with its site's tallies of the REFERENCE before its day. `before` holds these."""
    of_site: dict[str, list[Tally]] = {}
    for each in before:
        of_site.setdefault(each.site, []).append(each)
    return [_comparison(each, of_site.get(each.site, ())) for each in tallies]


def stability_index(counts: Mapping[str, int], reference: Mapping[str, int]) -> float:
    """The population stability index of two distributions of labels: at least 0, 0 if they are equal, symmetric."""
    labels = counts.keys() | reference.keys()
    here, there = (sum(some.values()) + SMOOTHING * len(labels) for some in (counts, reference))
    index = 0.0
    for label in labels:
        p, q = (counts.get(label, 0) + SMOOTHING) / here, (reference.get(label, 0) + SMOOTHING) / there
        index += (p - q) * math.log(p / q)
    return index


def _comparison(tally: Tally, before: Iterable[Tally]) -> Comparison:
    day = date.fromisoformat(tally.day)
    earliest = (day - REFERENCE).isoformat()
    reference = merge(tally.site, tally.day, (each for each in before if earliest <= each.day < tally.day))
    drift = excess = None
    disagrees = False
    if min(tally.counted, reference.counted) >= MIN_ANSWERS:
        drift = stability_index(tally.labels, reference.labels)
    if min(tally.compared, reference.compared) >= MIN_ANSWERS:
        rate, usual = tally.mismatches / tally.compared, reference.mismatches / reference.compared
        pooled = (tally.mismatches + reference.mismatches) / (tally.compared + reference.compared)
        sigma = math.sqrt(pooled * (1 - pooled) * (1 / tally.compared + 1 / reference.compared))
        excess = rate - usual
        disagrees = excess > max(SIGMAS * sigma, MIN_EXCESS)
    return Comparison(tally, reference, drift, excess, drift is not None and drift > DRIFT_THRESHOLD, disagrees)
