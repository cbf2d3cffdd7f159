"""Figures of merit on distributions whose figures are known."""

import numpy as np
import pytest

from training.metrics import all_figures, bootstrap_intervals, confusion, per_class

COUNTS = np.array([0, 1, 2, 3, 4, 5, 6, 9])


def certain(labels: list[int]) -> np.ndarray:
    return np.eye(7)[labels]


def test_perfect_counts_have_perfect_figures() -> None:
    figures = all_figures(certain([0, 1, 2, 3, 4, 5, 6, 6]), COUNTS)
    assert figures.pop("accuracy") == figures.pop("accuracy_0_5") == figures.pop("balanced_accuracy_0_5") == 1
    assert figures.pop("standardised_accuracy") == figures.pop("within_one_0_5") == 1
    assert all(value == pytest.approx(0) for value in figures.values())


def test_bins_of_0_to_5_are_judged_among_0_to_5() -> None:
    torn = np.array([[0, 0, 0, 0.1, 0, 0.3, 0.6]])
    assert all_figures(torn, np.array([5]))["accuracy"] == 0
    assert all_figures(torn, np.array([5]))["accuracy_0_5"] == 1


def test_standardised_figures_weigh_classes_by_the_public_mix() -> None:
    only_ones_and_threes = all_figures(certain([0, 1, 1, 3, 2, 4]), np.array([0, 1, 2, 3, 4, 5]))
    assert only_ones_and_threes["standardised_accuracy"] == pytest.approx((1228 + 2666) / 10441)
    assert only_ones_and_threes["balanced_accuracy_0_5"] == pytest.approx(3 / 6)
    expected_square = (2299 * 1 + 2373 * 4 + 1875 * 1) / 10441
    assert only_ones_and_threes["standardised_rmse"] == pytest.approx(expected_square**0.5)


def test_overconfidence_shows_as_calibration_error() -> None:
    assert all_figures(certain([1] * 10), np.array([1] * 6 + [2] * 4))["calibration_error"] == pytest.approx(0.4)


def test_intervals_enclose_the_figures_and_confusion_counts_every_bin() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, 300)
    probabilities = rng.dirichlet(np.ones(7), 300)
    intervals = bootstrap_intervals(probabilities, counts, rounds=100)
    for name, value in all_figures(probabilities, counts).items():
        if name != "calibration_error":  # resampling only adds to it
            assert intervals[name][0] <= value <= intervals[name][1]
    assert {f"exact_{k}" for k in per_class(probabilities, counts)} <= set(intervals)
    assert confusion(probabilities, counts).sum() == 300
