"""Figures of merit of a set of count distributions, in plain numpy.

`probabilities` is (n, labels) over "0" to "5" and "6+"; `counts` is (n,), the true number of objects. Figures named
`..._0_5` are over bins that truly hold 0 to 5, the network choosing among 0 to 5: the published convention.
"""

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]
STANDARD_MIX = {1: 1228, 2: 2299, 3: 2666, 4: 2373, 5: 1875}  # the public 10,441-bin list


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
    return float(np.mean(predicted == true))


def per_class(probabilities: Array, counts: Counts) -> dict[int, float]:
    """Exact share for each true count from 0 to 5 that occurs."""
    predicted, true = _closed(probabilities, counts)
    return {int(k): float(np.mean(predicted[true == k] == k)) for k in np.unique(true)}


def balanced_accuracy(probabilities: Array, counts: Counts) -> float:
    """The mean over true counts 0 to 5 of their exact shares."""
    return float(np.mean(list(per_class(probabilities, counts).values())))


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
    return float(np.sqrt(np.mean((predicted - true) ** 2.0)))


def mae_0_5(probabilities: Array, counts: Counts) -> float:
    """Mean absolute error in objects."""
    predicted, true = _closed(probabilities, counts)
    return float(np.mean(np.abs(predicted - true)))


def within_one_0_5(probabilities: Array, counts: Counts) -> float:
    """Share of bins counted to within one object."""
    predicted, true = _closed(probabilities, counts)
    return float(np.mean(np.abs(predicted - true) <= 1))


def log_loss(probabilities: Array, counts: Counts) -> float:
    """Mean negative log likelihood of the true label, in nats, over all bins."""
    labels = np.minimum(counts, probabilities.shape[1] - 1)
    return float(-np.mean(np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12))))


def calibration_error(probabilities: Array, counts: Counts, bands: int = 15) -> float:
    """Expected calibration error of the likeliest label, over equally wide bands of confidence, over all bins."""
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == np.minimum(counts, probabilities.shape[1] - 1)
    band = np.minimum((confidence * bands).astype(int), bands - 1)
    gaps = [abs(np.sum(confidence[band == b]) - np.sum(right[band == b])) for b in range(bands)]
    return float(np.sum(gaps) / len(counts))


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
    return {name: figure(probabilities, counts) for name, figure in FIGURES.items()}


def bootstrap_intervals(
    probabilities: Array, counts: Counts, rounds: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """The 95% bootstrap interval of every figure and of each class's exact share ("exact_0" ...), bins drawn with
    replacement."""
    rng = np.random.default_rng(seed)
    draws: dict[str, list[float]] = {}
    for _ in range(rounds):
        chosen = rng.integers(0, len(counts), len(counts))
        drawn = (probabilities[chosen], counts[chosen])
        exact = {f"exact_{k}": share for k, share in per_class(*drawn).items()}
        for name, value in (all_figures(*drawn) | exact).items():
            draws.setdefault(name, []).append(value)
    return {name: tuple(np.nanquantile(values, (0.025, 0.975)).tolist()) for name, values in draws.items()}


def confusion(probabilities: Array, counts: Counts) -> Counts:
    """How often each true label (row) was called each label (column), 6+ being one label."""
    labels = probabilities.shape[1]
    table = np.zeros((labels, labels), np.int64)
    np.add.at(table, (np.minimum(counts, labels - 1), probabilities.argmax(1)), 1)
    return table
