"""What the last photograph adds is right for networks that repeat their error on a bin, and for those that do not."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="scikit-learn is not installed: uv sync --group train")

from hypothesis import given
from hypothesis import strategies as st

from inventory.metadata import Product, Record
from inventory.prediction import Prediction, estimated
from inventory.verdict import suspect
from training import change
from training.data.bins import LabelledBin
from training.data.pairs import Pair, common_share, consecutive_pairs
from training.measure.change import auc_within, change_quality, check_pairs, count_quality, given_change, remembered

from .builders import record, write_set

LABELS = (*map(str, range(10)), "10+")
EVEN = (1 / 11,) * 11


def around(mean: float, volume_in3: float | None = None, sureness: float = 0.67) -> Prediction:
    """A prediction of about so many objects."""
    shares = np.exp(-0.5 * ((np.arange(11) - min(mean, 10)) * sureness) ** 2)
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


def test_the_gain_is_judged_within_the_same_claimed_change() -> None:
    quality = {repeated: change_quality(check_pairs(*photographs(1, repeated=repeated))) for repeated in (True, False)}
    gain = quality[True]["all"]["auc_within_claimed_change_with_past"]
    assert quality[True]["claimed_change_alone"] > 0.8
    assert gain > quality[True]["all"]["auc_within_claimed_change_alone"] + 0.05
    gains = [quality[repeated]["all"]["intervals"]["gain_with_past"][0] for repeated in (True, False)]
    assert gains[0] > 0 > gains[1]


def test_unchanged_bins_are_told_apart_from_all_others() -> None:
    predictions, counts, pairs = photographs(1, repeated=True)
    ruled_out = np.ones((2 * len(pairs), 13))
    ruled_out[:, 6] = 1e-3
    kept = [Pair(pair.last + len(counts), pair.last, {}, {}, made=True) for pair in pairs]
    quality = change_quality(check_pairs(predictions * 2, np.tile(counts, 2), pairs + kept, ruled_out))
    without = change_quality(check_pairs(predictions, counts, pairs, ruled_out[: len(pairs)]))
    assert {name: figures for name, figures in quality.items() if "unchanged" not in name} == without
    assert quality["unchanged"]["auc_with_network"] < 0.4 < quality["unchanged"]["auc_alone"]
    assert quality["unchanged"]["auc_within_claimed_change_alone"] is None, "every claim of no change is right"
    assert quality["with_unchanged"]["pairs"] == 2 * len(pairs)


def test_the_count_gains_where_errors_are_repeated_alone() -> None:
    for repeated in (True, False):
        predictions, counts, pairs = photographs(1, repeated=repeated)
        quality = count_quality([estimated(one) for one in predictions], counts, pairs)
        better = [quality[name]["answered_difference"][1] < 0 for name in ("mean_error", "log_loss")]
        assert better == [repeated, repeated]
        gained = [quality["log_loss"][kind] - quality["log_loss"]["alone"] for kind in ("unanswered", "answered")]
        assert not repeated or gained[1] < gained[0] < 0, "disputed records are not remembered unless a person answers"
    exact = [estimated(around(mean, sureness=9)) for mean in (3, 12)]
    quality = count_quality(exact, np.array([3, 12]), [Pair(0, 1, {}, {}), Pair(1, 0, {}, {})])
    assert [figures["alone"] for figures in quality.values()] == pytest.approx([1, 1, 0, 0, 1, 1], abs=1e-3)


def test_volumes_count_as_the_verdict_counts_them() -> None:
    predictions, counts = [around(3, 30.0), around(4, 40.0)], np.array([3, 4])
    pairs, volumes = [Pair(0, 1, {}, {})], [[10.0] * 3, [10.0] * 4]
    checks = check_pairs(predictions, counts, pairs, np.ones((1, 13)), volumes)
    right = Record(4, (Product(1, 10.0),) * 4)
    (served,) = checks.suspicions["alone_by_volume"][~checks.wrong]
    assert served == pytest.approx(suspect(predictions[1], right, 0.02))
    assert served < checks.suspicions["alone"][~checks.wrong][0]
    told = remembered(predictions[1], predictions[0], 3)
    (with_past,) = checks.suspicions["with_past_by_volume"][~checks.wrong]
    assert with_past == pytest.approx(suspect(told, right, 0.02))


@given(shares, st.integers(0, 100), st.integers(0, 30))
def test_an_estimate_that_knows_nothing_changes_no_suspicion(probabilities, last, recorded) -> None:
    seen = replace(around(3), probabilities=probabilities)
    told = given_change(seen, last, np.ones(13))
    assert suspect(told, Record(recorded), 0.02) == pytest.approx(suspect(seen, Record(recorded), 0.02))


def test_an_estimated_change_counts_from_the_last_count() -> None:
    for last, change_seen in ((3, 1), (5, -2), (14, 2), (9, -5)):
        likelihoods = np.full(13, 1e-9)
        likelihoods[change_seen + 6] = 1
        told = given_change(around(8), last, likelihoods)
        assert told.count == last + change_seen


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs of bins one after the other, each with an object more or less than the last, and an artifact."""
    pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")
    from .square_counter import write_square_counter

    folder = write_set(tmp_path_factory.mktemp("films") / "set", 350, labels=7, facts=False)
    (folder / "metadata").mkdir()
    drawn = [number // 5 % 7 for number in range(350)]
    rows = ["id,expected_quantity,split,path"]
    for place in range(240):
        count = abs(place % 12 - 6)
        image = drawn.index(count)
        drawn[image] = -1
        rows.append(f"{place},{count},{'train' if place < 200 else 'val'},bin-images/{image:05}.png")
        (folder / "metadata" / f"{place}.json").write_bytes(record(count, {"A": count, "B": 1}))
    (folder / "index.csv").write_text("\n".join(rows))
    write_square_counter(folder / "artifact")
    return folder


def test_networks_that_see_both_photographs_learn_how_a_bin_changed(
    films: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from model.predictor import Predictor
    from training.data.bins import counts_of, read_bins
    from training.network import pair_network
    from training.network.features import photographs as seen_by

    monkeypatch.setattr(pair_network, "EPOCHS", 100)
    predictor, (learnt, bins) = Predictor(films / "artifact"), (read_bins(films, split) for split in ("train", "val"))
    estimator = pair_network.ChangeEstimator(seen_by(predictor, films / "artifact", learnt), consecutive_pairs(learnt))
    pairs = consecutive_pairs(bins)
    likelihoods = estimator.likelihoods(seen_by(predictor, films / "artifact", bins), pairs)
    counts = counts_of(bins)
    changes = np.array([counts[pair.now] - counts[pair.last] for pair in pairs])
    assert set(changes) == {-1, 1}
    assert (likelihoods[:, [5, 7]].argmax(1) == (changes > 0)).mean() > 0.9

    change.main(["--data", str(films), "--artifact", str(films / "artifact"), "--split", "val", "--network"])
    figures = json.loads(capsys.readouterr().out)["all"]
    assert {"auc_with_network", "auc_within_claimed_change_with_network_by_volume"} <= figures.keys()


def test_unchanged_pairs_teach_networks_that_nothing_may_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")
    from training.network import pair_network
    from training.network.pair_network import ChangeEstimator, Photographs, unchanged_pairs

    monkeypatch.setattr(pair_network, "EPOCHS", 60)
    near = [5, 6, 7]  # a change of -1, 0, 1
    rng = np.random.default_rng(0)
    bins = 400
    counts = np.repeat(rng.integers(3, 7, bins // 2), 2) + np.tile([0, 1], bins // 2)
    seen = [
        Photographs((counts + rng.normal(0, 0.1, bins))[:, None], np.eye(11)[counts], np.zeros(bins), counts)
        for _ in range(2)
    ]
    changed = [Pair(*ends, {}, {}) for place in range(0, bins, 2) for ends in ((place, place + 1), (place + 1, place))]
    unchanged = unchanged_pairs(bins)
    both = seen[0] + seen[1]
    taught = ChangeEstimator(both, changed + unchanged)
    assert (taught.likelihoods(both, changed)[:, near].argmax(1) == 1).mean() < 0.1
    assert (taught.likelihoods(both, unchanged)[:, near].argmax(1) == 1).mean() > 0.9


def test_networks_and_the_endpoint_give_the_same_answers(films: Path) -> None:
    from model.predictor import Predictor
    from training.data.bins import read_bins
    from training.evaluate import predict_all
    from training.network.features import photographs as seen_by

    predictor, bins = Predictor(films / "artifact"), read_bins(films, "val")
    assert change._predictions(predictor, seen_by(predictor, films / "artifact", bins)) == predict_all(predictor, bins)
    varied = seen_by(predictor, films / "artifact", bins, varied=True)
    again = seen_by(predictor, films / "artifact", bins, varied=True)
    assert varied.features.tolist() == again.features.tolist()
    assert varied.features.tolist() != seen_by(predictor, films / "artifact", bins).features.tolist()


def test_networks_are_not_measured_on_what_they_learnt_from(films: Path) -> None:
    with pytest.raises(SystemExit, match="name another --split"):
        change.main(["--data", str(films), "--artifact", str(films / "artifact"), "--split", "train", "--network"])


def test_features_are_what_the_last_layer_sees(films: Path) -> None:
    import onnx
    from onnx import numpy_helper

    from model.predictor import Predictor
    from training.data.bins import read_bins
    from training.network.features import photographs as seen_by

    artifact, some = films / "artifact", read_bins(films, "val")[:40]
    seen = seen_by(Predictor(artifact), artifact, some)
    layers = {one.name: numpy_helper.to_array(one) for one in onnx.load(artifact / "counter.onnx").graph.initializer}
    logits = seen.features @ layers["slope"] + layers["offset"]
    assert seen.features.shape == (40, 1)
    np.testing.assert_array_equal(np.minimum(logits.argmax(1), 6), np.round(seen.means))
    assert (np.round(seen.means) == seen.counts).mean() > 0.9


def test_few_pairs_and_damaged_images_are_refused_by_name(films: Path, tmp_path: Path) -> None:
    shutil.copytree(films, few := tmp_path / "few")
    rows = (few / "index.csv").read_text().splitlines()
    arguments = ["--data", str(few), "--artifact", str(few / "artifact"), "--network"]
    (few / "index.csv").write_text("\n".join([*rows[:31], *rows[-40:]]))
    with pytest.raises(SystemExit, match="pairs are too few to train on"):
        change.main(arguments)
    image = few / rows[10].split(",")[3]
    image.write_bytes(image.read_bytes()[:100])
    with pytest.raises(SystemExit, match=rf"{image.name}: .*prepare the set again without it"):
        change.main(arguments)
