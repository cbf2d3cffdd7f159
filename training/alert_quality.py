"""How well suspicion finds wrong records: every bin is judged with its true record and with every slip of it.

A wrong record weighs as often as the verdict's own assumption says it occurs, so nothing is drawn at random. The same
is done for the plain comparison (predicted differs from recorded), which everyone would try first.
"""

import numpy as np
import numpy.typing as npt

from inventory.counting import Prediction
from inventory.verdict import SLIPS, judge

Array = npt.NDArray[np.float64]
BUDGETS = (0.01, 0.05, 0.1)  # shares of all checks that somebody can look at


def area_under_curve(scores: Array, wrong: Array, weights: Array) -> float:
    """The chance that a wrong record scores above a right one, ties counting half."""
    levels, place = np.unique(scores, return_inverse=True)
    wrong_at = np.bincount(place, weights * wrong, len(levels))
    right_at = np.bincount(place, weights * (1 - wrong), len(levels))
    below = np.cumsum(right_at) - right_at
    return float(np.sum(wrong_at * (below + right_at / 2)) / (wrong_at.sum() * right_at.sum()))


def recall_at(scores: Array, wrong: Array, weights: Array, budget: float) -> float:
    """Share of wrong records among the `budget` (a share of all checks) with the greatest scores."""
    levels, place = np.unique(-scores, return_inverse=True)
    looked_at = np.bincount(place, weights, len(levels))
    found_at = np.bincount(place, weights * wrong, len(levels))
    within = np.clip((budget * weights.sum() - (np.cumsum(looked_at) - looked_at)) / looked_at, 0, 1)
    return float(np.sum(found_at * within) / found_at.sum())


def alert_quality(
    predictions: list[Prediction], counts: npt.NDArray[np.int64], mismatch_rate: float = 0.02
) -> dict[str, object]:
    """AUC and recall at each budget of suspicion and of the plain comparison, and how suspicion is distributed.

    `counts` are the true counts; `mismatch_rate` is the share of wrong records, injected and assumed alike.
    """
    suspicion, differs, wrong, weights, slips = [], [], [], [], []
    for prediction, true in zip(predictions, counts.tolist(), strict=True):
        possible = {slip: share for slip, share in SLIPS.items() if true - slip >= 0}
        records = {0: 1 - mismatch_rate}
        records |= {slip: mismatch_rate * share / sum(possible.values()) for slip, share in possible.items()}
        for slip, weight in records.items():
            verdict = judge(prediction, true - slip, mismatch_rate)
            suspicion.append(verdict.suspicion)
            differs.append(float(verdict.status == "mismatch"))
            wrong.append(float(slip != 0))
            weights.append(weight)
            slips.append(abs(slip))
    score, plain, is_wrong, weight = (np.array(values) for values in (suspicion, differs, wrong, weights))
    large = np.array(slips) != 1
    right = is_wrong == 0
    return {
        "mismatch_rate": mismatch_rate,
        "auc": {
            "suspicion": area_under_curve(score, is_wrong, weight),
            "plain_comparison": area_under_curve(plain, is_wrong, weight),
            "suspicion_slips_of_two_or_more": area_under_curve(score[large], is_wrong[large], weight[large]),
            "plain_comparison_slips_of_two_or_more": area_under_curve(plain[large], is_wrong[large], weight[large]),
        },
        "recall_of_suspicion": {f"{budget:.0%}": recall_at(score, is_wrong, weight, budget) for budget in BUDGETS},
        "recall_of_plain_comparison": {
            f"{budget:.0%}": recall_at(plain, is_wrong, weight, budget) for budget in BUDGETS
        },
        "right_records_that_differ": float(np.average(plain[right], weights=weight[right])),
        "mean_suspicion": {
            "all": float(np.average(score, weights=weight)),
            "right": float(np.average(score[right], weights=weight[right])),
            "wrong": float(np.average(score[~right], weights=weight[~right])),
        },
        "suspicion_quantiles_of_right_records": _quantiles(score[right]),
    }


def _quantiles(values: Array) -> dict[str, float]:
    return {f"{q:.0%}": float(np.quantile(values, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)}
