"""Figures of merit on distributions whose figures are known."""

import numpy as np
import pytest

from training.measure.metrics import (
    all_figures,
    bootstrap_intervals,
    calibration_error,
    class_figures,
    confusion,
    gap,
    log_loss,
    reliability,
)

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
    for name, value in (all_figures(probabilities, counts) | class_figures(probabilities, counts)).items():
        if name != "calibration_error":  # resampling only adds to it
            assert intervals[name][0] <= value <= intervals[name][1]
    assert confusion(probabilities, counts).sum() == 300


def test_classes_have_their_own_exact_share_and_error() -> None:
    figures = class_figures(certain([1, 3, 3, 2]), np.array([1, 1, 3, 2]))
    assert figures == {
        "exact_1": 0.5, "exact_2": 1, "exact_3": 1, "rmse_1": pytest.approx(2**0.5), "rmse_2": 0, "rmse_3": 0
    }  # fmt: skip


def test_figures_of_0_to_5_are_unknown_where_no_bin_holds_so_few() -> None:
    figures = all_figures(certain([6, 6]), np.array([7, 12]))
    assert figures["accuracy"] == 1
    assert np.isnan([value for name, value in figures.items() if name.endswith("0_5")]).all()


def test_weighted_bins_count_as_if_they_came_that_often() -> None:
    probabilities, counts = np.array([[0.7, 0.1, 0, 0, 0, 0, 0.2], [0.1, 0.6, 0, 0, 0, 0, 0.3]]), np.array([0, 8])
    often = np.repeat([0, 1], [1, 3])
    for figure in (log_loss, calibration_error):
        expected = figure(probabilities[often], counts[often])
        assert figure(probabilities, counts, np.array([1.0, 3.0])) == pytest.approx(expected)


def test_bands_of_equal_mass_hold_equal_shares_and_bands_of_equal_width_do_not() -> None:
    chances = np.array([0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.5, 0.9])
    came_true = chances > 0.4
    equal = reliability(chances, came_true, bands=4, equal_mass=True)
    assert [band.share for band in equal] == [0.25] * 4
    assert [band.observed for band in equal] == [0, 0, 0, 1]
    assert equal[0].stated == pytest.approx(0.015)
    assert [band.share for band in reliability(chances, came_true, bands=4)] == [0.75, 0.125, 0.125]
    assert gap(equal) == pytest.approx((0.015 + 0.035 + 0.055 + 0.3) / 4)
