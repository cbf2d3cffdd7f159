"""What a day's answers come to at each site. Pure code.

A tally is counted from the checks themselves, so it can be made again at any time and comes out the same.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from inventory.check import Check


@dataclass(frozen=True)
class Answer:
    """One image on one `day` (ISO 8601, UTC), as the model answered it.

    `label` is the likeliest count ("3", "6+") and `confidence` its probability; both are None for an image or record
    that was rejected. `mismatch` and `suspicion` are the verdict's, None where nothing was recorded to compare with.
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
    """What the answers of a `site` on a `day` come to.

    `answers` are all of them, `rejected` those without a count, `compared` those with a record to compare with, and
    `mismatches` those of them that differ. `confidence` and `suspicion` are sums over answers with a count and over
    compared ones; `labels` and `models` say how many answers gave which.
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

    @property
    def counted(self) -> int:
        return self.answers - self.rejected

    @property
    def mean_confidence(self) -> float | None:
        """The mean probability of the likeliest count; None when there was none."""
        return self.confidence / self.counted if self.counted else None

    @property
    def mean_suspicion(self) -> float | None:
        """The mean probability that a record is wrong; None when nothing was compared."""
        return self.suspicion / self.compared if self.compared else None

    @property
    def mismatch_rate(self) -> float | None:
        """The share of compared answers that differ from the record; None when nothing was compared."""
        return self.mismatches / self.compared if self.compared else None


def answer_of(check: Check) -> Answer:
    """What a check says about the model and the site."""
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
    """The tally of each day and site that has answers, in their order. Memory does not grow with the answers."""
    sums: dict[tuple[str, str], dict[str, Any]] = defaultdict(lambda: defaultdict(int))
    labels: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    models: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
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
    return [
        Tally(site, day, **total, labels=dict(labels[day, site]), models=dict(models[day, site]))
        for (day, site), total in sorted(sums.items(), key=lambda one: one[0])
    ]


def merge(site: str, day: str, tallies: Iterable[Tally]) -> Tally:
    """Several tallies of a site as one."""
    sums: dict[str, Any] = {}
    for each in tallies:
        for name, value in asdict(each).items():
            if name in ("labels", "models"):
                sums[name] = Counter(sums.get(name, {})) + Counter(value)
            elif name not in ("site", "day"):
                sums[name] = sums.get(name, 0) + value
    return Tally(site, day, **sums)
