"""The temperature undoes what is too sure, and what is written is what is served."""

import json
from pathlib import Path

import numpy as np
import pytest

for package in ("matplotlib", "onnx", "scipy", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed: uv sync --group train")

from model.calibration import calibrate  # noqa: E402
from model.predictor import Predictor  # noqa: E402
from tests.training.builders import write_set  # noqa: E402
from tests.training.square_counter import write_square_counter  # noqa: E402
from training.calibrate import fit, recalibrate, served_logits, write_calibration_page  # noqa: E402
from training.data.bins import counts_of, read_bins  # noqa: E402
from training.data.sampling import mix_of  # noqa: E402
from training.measure.metrics import log_loss  # noqa: E402


def answers(bins: int, outputs: int = 11) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and counts that occur as often as their softmax says."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1.5, (bins, outputs))
    return logits, (logits + rng.gumbel(size=logits.shape)).argmax(1)


def test_temperature_undoes_overconfidence_and_the_calibration_error_falls() -> None:
    logits, counts = answers(3000)
    calibration = fit(3 * logits, counts, soft_width=0)
    assert calibration.temperature == pytest.approx(3, rel=0.1)
    assert calibration.after.log_loss == pytest.approx(log_loss(calibrate(logits, 0, 1, np.ones(11)), counts), abs=0.01)
    assert calibration.after.log_loss < calibration.before.log_loss
    assert calibration.after.calibration_error < 0.04 < calibration.before.calibration_error
    assert calibration.after.probabilities.shape == (3000, 11)


def test_bins_without_weight_do_not_count() -> None:
    logits, counts = answers(600)
    noise = np.random.default_rng(2).permutation(counts)
    both = fit(np.tile(logits, (2, 1)), np.concatenate((counts, noise)), 0.6, np.repeat([1.0, 0.0], 600))
    assert both.temperature == pytest.approx(fit(logits, counts, 0.6).temperature, rel=1e-3)
    assert both.after.calibration_error == pytest.approx(fit(logits, counts, 0.6).after.calibration_error, abs=1e-3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data") / "set", 80, labels=8)


@pytest.mark.parametrize("mix", ["data", "natural"])
def test_recalibrated_artifact_serves_what_was_fitted(data: Path, tmp_path: Path, mix: str) -> None:
    artifact, bins = write_square_counter(tmp_path, sureness=0.3), read_bins(data, "val")
    calibration = recalibrate(artifact, bins, mix)
    predictor, counts = Predictor(artifact), counts_of(bins)
    about = json.loads((artifact / "counter.json").read_text())
    assert predictor.temperature == calibration.temperature < 1
    assert predictor.prior == pytest.approx(mix_of(np.minimum(counts, 6), 7, mix), abs=1e-6)
    probabilities = np.array([predictor.predict(one.image.read_bytes()).probabilities for one in bins])
    assert probabilities == pytest.approx(calibration.after.probabilities)
    assert about["metrics"]["val"]["log_loss"] == pytest.approx(log_loss(probabilities, counts), abs=1e-4)
    fits = about["metrics"]["val_calibration"]
    assert fits["after"]["log_loss"] < fits["before"]["log_loss"]


def test_dry_run_leaves_the_artifact_as_it_was(data: Path, tmp_path: Path) -> None:
    artifact = write_square_counter(tmp_path / "artifact")
    before = (artifact / "counter.json").read_bytes()
    calibration = recalibrate(artifact, read_bins(data, "val"), dry_run=True)
    assert (artifact / "counter.json").read_bytes() == before
    write_calibration_page(tmp_path / "page.html", "Calibration", calibration)
    assert "<svg" in (tmp_path / "page.html").read_text()


def test_label_that_no_bin_has_is_named(tmp_path: Path) -> None:
    artifact, few = write_square_counter(tmp_path / "artifact"), write_set(tmp_path / "few", 20)
    with pytest.raises(ValueError, match="label 4"):
        recalibrate(artifact, read_bins(few, "val"))


def test_image_that_cannot_be_counted_is_named(data: Path, tmp_path: Path) -> None:
    artifact, few = write_square_counter(tmp_path / "artifact"), write_set(tmp_path / "few", 10)
    bins = read_bins(few, "val")
    bins[1].image.write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=rf"{bins[1].image.name}.*prepare the set again"):
        served_logits(Predictor(artifact), bins)
