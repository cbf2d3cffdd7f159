"""Figures of merit of a set of count distributions, in plain numpy.

`probabilities` is (n, labels) over "0" to "5" and "6+"; `all_figures` and `confusion` take finer labels, too, and merge
them into these, so that networks can be compared. `counts` is (n,), the true number of objects. Figures named
`..._0_5` are over bins that truly hold 0 to 5, the network choosing among 0 to 5: the published convention.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.calibration import merge_tail

from ..data.bins import LABELS

Array = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]
STANDARD_MIX = {1: 1228, 2: 2299, 3: 2666, 4: 2373, 5: 1875}  # the public 10,441-bin list


def compared(probabilities: Array) -> Array:
    """Distributions (n, labels) over the labels that networks are compared by: (n, at most 7)."""
    return merge_tail(np.asarray(probabilities, np.float64), min(len(LABELS), probabilities.shape[1]))


def _closed(probabilities: Array, counts: Counts) -> tuple[Counts, Counts]:
    """(predicted, true) of the bins that truly hold 0 to 5, predicted among 0 to 5."""
    inside = counts <= 5
    return probabilities[inside, :6].argmax(1), counts[inside]


def accuracy(probabilities: Array, counts: Counts) -> float:
    """Share of all bins whose likeliest label is the true one, 6+ being one label."""
    return float(np.mean(probabilities.argmax(1) == np.minimum(counts, probabilities.shape[1] - 1)))


def accuracy_0_5(probabilities: Array, counts: Counts) -> float:
    """Share of bins of 0 to 5 that are counted exactly."""
    predicted, true = _closed(probabilities, counts)
    return _mean(predicted == true)


def per_class(probabilities: Array, counts: Counts) -> dict[int, float]:
    """Exact share for each true count from 0 to 5 that occurs."""
    predicted, true = _closed(probabilities, counts)
    return {int(k): float(np.mean(predicted[true == k] == k)) for k in np.unique(true)}


def per_class_rmse(probabilities: Array, counts: Counts) -> dict[int, float]:
    """Root mean square error in objects for each true count from 0 to 5 that occurs."""
    predicted, true = _closed(probabilities, counts)
    return {int(k): float(np.sqrt(np.mean((predicted[true == k] - k) ** 2.0))) for k in np.unique(true)}


def balanced_accuracy(probabilities: Array, counts: Counts) -> float:
    """The mean over true counts 0 to 5 of their exact shares."""
    return _mean(list(per_class(probabilities, counts).values()))


def _mean(values: npt.ArrayLike) -> float:
    """The mean; NaN, without a warning, of nothing."""
    values = np.asarray(values, float)
    return float(values.mean()) if values.size else float("nan")


def _standardised(value: npt.NDArray[np.floating], true: Counts) -> float:
    present = {k: weight for k, weight in STANDARD_MIX.items() if np.any(true == k)}
    if not present:
        return float("nan")
    return float(sum(w * np.mean(value[true == k]) for k, w in present.items()) / sum(present.values()))


def standardised_accuracy(probabilities: Array, counts: Counts) -> float:
    """Exact share for true counts 1 to 5, weighted to the mix of the public list."""
    predicted, true = _closed(probabilities, counts)
    return _standardised((predicted == true).astype(float), true)


def standardised_rmse(probabilities: Array, counts: Counts) -> float:
    """Root mean square error in objects for true counts 1 to 5, weighted to the mix of the public list."""
    predicted, true = _closed(probabilities, counts)
    return float(np.sqrt(_standardised((predicted - true).astype(float) ** 2, true)))


def rmse_0_5(probabilities: Array, counts: Counts) -> float:
    """Root mean square error in objects."""
    predicted, true = _closed(probabilities, counts)
    return _mean((predicted - true) ** 2) ** 0.5


def mae_0_5(probabilities: Array, counts: Counts) -> float:
    """Mean absolute error in objects."""
    predicted, true = _closed(probabilities, counts)
    return _mean(np.abs(predicted - true))


def within_one_0_5(probabilities: Array, counts: Counts) -> float:
    """Share of bins counted to within one object."""
    predicted, true = _closed(probabilities, counts)
    return _mean(np.abs(predicted - true) <= 1)


def log_loss(probabilities: Array, counts: Counts, weights: Array | None = None) -> float:
    """Mean negative log likelihood of the true label, in nats, over all bins, or weighted by `weights` (n,)."""
    return float(np.average(losses(probabilities, counts), weights=weights))


def losses(probabilities: Array, counts: Counts) -> npt.NDArray[np.float64]:
    """The negative log likelihood (n,) of each bin's true label, in nats."""
    labels = np.minimum(counts, probabilities.shape[1] - 1)
    of_true = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(of_true, 1e-12)), np.float64)


@dataclass(frozen=True)
class Band:
    """Stated chances that lie close together: their mean, the share that came true, and their share of all."""

    stated: float
    observed: float
    share: float


def reliability(
    stated: Array, came_true: Array, weights: Array | None = None, *, bands: int = 15, equal_mass: bool = False
) -> list[Band]:
    """The non-empty bands of chances (n,) from 0 to 1, in rising order.

    Bands are equally wide, or of equal mass: each with about the same share of `weights` (n,), equal chances together.
    """
    weights = np.ones(len(stated)) if weights is None else weights
    if equal_mass:
        _, level = np.unique(stated, return_inverse=True)
        at_level = np.bincount(level, weights)
        place = ((np.cumsum(at_level) - at_level / 2) / at_level.sum())[level]
    else:
        place = stated
    band = np.minimum((place * bands).astype(int), bands - 1)
    mass, chances, events = (
        np.bincount(band, weights * values, bands) for values in (np.ones(len(stated)), stated, came_true)
    )
    filled = mass > 0
    columns = (chances[filled] / mass[filled], events[filled] / mass[filled], mass[filled] / mass.sum())
    return [Band(*row) for row in np.stack(columns, 1).tolist()]


def gap(bands: list[Band]) -> float:
    """Expected calibration error: the mean distance between the stated chance and the observed share."""
    return sum(band.share * abs(band.stated - band.observed) for band in bands)


def confidence_bands(probabilities: Array, counts: Counts, weights: Array | None = None) -> list[Band]:
    """The reliability of the likeliest label, over all bins."""
    right = probabilities.argmax(1) == np.minimum(counts, probabilities.shape[1] - 1)
    return reliability(probabilities.max(1), right, weights)


def calibration_error(probabilities: Array, counts: Counts, weights: Array | None = None) -> float:
    """Expected calibration error of the likeliest label, over 15 equally wide bands of confidence, over all bins."""
    return gap(confidence_bands(probabilities, counts, weights))


FIGURES = {
    "accuracy": accuracy,
    "accuracy_0_5": accuracy_0_5,
    "balanced_accuracy_0_5": balanced_accuracy,
    "standardised_accuracy": standardised_accuracy,
    "standardised_rmse": standardised_rmse,
    "rmse_0_5": rmse_0_5,
    "mae_0_5": mae_0_5,
    "within_one_0_5": within_one_0_5,
    "log_loss": log_loss,
    "calibration_error": calibration_error,
}


def all_figures(probabilities: Array, counts: Counts) -> dict[str, float]:
    """Every figure above by name."""
    probabilities = compared(probabilities)
    return {name: figure(probabilities, counts) for name, figure in FIGURES.items()}


def class_figures(probabilities: Array, counts: Counts) -> dict[str, float]:
    """Exact share ("exact_0" ...) and root mean square error ("rmse_0" ...) of each true count from 0 to 5."""
    exact, rmse = per_class(probabilities, counts), per_class_rmse(probabilities, counts)
    return {f"exact_{k}": exact[k] for k in exact} | {f"rmse_{k}": rmse[k] for k in rmse}


def bootstrap_intervals(
    probabilities: Array, counts: Counts, rounds: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The 95% bootstrap interval of every figure and of each class's figures, bins drawn with replacement."""
    rng = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {}
    for _ in range(rounds):
        chosen = rng.integers(0, len(counts), len(counts))
        drawn = (probabilities[chosen], counts[chosen])
        for name, value in (all_figures(*drawn) | class_figures(*drawn)).items():
            draws.setdefault(name, []).append(value)
    return {name: tuple(np.nanquantile(values, (0.025, 0.975)).tolist()) for name, values in draws.items()}


def confusion(probabilities: Array, counts: Counts) -> Counts:
    """How often each true label (row) was predicted as each label (column), 6+ being one label."""
    probabilities = compared(probabilities)
    labels = probabilities.shape[1]
    table = np.zeros((labels, labels), np.int64)
    np.add.at(table, (np.minimum(counts, labels - 1), probabilities.argmax(1)), 1)
    return table
