"""The measure of suspicion is right for networks that know everything and nothing."""

import numpy as np
import pytest

from inventory.counting import Prediction
from training.alert_quality import alert_quality, area_under_curve, recall_at

LABELS = ("0", "1", "2", "3", "4", "5", "6+")
PRIOR = (1 / 7,) * 7


def prediction(probabilities: np.ndarray) -> Prediction:
    return Prediction(int(probabilities.argmax()), LABELS, tuple(probabilities.tolist()), PRIOR, "test@0")


def test_network_that_knows_everything_finds_every_wrong_record_first() -> None:
    counts = np.array([0, 1, 2, 3, 4, 5])
    sure = [prediction(np.eye(7)[k] * 0.9993 + 0.0001) for k in counts]
    quality = alert_quality(sure, counts)
    assert quality["auc"]["suspicion"] == pytest.approx(1)
    assert quality["auc"]["plain_comparison"] == pytest.approx(1)
    assert quality["recall_of_suspicion"]["5%"] == pytest.approx(1)
    assert quality["recall_of_suspicion"]["1%"] == pytest.approx(0.5)


def test_area_and_recall_of_a_score_that_says_nothing_are_those_of_chance() -> None:
    wrong, weights = np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.98, 0.02, 0.98, 0.02])
    assert area_under_curve(np.zeros(4), wrong, weights) == pytest.approx(0.5)
    assert recall_at(np.zeros(4), wrong, weights, 0.1) == pytest.approx(0.1)


def test_area_of_a_score_that_says_the_opposite_is_none() -> None:
    assert area_under_curve(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.ones(2)) == 0
