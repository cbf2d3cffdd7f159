"""The 8-bit artifact is served like any other and counts like the one it was made from."""

import json
import sys
from pathlib import Path

import pytest

for package in ("matplotlib", "onnx", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed: uv sync --group train")

import numpy as np  # noqa: E402
import onnx  # noqa: E402

from model.predictor import ARTIFACT, Predictor  # noqa: E402
from tests.training.builders import write_set  # noqa: E402
from tests.training.square_counter import write_square_counter  # noqa: E402
from training import quantise as quantisation  # noqa: E402
from training.network.rounding import round_rows  # noqa: E402


def test_quantised_artifact_counts_like_the_one_it_was_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_set(tmp_path / "data", 60, labels=6)
    artifact, out = write_square_counter(tmp_path / "float32", outputs=7), tmp_path / "int8"
    arguments = ["--artifact", artifact, "--data", data, "--out", out]
    monkeypatch.setattr(sys, "argv", ["quantise", *map(str, arguments)])
    quantisation.main()
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(out / "counter.onnx").graph.node}
    bins = quantisation.read_bins(data, "val")
    was, now = quantisation.measure(artifact, bins), quantisation.measure(out, bins)
    assert was.figures["accuracy"] == 1
    assert now.figures["accuracy"] >= 0.75
    assert Predictor(out).name.startswith("squares-int8@")
    about = json.loads((out / "counter.json").read_text())
    assert about["quantised"] == {"from": Predictor(artifact).name, "pictures": 12}
    assert now.figures["log_loss"] < 0.5
    shown = capsys.readouterr().out
    assert "one image on one core (ms)" in shown
    assert "same count" in shown


def pair_sums(activations: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The products (k,) as AVX2 adds them without VNNI: pairs in a saturating int16, pairs of pairs in an int32."""
    products = activations.astype(np.int64) * weights
    pairs = np.append(products, [0] * (products.size % 2)).reshape(-1, 2).sum(1)
    return np.clip(pairs, -(2**15), 2**15 - 1).sum()


def test_weights_of_seven_bits_never_overflow_a_pair_of_products(tmp_path: Path) -> None:
    """The brightest image is the worst case; the outcome does not depend on the processor that runs the test."""
    bins = quantisation.read_bins(write_set(tmp_path / "data", 30, labels=6), "val")
    quantisation.quantise(write_square_counter(tmp_path / "float32", outputs=7), bins, tmp_path / "int8")
    tensors = {one.name: one for one in onnx.load(tmp_path / "int8" / "counter.onnx").graph.initializer}
    weights = [onnx.numpy_helper.to_array(tensors[f"{name}_quantized"]) for name in ("grey", "slope")]
    assert {one.dtype for one in weights} == {np.dtype(np.int8)}
    assert max(np.abs(one.astype(int)).max() for one in weights) == 64
    for row in weights[0].reshape(len(weights[0]), -1).astype(np.int64):
        assert pair_sums(np.full(row.size, 255, np.uint8), row) == 255 * row.sum()
    assert pair_sums(np.full(2, 255, np.uint8), np.array([127, 127])) < 255 * 254


def test_rounding_passes_errors_on_to_inputs_that_vary_together() -> None:
    rng = np.random.default_rng(0)
    seen = rng.normal(size=(8, 1000)) + 3 * rng.normal(size=1000)
    rows = rng.uniform(-9, 9, (1, 20, 8))
    rounded = round_rows(rows, np.cov(seen)[None], 64)
    assert np.array_equal(rounded, np.round(rounded))
    assert ((rounded - rows)[0] @ seen).var() < 0.5 * ((np.round(rows) - rows)[0] @ seen).var()
    assert np.abs(round_rows(rows, np.cov(seen)[None], 4)).max() == 4


def test_shipped_fast_artifact_answers_alike_on_every_processor() -> None:
    network = onnx.load(ARTIFACT.with_name("artifact-fast") / "counter.onnx")
    weights = [onnx.numpy_helper.to_array(one) for one in network.graph.initializer if one.name.endswith("_quantized")]
    codes = [one for one in weights if one.dtype == np.int8]
    assert len(codes) > 60
    assert max(np.abs(one.astype(int)).max() for one in codes) <= 64


def test_artifact_is_not_overwritten_by_its_own_quantisation(tmp_path: Path) -> None:
    artifact = write_square_counter(tmp_path)
    with pytest.raises(ValueError, match="--out"):
        quantisation.quantise(artifact, [], tmp_path / ".")
