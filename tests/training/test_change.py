"""What the last photograph adds is right for networks that repeat their error on a bin, and for those that do not."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --group train")

from hypothesis import given
from hypothesis import strategies as st

from inventory.prediction import Prediction
from training.data.bins import LabelledBin
from training.data.pairs import Pair, common_share, consecutive_pairs
from training.measure.change import auc_within, change_quality, check_pairs, given_last

LABELS = (*map(str, range(10)), "10+")
EVEN = (1 / 11,) * 11


def around(mean: float, volume_in3: float | None = None) -> Prediction:
    """A prediction of about so many objects."""
    shares = np.exp(-0.5 * ((np.arange(11) - mean) / 1.5) ** 2)
    return Prediction(
        int(shares.argmax()), LABELS, tuple((shares / shares.sum()).tolist()), EVEN, "test@0", volume_in3, 0.4
    )


@pytest.fixture(autouse=True)
def few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.measure.change.ROUNDS", 20)


def photographs(seed: int, *, repeated: bool) -> tuple[list[Prediction], np.ndarray, list[Pair]]:
    """A hundred bins before and after a pick or a stow; the network errs as before, or anew."""
    rng = np.random.default_rng(seed)
    predictions, counts, pairs = [], [], []
    for bin in range(100):
        before = int(rng.integers(2, 7))
        after = before + int(rng.choice([-1, 1, 2], p=[0.45, 0.45, 0.1]))
        errors = rng.normal(0, 1.5, 2)
        counts += [before, after]
        predictions += [around(before + errors[0]), around(after + errors[0 if repeated else 1])]
        held = [{str(item): 1 for item in range(count)} for count in (before, after)]
        pairs.append(Pair(2 * bin, 2 * bin + 1, *held))
    return predictions, np.array(counts), pairs


def of_bin(folder: Path, id: str, **items: int) -> LabelledBin:
    path = folder / f"{id}.json"
    held = {name: {"asin": name, "quantity": quantity} for name, quantity in items.items()}
    path.write_text(json.dumps({"BIN_FCSKU_DATA": held, "EXPECTED_QUANTITY": sum(items.values())}))
    return LabelledBin(id, sum(items.values()), path, metadata=path)


def test_photographs_of_one_bin_are_neighbours_that_share_half_of_their_objects(tmp_path: Path) -> None:
    bins = [
        of_bin(tmp_path, "7", a=2, b=1),
        of_bin(tmp_path, "8", a=2),
        of_bin(tmp_path, "9", c=2),
        of_bin(tmp_path, "11", c=2),
        of_bin(tmp_path, "0012", c=2),
        replace(of_bin(tmp_path, "12", c=2), metadata=None),
    ]
    assert [(pair.last, pair.now) for pair in consecutive_pairs(bins)] == [(0, 1), (1, 0)]
    assert common_share({"a": 2, "b": 1}, {"a": 3}) == pytest.approx(2 / 3)
    assert common_share({}, {}) == 0


def test_scores_that_only_tell_the_strata_apart_say_nothing_within_one() -> None:
    strata = np.array([0, 0, 0, 1, 1, 1, 2])
    wrong = np.array([False, False, True, False, True, True, True])
    weight = np.ones(7)
    assert auc_within(strata * 1.0, wrong, weight, strata) == pytest.approx(0.5)
    assert auc_within(strata + 0.5 * wrong, wrong, weight, strata) == pytest.approx(1)
    assert np.isnan(auc_within(weight, wrong, weight, np.arange(7)))


shares = st.lists(st.floats(0, 1), min_size=11, max_size=11).filter(any).map(lambda xs: tuple(np.divide(xs, sum(xs))))


@given(shares, shares, st.integers(0, 100_000))
def test_the_last_photograph_always_leaves_a_distribution(now, last, count) -> None:
    seen, before = (replace(around(3), probabilities=one) for one in (now, last))
    told = given_last(seen, before, count)
    assert min(told.probabilities) >= 0
    assert sum(told.probabilities) == pytest.approx(1)
    assert 0 <= told.count <= 10


def test_what_was_overlooked_last_time_is_expected_to_be_overlooked_again() -> None:
    told = [given_last(around(4), around(4), last).count for last in (2, 4, 6)]
    assert told == [3, 4, 5]


def test_the_gain_is_judged_within_the_same_claimed_change() -> None:
    quality = {repeated: change_quality(check_pairs(*photographs(1, repeated=repeated))) for repeated in (True, False)}
    gain = quality[True]["all"]["auc_within_claimed_change_with_past"]
    assert quality[True]["claimed_change_alone"] > 0.8
    assert gain > quality[True]["all"]["auc_within_claimed_change_alone"] + 0.05
    assert quality[True]["all"]["intervals"]["gain"][0] > 0 > quality[False]["all"]["intervals"]["gain"][0]
