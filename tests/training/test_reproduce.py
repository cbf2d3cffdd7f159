"""The published ways run on a set, and their published figures stand beside those of the runs."""

import json
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training import reproduce, train
from training.loop.config import read_config
from training.measure.published import BALANCED, BENCHMARK, FROZEN
from training.prepare import parse_options, prepare

from .builders import write_bins

TINY = ["--backbone", "test_resnet", "--weights", "none", "--size", "32", "--batch", "8"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = write_bins(tmp_path_factory.mktemp("source"), {str(1000 + 50 * one): 1 + one % 5 for one in range(100)})
    out = tmp_path_factory.mktemp("set") / "set"
    options = ["--source", str(source), "--fractions", "0.6", "0.2", "0.2", "--counts", "1-5", "--jobs", "2"]
    prepare(parse_options([*options, "--out", str(out)]))
    return out


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Trainings run in this process; the commands that would have started them."""
    run: list[list[str]] = []

    def run_here(command: list[str]) -> None:
        run.append(command)
        train.main(command[command.index("training.train") + 1 :])

    monkeypatch.setattr(reproduce, "_run", run_here)
    return run


def test_published_figures_stand_beside_those_of_the_runs(
    data: Path, tmp_path: Path, commands: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["abid-challenge-resnet34", "capstone-balanced-resnet50", "capstone-two-instances-resnet34", "autogluon"]
    arguments = ["--data", str(data), "--out", str(tmp_path), "--only", *names, "--epochs", "1", "--limit", "50", *TINY]
    reproduce.main([*arguments, "--usd-per-hour", "60"])
    shown = capsys.readouterr().out
    assert "1 of 40" in shown
    assert "50 of 60" in shown
    assert "55.7%" in shown
    assert "…" not in shown
    assert "28 USD" in shown
    assert "Run here with --backbone test_resnet" in shown
    assert "AutoGluon is not installed" in shown
    report = json.loads((tmp_path / "reproduced.json").read_text())
    here = report["abid-challenge-resnet34"]["here"]
    assert (here["epochs"], here["of_epochs"], here["bins"], here["of_bins"]) == (1, 40, 50, 60)
    assert here["usd"] == pytest.approx(here["minutes"], abs=0.01)
    assert set(here["figures"]["test"]) >= {"accuracy_0_5", "standardised_rmse", "exact_1", "exact_5"}
    assert "exact_0" not in here["figures"]["test"]
    assert "97.7%" in (tmp_path / "reproduced.html").read_text()
    assert [command[1:3] for command in commands[:2]] == [["-m", "training.train"]] * 2
    assert commands[2][1:6] == ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    reproduce.main([*arguments, "--json"])  # nothing is run again
    assert len(commands) == 3


def test_training_that_fails_ends_with_its_command(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"training\.train --config .* ended with 1: its messages are above"):
        reproduce.main(
            ["--data", str(data), "--out", str(tmp_path), "--only", "abid-challenge-resnet34", "--limit", "50"]
        )


def test_report_of_a_search_elsewhere_is_taken(data: Path, tmp_path: Path) -> None:
    figures = {name: {"value": 0.5, "interval": [0.4, 0.6]} for name in ("accuracy_0_5", "exact_3")}
    (tmp_path / "autogluon").mkdir()
    (tmp_path / "autogluon" / "val.json").write_text(json.dumps({"figures": figures}))
    (found,) = reproduce.reproduce(data, tmp_path, ["autogluon"], reproduce.Cuts())
    assert found.here["figures"] == {"val": {"accuracy_0_5": 0.5, "exact_3": 0.5}}


def test_benchmark_is_reproduced_to_the_letter() -> None:
    """counting/train.py of github.com/silverbottlep/abid_challenge."""
    recipe = read_config(reproduce.RECIPES / "abid-challenge-resnet34.toml")
    expected = {
        "backbone": "resnet34", "weights": "none", "vary": "mirror", "size": 224, "soft_width": 0, "mixup": 0,
        "epochs": 40, "batch": 128, "optimizer": "sgd", "nesterov": False, "lr": 0.1, "momentum": 0.9,
        "weight_decay": 1e-4, "schedule": "step", "step_epochs": 10, "gamma": 0.1, "ema_decay": 0, "dropout": 0,
        "clip_gradient_norm": 0, "precision": "fp32",
    }  # fmt: skip
    defaults = train.option_parser().parse_args([])
    assert {name: recipe.get(name, getattr(defaults, name)) for name in expected} == expected


@pytest.mark.parametrize("name", reproduce.WAYS)
def test_every_way_has_a_recipe_that_is_read(name: str) -> None:
    assert read_config(reproduce.RECIPES / f"{name}.toml")["fact_weight"] == 0


def test_published_figures_are_standardised_where_every_class_is_published() -> None:
    assert BENCHMARK.standardised_accuracy == pytest.approx(0.564, abs=1e-3)
    assert BENCHMARK.standardised_rmse == pytest.approx(0.941, abs=1e-3)
    assert BALANCED.standardised_accuracy == pytest.approx(0.326, abs=1e-2)
    assert FROZEN.standardised_accuracy is None
