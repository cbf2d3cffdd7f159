"""Baselines are measured on the same splits by the same figures, once."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training import baselines

from .builders import write_set

TINY = ["--epochs", "1", "--backbone", "test_resnet", "--weights", "none", "--size", "32", "--batch", "10"]


def test_baselines_stand_side_by_side_and_are_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bins = write_set(tmp_path / "set", 70, labels=7)
    arguments = ["--data", str(bins), "--out", str(tmp_path / "out"), "--json", *TINY]
    baselines.main(arguments)
    results = json.loads(capsys.readouterr().out[-20000:].split("\n{\n", 1)[-1].join(["{\n", ""]))
    assert set(results) == {"majority", "prior", "frozen-resnet50", "resnet34-from-scratch"}
    assert results["majority"]["figures"]["test"]["exact_0"] == 1
    assert results["prior"]["figures"]["test"]["accuracy_0_5"] == pytest.approx(1 / 6, abs=0.05)
    assert (results["frozen-resnet50"]["epochs"], results["frozen-resnet50"]["of_epochs"]) == (1, 10)
    monkeypatch.setattr(baselines, "fit", lambda *_: pytest.fail("trained again"))
    baselines.main(arguments)
