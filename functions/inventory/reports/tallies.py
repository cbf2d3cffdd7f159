"""Tallies: the figures of a site's day. Pure code.

A tally is computed from the stored checks, so computing it again gives the same result.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from inventory.check import Check
from inventory.reports.audit import band_of


@dataclass(frozen=True)
class Answer:
    """The answer of the model to one image on one `day` (ISO 8601, UTC).

    `label` is the count as served ("3", "10+") and `confidence` its probability. Both are None for a rejected image or
    record. `mismatch` and `suspicion` come from the verdict. They are None without a record to compare with.
    """

    site: str
    day: str
    label: str | None = None
    confidence: float | None = None
    model: str | None = None
    mismatch: bool | None = None
    suspicion: float | None = None


@dataclass(frozen=True)
class Tally:
    """The figures of a `site` on a `day`.

    `answers` is the number of all answers, `rejected` of those without a count, `compared` of those with a record, and
    `mismatches` of the compared ones that differ. `confidence` is the sum over answers with a count, `suspicion` the
    sum over compared ones. `labels`, `models` and `bands` are the numbers of answers by label, by model
    and by band of suspicion (see `audit`).
    """

    site: str
    day: str
    answers: int = 0
    rejected: int = 0
    compared: int = 0
    mismatches: int = 0
    confidence: float = 0.0
    suspicion: float = 0.0
    labels: Mapping[str, int] = field(default_factory=dict)
    models: Mapping[str, int] = field(default_factory=dict)
    bands: Mapping[str, int] = field(default_factory=dict)

    @property
    def counted(self) -> int:
        return self.answers - self.rejected

    @property
    def mean_confidence(self) -> float | None:
        """The mean probability of the served count; None if there is no count."""
        return self.confidence / self.counted if self.counted else None

    @property
    def mean_suspicion(self) -> float | None:
        """The mean probability that a record is wrong; None if nothing was compared."""
        return self.suspicion / self.compared if self.compared else None

    @property
    def mismatch_rate(self) -> float | None:
        """The share of compared answers that differ from the record; None if nothing was compared."""
        return self.mismatches / self.compared if self.compared else None


def answer_of(check: Check) -> Answer:
    """The answer in a check."""
    day = datetime.fromisoformat(check.checked_at).date().isoformat()
    if check.predicted is None or not check.probabilities:
        return Answer(check.site, day)
    opened = f"{check.predicted}+"
    label = opened if opened in check.probabilities else str(check.predicted)
    return Answer(
        site=check.site,
        day=day,
        label=label,
        confidence=check.probabilities[label],
        model=check.model,
        mismatch=check.status == "mismatch",
        suspicion=check.suspicion,
    )


def tally(answers: Iterable[Answer]) -> list[Tally]:
    """The tally of each day and site, in that order. Memory grows with days and sites, not with answers."""
    sums: dict[tuple[str, str], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    labels: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    models: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    bands: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for answer in answers:
        key = (answer.day, answer.site)
        total = sums[key]
        total["answers"] += 1
        if answer.label is None:
            total["rejected"] += 1
            continue
        labels[key][answer.label] += 1
        models[key][answer.model or "unknown"] += 1
        total["confidence"] += answer.confidence or 0
        if answer.mismatch is not None:
            total["compared"] += 1
            total["mismatches"] += answer.mismatch
            total["suspicion"] += answer.suspicion or 0
            bands[key][str(band_of(answer.suspicion or 0))] += 1
    return [
        Tally(
            site,
            day,
            **total,
            labels=dict(labels[day, site]),
            models=dict(models[day, site]),
            bands=dict(bands[day, site]),
        )
        for (day, site), total in sorted(sums.items(), key=lambda one: one[0])
    ]


def merge(site: str, day: str, tallies: Iterable[Tally]) -> Tally:
    """The sum of several tallies of a site."""
    sums: dict[str, Any] = {}
    for each in tallies:
        for name, value in asdict(each).items():
            if name in ("labels", "models", "bands"):
                sums[name] = Counter(sums.get(name, {})) + Counter(value)
            elif name not in ("site", "day"):
                sums[name] = sums.get(name, 0) + value
    return Tally(site, day, **sums)
