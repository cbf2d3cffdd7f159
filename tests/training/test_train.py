"""A whole training in small: rendered bins, random weights, an artifact that serves. Needs the train environment."""

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from model.predictor import Predictor  # noqa: E402
from samples.render import write_training_set  # noqa: E402
from training import train as training  # noqa: E402
from training.data import load_bins, picture_paths  # noqa: E402
from training.evaluate import evaluate  # noqa: E402
from training.export import export  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bins")
    write_training_set(folder, 48, seed=99)
    return folder


def options(bins: Path, out: Path, *more: str) -> list[str]:
    small = ["--size", "64", "--batch", "8", "--epochs", "2", "--weights", "none", "--limit", "16"]
    return ["--data", str(bins), "--out", str(out), *small, *more]


def metrics(out: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "minutes"} for row in csv.DictReader((out / "metrics.csv").open())]


@pytest.fixture(scope="module")
def run(bins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run")
    training.train(training.parse_options(options(bins, out, "--extra", str(bins))))
    return out


def test_run_leaves_weights_options_and_a_row_of_metrics_per_epoch(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {"best.pt", "last.pt", "options.json", "metrics.csv"}
    assert [row["epoch"] for row in metrics(run)] == ["1", "2"]


def test_a_tuner_can_read_the_metrics_line(bins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training.train(training.parse_options(options(bins, tmp_path)))
    values = re.findall(r"val_accuracy_0_5=([0-9.]+)", capsys.readouterr().out)
    assert len(values) == 2


def test_killed_run_resumes_to_the_metrics_of_an_unbroken_one(
    bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.train(training.parse_options(options(bins, tmp_path / "unbroken")))
    save = training._save

    def save_and_die(*state: object) -> None:
        save(*state)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "_save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        training.train(training.parse_options(options(bins, tmp_path / "killed")))
    monkeypatch.undo()
    training.train(training.parse_options(options(bins, tmp_path / "killed", "--resume")))
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "unbroken")


def test_run_limited_by_the_clock_ends_in_time(bins: Path, tmp_path: Path) -> None:
    training.train(training.parse_options(options(bins, tmp_path, "--epochs", "1000", "--max-minutes", "0.02")))
    assert len(metrics(tmp_path)) < 20


def test_trained_network_is_exported_served_and_measured(bins: Path, run: Path, tmp_path: Path) -> None:
    about = export(run, bins, tmp_path, flip=True)
    assert sum(about["prior"]) == pytest.approx(1, abs=1e-4)
    report = evaluate(Predictor(tmp_path), bins, "all")
    assert report["bins"] == np.sum(report["confusion"]) == 48
    assert report["model"].startswith(about["name"])


def test_folder_of_another_run_is_not_overwritten(bins: Path, run: Path) -> None:
    with pytest.raises(SystemExit, match="--resume"):
        training.train(training.parse_options(options(bins, run)))


def test_weights_of_another_architecture_are_refused(bins: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="ImageNet"):
        training.train(training.parse_options([*options(bins, tmp_path), "--weights", str(run / "last.pt")]))


def test_missing_pieces_of_the_data_are_named(bins: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="bin-images"):
        load_bins(tmp_path, "train", 64)
    with pytest.raises(ValueError, match="no bin in split 'tests'"):
        load_bins(bins, "tests", 64)
    shutil.copytree(bins, tmp_path, dirs_exist_ok=True)
    (tmp_path / "index.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"index\.csv"):
        load_bins(tmp_path, "train", 64)
    assert len(picture_paths(tmp_path, "all")) == 48
