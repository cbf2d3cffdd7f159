"""How well suspicion finds wrong records: every bin is checked against its true record and against every slip of it.

A wrong record is weighted by its frequency under the verdict's own assumption. So the figures are expectations over
the slips, and only the objects that a wrong record lacks or adds are drawn at random. The naive rule (predicted differs
from recorded) and the served one (a mismatch) are measured in the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from inventory.metadata import Record
from inventory.prediction import Prediction
from inventory.verdict import judge

from .metrics import Band, gap, reliability
from .slips import claimed_products, slip_weights

Array = npt.NDArray[np.float64]
MISMATCH_RATE = 0.02
BUDGETS = (0.01, 0.05, 0.1)  # shares of all checks that a person can review
RECALLS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
BANDS = 20
DRAWS = 4
ROUNDS = 200


@dataclass(frozen=True)
class Checks:
    """Bins checked against records, columns of one length.

    `bin` is the position of the bin, `true` its true count, `slip` the true minus the recorded count (0: the record is
    right), `weight` the frequency of this check, `suspicion` is from 0 to 1. `differs` (0 or 1) says whether the served
    count differs from the record, `flagged` (0 or 1) whether the check is a mismatch.
    """

    bin: npt.NDArray[np.int64]
    true: npt.NDArray[np.int64]
    slip: npt.NDArray[np.int64]
    weight: Array
    suspicion: Array
    differs: Array
    flagged: Array

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        return self.slip != 0

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Checks":
        return Checks(**{name: column[chosen] for name, column in vars(self).items()})


def check_all(
    predictions: Sequence[Prediction],
    counts: npt.NDArray[np.int64],
    volumes: Sequence[Sequence[float] | None] | None = None,
    mismatch_rate: float = MISMATCH_RATE,
) -> Checks:
    """Judge every bin, of true counts `counts` (n,), with its right record and each wrong one.

    `volumes` are those of each bin's objects in cubic inches, None where there is no record of them; which objects a
    wrong record lacks or claims is drawn, DRAWS times for each slip. `mismatch_rate` is the share of wrong records,
    injected and assumed alike.
    """
    rng = np.random.default_rng(0)
    known = volumes if volumes is not None else [None] * len(predictions)
    catalogue = [volume for held in known for volume in held or () if np.isfinite(volume)]
    rows = []
    for index, (prediction, true, held) in enumerate(zip(predictions, counts.tolist(), known, strict=True)):
        for slip, weight in slip_weights(true, mismatch_rate).items():
            draws = DRAWS if slip and held is not None else 1
            for _ in range(draws):
                products = () if held is None else claimed_products(held, slip, catalogue, rng)
                verdict = judge(prediction, Record(true - slip, products), mismatch_rate)
                flags = float(verdict.difference != 0), float(verdict.status == "mismatch")
                rows.append((index, true, slip, weight / draws, verdict.suspicion, *flags))
    bins, trues, slips, *figures = zip(*rows, strict=True)
    return Checks(np.array(bins), np.array(trues), np.array(slips), *map(np.array, figures))


def recall_at(
    budgets: Sequence[float], scores: Array, wrong: npt.NDArray[np.bool_], weights: Array
) -> npt.NDArray[np.float64]:
    """Share of wrong records among the greatest scores, for each budget (a share of all checks); ties are split."""
    _, place = np.unique(-scores, return_inverse=True)
    reviewed, found = (np.cumsum(np.append(0, np.bincount(place, weights * chosen))) for chosen in (1, wrong))
    return np.interp(np.array(budgets) * reviewed[-1], reviewed, found) / found[-1]


def figures_of(scores: Array, checks: Checks) -> dict[str, float]:
    """AUC and average precision of a score, and recall and precision among the most suspicious of each budget."""
    wrong, weight = checks.wrong, checks.weight
    figures = {
        "auc": float(roc_auc_score(wrong, scores, sample_weight=weight)),
        "average_precision": float(average_precision_score(wrong, scores, sample_weight=weight)),
    }
    recalls = recall_at(BUDGETS, scores, wrong, weight)
    precisions = recalls * np.average(wrong, weights=weight) / BUDGETS
    for name, values in (("recall", recalls), ("precision", precisions)):
        figures |= {f"{name}_at_{budget:.0%}": float(value) for budget, value in zip(BUDGETS, values, strict=True)}
    return figures


def subsets(checks: Checks) -> dict[str, Checks]:
    """Parts of the checks that are easier or harder, by name, without those that have no bin."""
    parts = {
        "slips_of_one": np.isin(checks.slip, (-1, 0, 1)),
        "slips_of_two_or_more": np.abs(checks.slip) != 1,
        "true_counts_0_5": checks.true <= 5,
        "true_counts_above_5": checks.true > 5,
    }
    return {name: checks.where(chosen) for name, chosen in parts.items() if chosen.any()}


def suspicion_bands(checks: Checks, bands: int = BANDS) -> list[Band]:
    """Mean suspicion against the share that is wrong, over bands that hold equally many checks."""
    return reliability(checks.suspicion, checks.wrong.astype(float), checks.weight, bands=bands, equal_mass=True)


def precision_recall(scores: Array, checks: Checks) -> tuple[Array, Array]:
    """(recall, precision), each (points,), of alerts on all checks above a falling threshold, recall rising from 0."""
    precision, recall, _ = precision_recall_curve(
        checks.wrong, scores, sample_weight=checks.weight, drop_intermediate=True
    )
    precision[-1] = precision[-2]  # scikit-learn puts 1 where there is no alert
    return recall[::-1], precision[::-1]


def bootstrap_intervals(checks: Checks, rounds: int = ROUNDS, seed: int = 0) -> dict[str, list[float]]:
    """The 95% bootstrap interval of each figure of suspicion, bins drawn with replacement, all checks with them."""
    rng = np.random.default_rng(seed)
    bins = int(checks.bin.max()) + 1
    draws = []
    for _ in range(rounds):
        times = np.bincount(rng.integers(0, bins, bins), minlength=bins)[checks.bin]
        drawn = replace(checks, weight=checks.weight * times).where(times > 0)
        draws.append(figures_of(drawn.suspicion, drawn))
    return {name: np.quantile([draw[name] for draw in draws], (0.025, 0.975)).tolist() for name in draws[0]}


def flagged_shares(checks: Checks) -> dict[str, float]:
    """The share of right and of wrong records whose count differs, and of those that are a mismatch."""
    parts = {"right": checks.where(~checks.wrong), "wrong": checks.where(checks.wrong)}
    return {
        f"{name}_records_{what}": float(np.average(rule, weights=part.weight))
        for name, part in parts.items()
        for what, rule in (("that_differ", part.differs), ("flagged", part.flagged))
    }


def alert_quality(checks: Checks) -> dict[str, object]:
    """Every figure of suspicion and of the naive rule, ready for JSON."""
    scores = {"suspicion": checks.suspicion, "naive_rule": checks.differs}
    right, wrong = checks.where(~checks.wrong), checks.where(checks.wrong)
    bands = suspicion_bands(checks)
    recall, precision = precision_recall(checks.suspicion, checks)
    return {
        "mismatch_rate": float(np.average(checks.wrong, weights=checks.weight)),
        **{name: figures_of(score, checks) for name, score in scores.items()},
        "suspicion_intervals": bootstrap_intervals(checks),
        "auc_of_subsets": {
            name: {
                "suspicion": figures_of(part.suspicion, part)["auc"],
                "naive_rule": figures_of(part.differs, part)["auc"],
            }
            for name, part in subsets(checks).items()
        },
        **flagged_shares(checks),
        "precision_at_recall": {f"{at:.0%}": float(precision[np.searchsorted(recall, at)]) for at in RECALLS},
        "reliability": [vars(band) for band in bands],
        "calibration_error": gap(bands),
        "mean_suspicion": {
            name: float(np.average(part.suspicion, weights=part.weight))
            for name, part in {"all": checks, "right": right, "wrong": wrong}.items()
        },
        "suspicion_quantiles_of_right_records": {
            f"{q:.0%}": float(np.quantile(right.suspicion, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
        },
    }
