"""Which bins an epoch shows, and in which order: chosen by seed and epoch alone, whatever the number of processes."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

NATURAL_MIX = (0.020, 0.072, 0.134, 0.159, 0.140, 0.110, 0.095, 0.074, 0.051, 0.036, 0.109)
"""Share of the counts 0 to 9 and of 10 and more, where every bin was photographed: ids 1 to 9999 and 00001 to 00999 of
the public images' training split. Subsets that somebody picked (one of ours holds only 1, 2, 4 and 5) differ."""
MIXES = ("data", "natural", "balanced")


def mix_of(
    labels: npt.NDArray[np.int64], number: int, mix: str, possible: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float64]:
    """The share (number,) of each label: as in `labels` ("data"), as in NATURAL_MIX, or all alike ("balanced").

    A label that is not `possible` (number,) has share 0, whatever the mix; by default those are the labels that do not
    occur. Raises ValueError when `labels` has one that is not possible, or when "data" lacks one that is.
    """
    occurring = np.bincount(labels, minlength=number) / len(labels)
    possible = occurring > 0 if possible is None else possible
    if unlearned := np.flatnonzero((occurring > 0) & ~possible).tolist():
        raise ValueError(f"a bin has label {unlearned[0]}, which training did not have: exclude it with --counts")
    if mix == "data":
        if missing := np.flatnonzero((occurring == 0) & possible).tolist():
            raise ValueError(f"no bin has label {missing[0]}, which training had: prepare a set with some")
        return np.asarray(occurring, np.float64)
    shares = possible * (np.ones(number) if mix == "balanced" else _natural_shares(number))
    return np.asarray(shares / shares.sum(), np.float64)


def _natural_shares(number: int) -> npt.NDArray[np.float64]:
    """NATURAL_MIX as (number,) labels, the last one open. Raises ValueError when there are more than it has."""
    if number > len(NATURAL_MIX):
        raise ValueError(f"the natural mix is known for up to {len(NATURAL_MIX)} labels, not {number}: use --mix data")
    return np.append(NATURAL_MIX[: number - 1], np.sum(NATURAL_MIX[number - 1 :]))


def weights_for(labels: npt.NDArray[np.int64], mix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The weight (n,) of each bin, adding up to 1, with which its label is as frequent as `mix` (labels,) says."""
    weights = (mix / np.maximum(np.bincount(labels, minlength=len(mix)), 1))[labels]
    return np.asarray(weights / weights.sum(), np.float64)


def epoch_order(weights: npt.NDArray[np.float64], seed: int, epoch: int) -> npt.NDArray[np.int64]:
    """As many indices as there are weights, shuffled, each occurring weight * n times, rounded up or down at random.

    Systematic sampling: Madow (1949), "On the Theory of Systematic Sampling, II".
    """
    rng = np.random.default_rng((seed, epoch))
    shuffled = rng.permutation(len(weights))
    edges = np.floor(np.concatenate(([0.0], np.cumsum(weights[shuffled]) * len(weights))) + rng.random())
    chosen = np.repeat(shuffled, np.diff(edges).astype(int))
    return np.asarray(rng.permutation(chosen), np.int64)


def batches(
    order: npt.NDArray[np.int64], batch: int, first: int = 0, rank: int = 0, world: int = 1
) -> Iterator[list[tuple[int, int]]]:
    """Whole batches from the `first` on, as (position in the epoch, index) pairs: this rank's share of each."""
    for start in range(first * batch, len(order) - batch + 1, batch):
        yield [(place, int(order[place])) for place in range(start + rank, start + batch, world)]
