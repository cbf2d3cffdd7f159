"""The served network: what it says of the samples, and that it prepares images as training did."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from model.estimate import median, shortest_interval
from model.images import RejectedImage, decode, resize
from model.predictor import ARTIFACT, BrokenArtifactError, Prediction, Predictor
from samples.catalogue import SAMPLES

BIN_IMAGES = Path(__file__).parents[2] / "samples" / "bin-images"
SOUND = [sample for sample in SAMPLES if sample.flaw != "corrupt image"]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor()


@pytest.fixture(scope="module")
def predictions(predictor: Predictor) -> dict[str, Prediction]:
    return {sample.id: predictor.predict((BIN_IMAGES / f"{sample.id}{sample.suffix}").read_bytes()) for sample in SOUND}


def test_four_of_five_samples_are_counted_exactly(predictions: dict[str, Prediction]) -> None:
    right = [predictions[sample.id].count == min(sample.true, 10) for sample in SOUND]
    assert np.mean(right) >= 0.8


def test_fast_artifact_counts_nearly_as_the_default_does(predictions: dict[str, Prediction]) -> None:
    fast = Predictor(ARTIFACT.with_name("artifact-fast"))
    counts = {id: fast.predict(next(BIN_IMAGES.glob(f"{id}.*")).read_bytes()).count for id in predictions}
    assert np.mean([min(counts[id], 6) == min(one.count, 6) for id, one in predictions.items()]) >= 0.8


def test_probabilities_are_a_distribution_over_the_labels(predictions: dict[str, Prediction]) -> None:
    for prediction in predictions.values():
        assert prediction.labels == (*map(str, range(10)), "10+")
        assert len(prediction.probabilities) == len(prediction.prior) == len(prediction.labels)
        assert sum(prediction.probabilities) == pytest.approx(1)
        assert sum(prediction.prior) == pytest.approx(1, abs=1e-3)
        assert prediction.count == median(prediction.probabilities)
        assert prediction.interval == shortest_interval(prediction.probabilities, open_end=True)


def test_cut_sample_is_refused(predictor: Predictor) -> None:
    with pytest.raises(RejectedImage, match="upload it again"):
        predictor.predict((BIN_IMAGES / "r025.jpg").read_bytes())


def test_pixels_are_scaled_as_the_artifact_says(predictor: Predictor) -> None:
    pixels = resize(decode((BIN_IMAGES / "r001.jpg").read_bytes()), predictor.size)
    about = json.loads((ARTIFACT / "counter.json").read_text())
    expected = (pixels / 255 - about["mean"]) / about["std"]
    assert np.allclose(predictor.preprocess(pixels)[0].transpose(1, 2, 0), expected, atol=1e-5)


def test_mirror_image_gets_the_same_count_distribution_when_both_are_averaged(predictor: Predictor) -> None:
    if not predictor.flip:
        pytest.skip("this artifact does not average over the mirror image")
    pixels = resize(decode((BIN_IMAGES / "r004.jpg").read_bytes()), predictor.size)
    assert np.allclose(predictor.infer(pixels)[0], predictor.infer(pixels[:, ::-1])[0], atol=1e-5)


@pytest.mark.parametrize("missing", ["counter.onnx", "counter.json"])
def test_incomplete_artifact_says_how_to_make_one(tmp_path: Path, missing: str) -> None:
    shutil.copytree(ARTIFACT, tmp_path, dirs_exist_ok=True)
    (tmp_path / missing).unlink()
    with pytest.raises(BrokenArtifactError, match=r"training\.export"):
        Predictor(tmp_path)


def relabelled(artifact: Path, labels: list[str]) -> Path:
    """The shipped artifact answering with `labels`."""
    shutil.copytree(ARTIFACT, artifact, dirs_exist_ok=True)
    about = json.loads((artifact / "counter.json").read_text())
    even = [1 / len(labels)] * len(labels)
    (artifact / "counter.json").write_text(json.dumps(about | {"labels": labels, "prior": even, "trained_prior": even}))
    return artifact


def test_outputs_beyond_the_labels_belong_to_the_open_one(tmp_path: Path) -> None:
    data = (BIN_IMAGES / "r001.jpg").read_bytes()
    whole = Predictor(relabelled(tmp_path / "whole", ["0", "1", "2", "3", "4", "5", "6+"])).predict(data).probabilities
    merged = Predictor(relabelled(tmp_path / "merged", ["0", "1", "2", "3+"])).predict(data)
    assert merged.probabilities == pytest.approx((*whole[:3], sum(whole[3:])))
    assert merged.count == median(merged.probabilities)
    assert len(merged.prior) == 4


def test_network_that_cannot_tell_its_labels_apart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrokenArtifactError, match="12 labels, 12 priors, 11 outputs"):
        Predictor(relabelled(tmp_path, [*map(str, range(11)), "11+"]))


def test_artifact_of_mixed_networks_is_refused(tmp_path: Path) -> None:
    shutil.copytree(ARTIFACT, tmp_path, dirs_exist_ok=True)
    about = json.loads((tmp_path / "counter.json").read_text())
    (tmp_path / "counter.json").write_text(json.dumps(about | {"labels": ["0", "1+"]}))
    with pytest.raises(BrokenArtifactError, match="different networks"):
        Predictor(tmp_path)
