"""An ablation in small: every variant learns, and a group is left out when it is judged."""

import csv
import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training import ablate

from .builders import write_set


def test_variants_stand_side_by_side_on_val_and_on_each_group_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bins = write_set(tmp_path / "set", 220, labels=11, side=32)
    monkeypatch.setattr(ablate, "SEEDS", 1)
    monkeypatch.setattr(ablate, "STEPS", 60)
    monkeypatch.setattr(ablate, "BATCH", 32)
    monkeypatch.setattr(ablate, "LEAST_GROUP", 30)
    ids = [row["id"] for row in csv.DictReader((bins / "index.csv").open())]
    (tmp_path / "lines.csv").write_text(
        "id,line\n" + "".join(f"{i},{'north' if int(i) % 10 < 5 else 'south'}\n" for i in ids)
    )
    command = [
        "--data",
        bins,
        "--out",
        tmp_path / "out",
        "--backbone",
        "test_resnet",
        "--weights",
        "none",
        "--size",
        32,
    ]
    ablate.main([*map(str, command), "--by", "line", "--table", str(tmp_path / "lines.csv")])
    results = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert set(results) == set(ablate.VARIANTS)
    assert results["7 labels"]["val"] != results["soft targets, 11 labels"]["val"]
    for places in results.values():
        assert set(places) == {"val", "without north", "without south"}
        assert all(0 < figures["natural_log_loss"] < 10 for figures in places.values())
    before = (tmp_path / "out" / "train.pt").stat().st_mtime_ns
    ablate.main([*map(str, command)])
    assert (tmp_path / "out" / "train.pt").stat().st_mtime_ns == before
