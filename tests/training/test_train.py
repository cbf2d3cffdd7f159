"""Trainings in small: bins of bright squares, random weights, minutes of a big one in seconds."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training import train as training  # noqa: E402
from training.jobs.steps.training_job import METRICS  # noqa: E402
from training.loop import run  # noqa: E402
from training.loop.epoch_line import figure_regex  # noqa: E402
from training.loop.search_space import OBJECTIVE, SPACE  # noqa: E402
from training.network import checkpoints  # noqa: E402
from training.network.teacher import Teacher  # noqa: E402

SMALL = "--size 32 --batch 10 --epochs 2 --labels 7 --mix data --backbone test_resnet --weights none --drop-path 0"


def train(bins: Path, out: Path, *more: str) -> dict[str, float]:
    return training.main([*SMALL.split(), "--data", str(bins), "--out", str(out), *more])


@pytest.fixture(scope="module")
def finished(bins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch, which nobody changes."""
    out = tmp_path_factory.mktemp("finished") / "run"
    train(bins, out, "--epochs", "1")
    return out


def metrics(out: Path) -> list[dict[str, str]]:
    with (out / "metrics.csv").open() as file:
        return [{name: value for name, value in row.items() if name != "minutes"} for row in csv.DictReader(file)]


def test_run_leaves_weights_options_curves_and_a_row_of_metrics_per_epoch(bins: Path, tmp_path: Path) -> None:
    figures = train(bins, tmp_path, "--extra", str(bins), "--grow", "24:1")
    assert {path.name for path in tmp_path.iterdir()} == {
        *("best.pt", "last.pt", "options.json", "metrics.csv", "health.json", "run.html", "tensorboard")
    }
    rows = metrics(tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert figures["log_loss"] == pytest.approx(min(float(row["val_log_loss"]) for row in rows), abs=1e-4)
    assert json.loads((tmp_path / "options.json").read_text())["backbone"] == "test_resnet"


def test_network_learns_to_count(bins: Path, tmp_path: Path) -> None:
    figures = train(
        bins, tmp_path, "--epochs", "40", "--lr", "5e-3", "--dropout", "0", "--mixup", "0", "--vary", "mirror"
    )
    guessing = np.log(7)
    assert figures["log_loss"] < 0.6 * guessing


def test_a_tuner_can_read_its_objective_in_the_lines(
    bins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(bins, tmp_path)
    lines = capsys.readouterr().out
    for name in (f"val_{OBJECTIVE}", *METRICS):
        assert len(re.findall(figure_regex(name), lines)) == 2
    assert set(SPACE) <= set(training.parse_options(["--data", "x", "--out", "y"]).values())


def test_killed_run_resumes_to_the_metrics_of_an_unbroken_one(
    bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(bins, tmp_path / "unbroken")
    monkeypatch.setattr(run, "CHECKPOINT_EVERY_S", 0.0)
    save, saves = checkpoints.save, []

    def save_and_die(path: Path, state: dict[str, object]) -> None:
        save(path, state)
        saves.append(path)
        if saves.count(tmp_path / "killed" / "last.pt") == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        train(bins, tmp_path / "killed")
    monkeypatch.undo()
    train(bins, tmp_path / "killed", "--resume")
    assert metrics(tmp_path / "killed") == metrics(tmp_path / "unbroken")
    weights = [torch.load(tmp_path / run / "best.pt")["network"] for run in ("killed", "unbroken")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_job_folders_and_hyperparameters_are_options_too(
    bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = {"SM_CHANNEL_DATA": bins, "SM_MODEL_DIR": tmp_path / "model", "SM_OUTPUT_DATA_DIR": tmp_path / "output"}
    for name, folder in folders.items():
        monkeypatch.setenv(name, str(folder))
    training.main(
        [*SMALL.split(), "--class-weights", "true", "--resume", "true", "--checkpoints", str(tmp_path / "checkpoints")]
    )
    assert [path.name for path in (tmp_path / "model").iterdir()] == ["best.pt"]
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.pt"]
    assert len(metrics(tmp_path / "output")) == 2


def test_bins_left_out_are_judged_and_not_trained_on(bins: Path, tmp_path: Path) -> None:
    ids = [row["id"] for row in csv.DictReader((bins / "index.csv").open()) if row["split"] == "train"]
    (tmp_path / "ids.txt").write_text("\n".join(ids[:12]))
    train(bins, tmp_path / "run", "--leave-out", str(tmp_path / "ids.txt"), "--epochs", "1")
    left_out = json.loads((tmp_path / "run" / "left_out.json").read_text())
    assert left_out["bins"] == 12
    assert 0 <= left_out["figures"]["accuracy_0_5"] <= 1


def test_profile_leaves_its_page(bins: Path, tmp_path: Path) -> None:
    train(bins, tmp_path, "--profile", "--epochs", "8")
    assert "forward" in (tmp_path / "profile" / "summary.html").read_text()


def test_run_that_goes_wrong_is_told_and_stopped(bins: Path, tmp_path: Path) -> None:
    train(bins, tmp_path, "--lr", "1e6", "--optimizer", "sgd", "--epochs", "6", "--stop-when-unhealthy")
    assert json.loads((tmp_path / "health.json").read_text())
    assert len(metrics(tmp_path)) < 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "500"), "lower --batch"),
        (("--labels", "5"), "compared by 7 labels"),
        (("--data", "nowhere"), r"nowhere/index\.csv is missing: make the set"),
        (("--backbone", "resnet19"), "timm has no network"),
    ],
)
def test_what_cannot_be_trained_says_why(bins: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        train(bins, tmp_path, *arguments)


def test_student_is_taught_by_the_runs_named(
    bins: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(bins, tmp_path / "other", "--epochs", "1", "--seed", "1")
    teachers = [str(run / "best.pt") for run in (finished, tmp_path / "other")]
    train(bins, tmp_path / "taught", "--epochs", "1", "--teacher", *teachers)
    assert metrics(tmp_path / "taught")[0]["train_loss"] != metrics(finished)[0]["train_loss"]
    with pytest.raises(SystemExit, match="belongs to another run"):
        train(bins, tmp_path / "taught", "--teacher", str(tmp_path / "other" / "best.pt"), "--resume")
    monkeypatch.setenv("SM_CHANNEL_TEACHER", str(tmp_path / "other"))
    train(bins, tmp_path / "job", "--epochs", "1")
    assert "other/best.pt" in (tmp_path / "job" / "options.json").read_text()
    monkeypatch.setenv("SM_CHANNEL_TEACHER", str(bins))
    with pytest.raises(SystemExit):
        train(bins, tmp_path / "untaught")


def test_teacher_says_what_its_run_would(finished: Path) -> None:
    teacher = Teacher(finished / "best.pt", 7, torch.device("cpu"))
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        logits, _ = teacher.network(teacher.network.normalise(images))
    assert torch.allclose(teacher.shares(images), logits.softmax(1))


@pytest.mark.parametrize(
    ("labels", "name", "message"), [(8, "best.pt", "train with --labels 7"), (7, "metrics.csv", "cannot teach")]
)
def test_what_cannot_teach_says_why(finished: Path, labels: int, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Teacher(finished / name, labels, torch.device("cpu"))


def test_folder_of_another_run_is_neither_overwritten_nor_resumed(bins: Path, finished: Path) -> None:
    with pytest.raises(SystemExit, match="--resume"):
        train(bins, finished, "--epochs", "1")
    with pytest.raises(SystemExit, match="belongs to another run"):
        train(bins, finished, "--epochs", "1", "--lr", "0.5", "--resume")


def test_a_head_that_is_not_trained_is_not_called_ill(bins: Path, tmp_path: Path) -> None:
    train(bins, tmp_path, "--fact-weight", "0")
    assert "fact_head" not in (tmp_path / "health.json").read_text()


def test_image_that_cannot_be_read_is_named(bins: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(bins, tmp_path / "set")
    (broken / "bin-images" / "00000.png").write_bytes(b"no image")
    with pytest.raises(SystemExit, match=r"00000\.png cannot be read .* prepare the set again"):
        train(broken, tmp_path / "run")
