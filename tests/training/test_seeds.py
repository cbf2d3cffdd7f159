"""Several seeds in one command, and how far their figures lie apart."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training import seeds

FIXED = "--size 32 --batch 10 --epochs 1 --labels 7 --backbone test_resnet --weights none --drop-path 0"


def test_spread_is_over_the_runs() -> None:
    assert seeds.spread([{"loss": 1.0}, {"loss": 3.0}])["loss"] == {
        "mean": 2.0, "std": pytest.approx(2**0.5), "min": 1.0, "max": 3.0,
    }  # fmt: skip
    assert seeds.spread([{"loss": 1.0}])["loss"]["std"] == 0


def test_each_seed_is_a_run_of_its_own_and_is_trained_once(
    bins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["--data", str(bins), "--out", str(tmp_path), "--seeds", "2", "--first", "4", "--", *FIXED.split()]
    seeds.main(command)
    assert "standard deviation" in capsys.readouterr().out
    found = json.loads((tmp_path / "seeds.json").read_text())
    losses = [found["runs"][seed]["log_loss"] for seed in ("4", "5")]
    assert losses[0] != losses[1]
    assert found["figures"]["log_loss"]["mean"] == pytest.approx(sum(losses) / 2)
    before = (tmp_path / "seed-4" / "metrics.csv").read_text()
    seeds.main(["--json", *command])
    assert (tmp_path / "seed-4" / "metrics.csv").read_text() == before
