"""Figures of what a subscriber sees: the count to read, its interval, and the records that are flagged."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inventory.prediction import Prediction, distance

from ..data.bins import MOST_SERVED, training_label
from ..data.sampling import mix_of, weights_for
from .alert_quality import Checks, flagged_shares

Array = npt.NDArray[np.float64]
ROUNDS = 200


def served_figures(
    predictions: Sequence[Prediction], counts: npt.NDArray[np.int64], checks: Checks, seed: int = 0
) -> dict[str, dict[str, object]]:
    """Each figure of predictions for bins of true `counts` (n,): its value, its 95% bootstrap interval over bins, and
    its value where counts are as frequent as in NATURAL_MIX.

    exact_0_5, rmse_0_5  of bins of 0 to 5: the share whose count is right, and the error in objects
    within_one, mean_error  of all bins: the share within one object, and the mean absolute error in objects
    interval_holds, interval_labels  the share of intervals that hold the true count, and their mean number of labels
    right_records_flagged, wrong_records_flagged  the share of `checks` that are a mismatch

    An open label is right about every count that it stands for.
    """
    columns = _columns(predictions, counts)
    labels = training_label(counts, MOST_SERVED)
    natural = _figures(columns, checks, weights_for(labels, mix_of(labels, MOST_SERVED, "natural")))
    rng = np.random.default_rng(seed)
    draws = [_figures(columns, checks, _times(rng, len(counts))) for _ in range(ROUNDS)]
    return {
        name: {
            "value": value,
            "interval": np.nanquantile([draw[name] for draw in draws], (0.025, 0.975)).tolist(),
            "natural_mix": natural[name],
        }
        for name, value in _figures(columns, checks, np.ones(len(counts))).items()
    }


def _columns(predictions: Sequence[Prediction], counts: npt.NDArray[np.int64]) -> Mapping[str, Array]:
    errors = [abs(distance(one, true)) for one, true in zip(predictions, counts.tolist(), strict=True)]
    intervals = [one.interval or (one.count, one.count) for one in predictions]
    low, high = (np.array(ends) for ends in zip(*intervals, strict=True))
    last = np.array([len(one.labels) - 1 for one in predictions])
    open_end = np.array([end is None for end in high.tolist()])
    greatest = np.where(open_end, last, high).astype(int)
    return {
        "few": (counts <= 5).astype(float),
        "error": np.array(errors, np.float64),
        "holds": ((counts >= low) & ((counts <= greatest) | open_end)).astype(float),
        "labels": (greatest - low + 1).astype(float),
    }


def _times(rng: np.random.Generator, bins: int) -> Array:
    """How often each bin is drawn."""
    return np.bincount(rng.integers(0, bins, bins), minlength=bins).astype(float)


def _figures(columns: Mapping[str, Array], checks: Checks, times: Array) -> dict[str, float]:
    error, few = columns["error"], columns["few"] * times
    drawn = replace(checks, weight=checks.weight * times[checks.bin])
    flagged = flagged_shares(drawn)
    return {
        "exact_0_5": _mean(error == 0, few),
        "rmse_0_5": _mean(error**2, few) ** 0.5,
        "within_one": _mean(error <= 1, times),
        "mean_error": _mean(error, times),
        "interval_holds": _mean(columns["holds"], times),
        "interval_labels": _mean(columns["labels"], times),
        **{name: flagged[name] for name in ("right_records_flagged", "wrong_records_flagged")},
    }


def _mean(values: Array | npt.NDArray[np.bool_], weights: Array) -> float:
    return float(np.average(np.asarray(values, np.float64), weights=weights)) if weights.any() else float("nan")
