"""An epoch shows labels as often as asked, and the same images however many processes share it."""

import numpy as np
import pytest

from training.data.sampling import NATURAL_MIX, batches, epoch_order, mix_of, weights_for

LABELS = np.repeat([0, 1, 2], [7000, 2000, 1000])


@pytest.mark.parametrize(("mix", "shares"), [("data", (0.7, 0.2, 0.1)), ("balanced", (1 / 3, 1 / 3, 1 / 3))])
def test_epoch_shows_labels_in_the_mix_asked_for(mix: str, shares: tuple[float, ...]) -> None:
    weights = weights_for(LABELS, mix_of(LABELS, 3, mix))
    shown = np.bincount(LABELS[epoch_order(weights, seed=1, epoch=0)], minlength=3)
    assert shown / shown.sum() == pytest.approx(shares, abs=0.01)


def test_natural_mix_folds_into_fewer_labels() -> None:
    mix = mix_of(LABELS, 3, "natural")
    assert mix.sum() == pytest.approx(1)
    assert mix[1] == pytest.approx(NATURAL_MIX[1])


def test_bins_of_equal_weight_are_each_shown_once_in_another_order_each_epoch() -> None:
    weights = np.full(100, 0.01)
    first, second = epoch_order(weights, 0, 0), epoch_order(weights, 0, 1)
    assert sorted(first) == list(range(100))
    assert first.tolist() != second.tolist()
    assert first.tolist() == epoch_order(weights, 0, 0).tolist()


def test_processes_share_each_batch_of_one() -> None:
    order = epoch_order(np.full(50, 0.02), 0, 0)
    alone = list(batches(order, 8, first=2))
    shared = [list(batches(order, 8, first=2, rank=rank, world=2)) for rank in range(2)]
    assert len(alone) == 4
    assert [sorted(a + b) for a, b in zip(*shared, strict=True)] == [sorted(batch) for batch in alone]


@pytest.mark.parametrize("mix", ["data", "natural", "balanced"])
def test_label_that_does_not_occur_has_no_share(mix: str) -> None:
    shares = mix_of(np.array([1, 1, 2, 3]), 5, mix)
    assert shares[[0, 4]].tolist() == [0, 0]
    assert (shares[1:4] > 0).all()
    assert shares.sum() == pytest.approx(1)


def test_labels_that_contradict_the_training_are_named() -> None:
    possible = np.array([False, True, True])
    with pytest.raises(ValueError, match="a bin has label 0, which training did not have"):
        mix_of(np.array([0, 1, 2]), 3, "natural", possible)
    with pytest.raises(ValueError, match="no bin has label 2, which training had"):
        mix_of(np.array([1]), 3, "data", possible)
    assert mix_of(np.array([1]), 3, "balanced", possible).tolist() == [0, 0.5, 0.5]
