"""From a run to what the endpoint serves, whatever the loss and however many labels were trained."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from model.predictor import Predictor  # noqa: E402
from training import export as exporting  # noqa: E402
from training import train as training  # noqa: E402
from training.data.bins import read_bins  # noqa: E402

from .builders import write_set  # noqa: E402

SMALL = "--size 32 --batch 10 --epochs 1 --backbone test_resnet --weights none --drop-path 0"


@pytest.mark.parametrize(("loss", "labels"), [("cross-entropy", 9), ("corn", 8), ("cumulative", 7)])
def test_trained_network_is_exported_as_it_is_served(
    tmp_path: Path, loss: str, labels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LEAST_VOLUMES", 5)
    bins = write_set(tmp_path / "set", 100, labels=9)
    more = ["--loss", loss, "--labels", str(labels), "--data", str(bins), "--out", str(tmp_path / "run")]
    training.main([*SMALL.split(), *more])
    about = exporting.export(tmp_path / "run", bins, tmp_path / "artifact")
    assert sum(about["prior"]) == pytest.approx(1, abs=1e-4)
    assert about["labels"] == (*map(str, range(labels - 1)), f"{labels - 1}+")
    assert json.loads((tmp_path / "artifact" / "counter.json").read_text())["metrics"]["onnx_parity"] < 1e-3
    predictor = Predictor(tmp_path / "artifact")
    prediction = predictor.predict(read_bins(bins, "test")[0].image.read_bytes())
    assert np.sum(prediction.probabilities) == pytest.approx(1)
    assert len(prediction.probabilities) == labels
    assert prediction.volume_in3 is not None
    assert prediction.volume_error == about["volume_error"] > 0


def test_network_that_was_not_trained_to_tell_facts_serves_no_volume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "LEAST_VOLUMES", 5)
    bins = write_set(tmp_path / "set", 70, labels=7)
    training.main(
        [*SMALL.split(), "--labels", "7", "--fact-weight", "0", "--data", str(bins), "--out", str(tmp_path / "run")]
    )
    assert "volume_error" not in exporting.export(tmp_path / "run", bins, tmp_path / "artifact")
    prediction = Predictor(tmp_path / "artifact").predict(read_bins(bins, "test")[0].image.read_bytes())
    assert prediction.volume_in3 is None


def test_class_weights_are_part_of_the_prior_that_answers_assume(tmp_path: Path) -> None:
    bins = write_set(tmp_path / "set", 80, labels=8)  # two of eight counts are the label 6+
    more = [
        "--labels",
        "7",
        "--fact-weight",
        "0",
        "--class-weights",
        "--data",
        str(bins),
        "--out",
        str(tmp_path / "run"),
    ]
    training.main([*SMALL.split(), *more])
    about = exporting.export(tmp_path / "run", bins, tmp_path / "artifact", "data")
    assert about["trained_prior"] == pytest.approx([1 / 7] * 7, abs=1e-6)


def test_artifact_that_does_not_agree_with_torch_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bins = write_set(tmp_path / "set", 70, labels=7)
    training.main(
        [*SMALL.split(), "--labels", "7", "--mix", "data", "--data", str(bins), "--out", str(tmp_path / "run")]
    )
    monkeypatch.setattr(exporting, "served_logits", lambda _, some: np.full((len(some), 7), 0.1))
    with pytest.raises(RuntimeError, match="ONNX and torch differ"):
        exporting.export(tmp_path / "run", bins, tmp_path / "artifact")


def test_run_without_weights_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train first"):
        exporting.export(tmp_path, tmp_path, tmp_path / "artifact")
