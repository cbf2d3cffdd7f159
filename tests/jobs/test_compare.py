"""When a candidate counts as better than the champion."""

import json
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

for package in ("matplotlib", "onnx", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed: uv sync --group train --group dev")

from model.predictor import Predictor  # noqa: E402
from training.data.bins import read_bins  # noqa: E402
from training.evaluate import predict_all  # noqa: E402
from training.jobs.container.compare import compare, gain  # noqa: E402
from training.jobs.pipeline import champion  # noqa: E402

from ..training.builders import write_set  # noqa: E402
from ..training.square_counter import write_square_counter  # noqa: E402


def test_gain_that_chance_alone_explains_does_not_reach_any_margin() -> None:
    rng = np.random.default_rng(0)
    champion = rng.gamma(2, 0.7, 300)
    noise = rng.normal(0.02, 0.6, 300)
    luck = gain(champion - noise, champion)
    assert luck["low"] < 0 < luck["mean"]
    skill = gain(champion - 0.1 - noise / 10, champion)
    assert skill["low"] > 0.05


def test_without_an_endpoint_a_candidate_has_to_beat_the_mix_of_counts(aws: None, tmp_path: Path) -> None:
    bins = read_bins(write_set(tmp_path / "set", 210, labels=7), "test")
    answers = predict_all(Predictor(write_square_counter(tmp_path / "right")), bins)
    compared = compare(bins, answers, "no-endpoint")
    assert compared["champion"]["model"] is None
    assert compared["champion"]["log_loss"] == pytest.approx(np.log(7))
    assert compared["gain"]["low"] > 1
    wrong = predict_all(Predictor(write_square_counter(tmp_path / "wrong", sureness=-4)), bins)
    assert compare(bins, wrong, "no-endpoint")["gain"]["high"] < 0


def test_a_champion_with_fewer_labels_is_compared_by_those(
    aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bins = read_bins(write_set(tmp_path / "set", 210, labels=7), "test")
    answers = predict_all(Predictor(write_square_counter(tmp_path / "finer")), bins)
    coarser = write_square_counter(tmp_path / "coarser")
    about = json.loads((coarser / "counter.json").read_text())
    merged = {name: [*about[name][:3], sum(about[name][3:])] for name in ("prior", "trained_prior")}
    (coarser / "counter.json").write_text(json.dumps(about | merged | {"labels": ["0", "1", "2", "3+"]}))
    monkeypatch.setattr(champion, "archive", lambda *_: "s3://models/model.tar.gz")
    monkeypatch.setattr(champion, "artifact", lambda *_: nullcontext(coarser))
    assert compare(bins, answers, "endpoint")["gain"] == pytest.approx({"mean": 0, "low": 0, "high": 0}, abs=1e-6)


def test_an_image_that_the_champion_refuses_is_left_out_for_both(
    aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bins = read_bins(write_set(tmp_path / "set", 210, labels=7), "test")
    artifact = write_square_counter(tmp_path / "same")
    answers = predict_all(Predictor(artifact), bins)
    monkeypatch.setattr(champion, "archive", lambda *_: "s3://models/model.tar.gz")
    monkeypatch.setattr(champion, "artifact", lambda *_: nullcontext(artifact))
    Path(str(bins[1].image)).write_bytes(b"no image")
    compared = compare(bins, answers, "endpoint")
    assert (compared["bins"], list(compared["skipped"])) == (len(bins) - 1, [bins[1].id])
    assert compared["gain"] == {"mean": 0, "low": 0, "high": 0}
