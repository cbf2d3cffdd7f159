"""The measure of suspicion is right for networks that know everything, nothing, and just what they say."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --group train")

from inventory.metadata import Product
from inventory.prediction import Prediction
from training.measure.alert_quality import alert_quality, check_all, figures_of
from training.measure.slips import claimed_products

LABELS = ("0", "1", "2", "3", "4", "5", "6+")
EVEN = (1 / 7,) * 7


def prediction(probabilities: np.ndarray) -> Prediction:
    return Prediction(int(probabilities.argmax()), LABELS, tuple(probabilities.tolist()), EVEN, "test@0")


def sure_of(counts: list[int]) -> list[Prediction]:
    return [prediction(np.eye(7)[k] * 0.9993 + 0.0001) for k in counts]


def test_network_that_knows_everything_finds_every_wrong_record_first() -> None:
    quality = alert_quality(check_all(sure_of([0, 1, 2, 3, 4, 5]), np.arange(6)))
    for rule in ("suspicion", "naive_rule"):
        assert (quality[rule]["auc"], quality[rule]["average_precision"]) == pytest.approx((1, 1))
    assert quality["suspicion"]["recall_at_5%"] == pytest.approx(1)
    assert quality["suspicion"]["precision_at_5%"] == pytest.approx(0.02 / 0.05)
    assert quality["suspicion"]["recall_at_1%"] == pytest.approx(0.5)
    assert quality["suspicion"]["precision_at_1%"] == pytest.approx(1)
    assert list(quality["precision_at_recall"].values()) == pytest.approx([1] * 10)


def test_scores_that_say_nothing_or_the_opposite_are_as_bad_as_they_should_be() -> None:
    checks = check_all(sure_of([3, 4]), np.array([3, 4]))
    nothing, opposite = (figures_of(score, checks) for score in (np.zeros(len(checks.bin)), -checks.suspicion))
    assert nothing["auc"] == pytest.approx(0.5)
    assert (nothing["average_precision"], nothing["precision_at_10%"]) == pytest.approx((0.02, 0.02))
    assert nothing["recall_at_10%"] == pytest.approx(0.1)
    assert opposite["auc"] == pytest.approx(0)


def test_suspicion_means_what_it_says_when_the_probabilities_do() -> None:
    honest, boastful = np.array([0, 0.1, 0.2, 0.4, 0.2, 0.1, 0]), np.array([0, 0.01, 0.04, 0.9, 0.04, 0.01, 0])
    counts = np.repeat(np.arange(7), np.rint(honest * 10).astype(int))
    gaps = [
        alert_quality(check_all([prediction(p)] * len(counts), counts))["calibration_error"] for p in (honest, boastful)
    ]
    assert gaps[0] < 0.002 < 0.01 < gaps[1]


def test_intervals_enclose_the_figures_and_hard_bins_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    counts = np.repeat([2, 8], 40)
    seen = np.exp(-0.5 * (np.arange(7) - (counts + rng.normal(size=80))[:, None]) ** 2)
    quality = alert_quality(check_all([prediction(p) for p in seen / seen.sum(1, keepdims=True)], counts))
    for name, (low, high) in quality["suspicion_intervals"].items():
        assert low <= quality["suspicion"][name] <= high
    auc = quality["auc_of_subsets"]
    assert auc["true_counts_0_5"]["suspicion"] > auc["true_counts_above_5"]["suspicion"]
    assert auc["slips_of_two_or_more"]["suspicion"] > auc["slips_of_one"]["suspicion"]


def test_subset_without_bins_is_left_out() -> None:
    assert "true_counts_above_5" not in alert_quality(check_all(sure_of([1]), np.array([1])))["auc_of_subsets"]


def test_record_that_lists_fewer_objects_than_it_expects_tells_no_volume() -> None:
    assert claimed_products([], 1, [4.0], np.random.default_rng(0)) == ()
    assert claimed_products([4.0, 6.0], 1, [4.0], np.random.default_rng(0)) in ((Product(1, 4),), (Product(1, 6),))
