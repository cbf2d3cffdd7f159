"""Two processes train as one does, and every option reaches the end on both."""

import copy
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

import timm  # noqa: E402

from training import pack, train  # noqa: E402
from training.loop.distributed import synchronise_statistics  # noqa: E402

SMALL = "--size 32 --batch 10 --epochs 1 --labels 7 --backbone test_resnet --weights none --drop-path 0"
ALIKE = "--dropout 0 --precision fp32 --epochs 3 --optimizer sgd --lr 0.01 --vary mirror"
CURVES = {
    "group-norm": f"{ALIKE} --backbone test_convnext",
    "frozen-batch-norm": f"{ALIKE} --frozen-stages -1 --lr 0.1",
}
CURVE_TOLERANCE = 2e-3
"""Relative, of losses after three epochs: sums over two halves of a batch are rounded otherwise than over the whole."""
OPTIONS = {
    "left-out": "--leave-out {folder}/ids.txt --extra {bins} --mixup 0.5 --cutmix 0.3 --grow 24:1",
    "taught": "--teacher {folder}/left-out/best.pt --class-weights --schedule plateau --loss corn --keep-best 2"
    " --batch 20 --accumulate 5 --epochs 2",
    "going-on": "--out {folder}/taught --resume {taught} --epochs 3 --patience 1 --stop-when-unhealthy",
    "fp16": "--precision fp16 --optimizer sgd",
    "profile": "--profile --epochs 8",
    "files": "--epochs 2 --mixup 0.5",
    "packed": "--epochs 2 --mixup 0.5 --data {folder}/archives",
    "files-resumed": "--out {folder}/files --epochs 3 --mixup 0.5 --resume",
    "packed-resumed": "--out {folder}/packed --epochs 3 --mixup 0.5 --resume --data {folder}/archives",
}
pytestmark = pytest.mark.xdist_group("two processes")


def command(bins: Path, out: Path, options: str) -> list[str]:
    return [*SMALL.split(), "--data", str(bins), "--out", str(out), *options.split()]


@pytest.fixture(scope="module")
def folder(bins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes leave of all trainings, which run in one start of torchrun: starting takes longest."""
    folder = tmp_path_factory.mktemp("two")
    ids = [row["id"] for row in csv.DictReader((bins / "index.csv").open()) if row["split"] == "train"]
    (folder / "ids.txt").write_text("\n".join(ids[:11]))
    pack.pack(bins, folder / "archives", 20_000)
    taught = OPTIONS["taught"].format(folder=folder)
    cases = {
        name: command(bins, folder / name, options.format(folder=folder, bins=bins, taught=taught))
        for name, options in (CURVES | OPTIONS).items()
    }
    (folder / "cases.json").write_text(json.dumps(cases))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    script = [*torchrun, "tests.training.two_processes", str(folder / "cases.json")]
    subprocess.run(script, check=True, timeout=300, env=os.environ | {"OMP_NUM_THREADS": "1"})
    return folder


def losses(out: Path) -> list[list[float]]:
    with (out / "metrics.csv").open() as file:
        return [[float(row[name]) for name in ("train_loss", "val_loss")] for row in csv.DictReader(file)]


@pytest.mark.parametrize("name", CURVES)
def test_two_processes_follow_the_loss_curve_of_one(bins: Path, folder: Path, tmp_path: Path, name: str) -> None:
    """Without batch statistics, dropout and mixing, which each process has of its own images."""
    train.main(command(bins, tmp_path, CURVES[name]))
    np.testing.assert_allclose(losses(folder / name), losses(tmp_path), rtol=CURVE_TOLERANCE)


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_ends_on_both_ranks_with_the_same_figures(folder: Path, name: str) -> None:
    first, second = json.loads((folder / f"{name}.json").read_text())
    assert first == second


def test_a_packed_set_ends_as_its_files_do_bit_for_bit_also_after_a_resume(folder: Path) -> None:
    files, packed = (torch.load(folder / name / "last.pt", weights_only=True) for name in ("files", "packed"))
    assert losses(folder / "files") == losses(folder / "packed")
    assert len(losses(folder / "packed")) == 3
    assert all(torch.equal(weights, packed["network"][name]) for name, weights in files["network"].items())


def test_bins_left_out_are_judged_by_both_ranks(folder: Path) -> None:
    assert json.loads((folder / "left-out" / "left_out.json").read_text())["bins"] == 11


def test_one_rank_writes_the_profile(folder: Path) -> None:
    assert "forward" in (folder / "profile" / "profile" / "summary.html").read_text()


def test_a_process_that_fails_before_the_others_need_it_ends_them_too(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("""
import sys
from training.loop.distributed import processes

with processes() as group:
    if group.leads:
        sys.exit("train: the disk is full")
    group.gather("waits for the first")
""")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(torchrun, timeout=100, env=environment, capture_output=True, text=True)
    assert ended.returncode != 0
    assert "train: the disk is full" in ended.stderr


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "test_resnet"])
def test_statistics_over_all_processes_leave_the_answers_as_they_are(backbone: str) -> None:
    torch.manual_seed(0)
    plain = timm.create_model(backbone, num_classes=7).eval()
    converted = synchronise_statistics(copy.deepcopy(plain)).eval()
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in converted.modules())
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in converted.modules())
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(converted(images), plain(images))
