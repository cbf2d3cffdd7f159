"""Figures of what a subscriber sees, against counts by hand."""

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --group train")

from inventory.prediction import Prediction, estimated
from training.measure.alert_quality import check_all
from training.measure.served_figures import served_figures

LABELS = (*map(str, range(10)), "10+")
EVEN = (1 / 11,) * 11


def seen(**shares: float) -> Prediction:
    """A prediction with these shares of the labels, as _3=0.9; the rest is shared by all labels."""
    known = {int(name[1:]): share for name, share in shares.items()}
    rest = (1 - sum(known.values())) / 11
    return estimated(Prediction(0, LABELS, tuple(known.get(k, 0) + rest for k in range(11)), EVEN, "test@0"))


def test_figures_are_those_of_the_count_and_the_interval_that_people_read() -> None:
    predictions = [seen(_2=0.99), seen(_3=0.45, _4=0.5), seen(_5=0.99), seen(_10=0.99), seen(_7=0.5, _9=0.45)]
    counts = np.array([2, 3, 4, 14, 12])
    assert [one.count for one in predictions] == [2, 4, 5, 10, 7]
    figures = served_figures(predictions, counts, check_all(predictions, counts))
    values = {name: figure["value"] for name, figure in figures.items()}
    assert values["exact_0_5"] == pytest.approx(1 / 3)
    assert values["rmse_0_5"] == pytest.approx((2 / 3) ** 0.5)
    assert values["within_one"] == pytest.approx(4 / 5)
    assert values["mean_error"] == pytest.approx((0 + 1 + 1 + 0 + 5) / 5)
    assert values["interval_holds"] == pytest.approx(3 / 5)
    assert values["interval_labels"] == pytest.approx((1 + 2 + 1 + 1 + 3) / 5)


def test_a_sure_network_flags_every_wrong_record_and_no_right_one() -> None:
    predictions = [seen(**{f"_{count}": 0.999}) for count in range(10)]
    counts = np.arange(10)
    figures = served_figures(predictions, counts, check_all(predictions, counts))
    assert figures["right_records_flagged"]["value"] == 0
    assert figures["wrong_records_flagged"]["value"] == pytest.approx(1)
    assert figures["right_records_flagged"]["interval"] == [0, 0]


def test_each_count_weighs_as_in_a_warehouse_in_the_natural_mix() -> None:
    counts = np.array([0] * 9 + [9])
    predictions = [seen(_0=0.99)] * 10
    exact = served_figures(predictions, counts, check_all(predictions, counts))["mean_error"]
    assert exact["value"] == pytest.approx(0.9)
    assert exact["natural_mix"] == pytest.approx(9 * 0.036 / 0.056)
