"""A study in small: it searches, cuts short, goes on after a kill, and says what mattered."""

import json
from pathlib import Path

import pytest

pytest.importorskip("optuna", reason="optuna is not installed: uv sync --group train")
pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

import optuna
import torch

from training import tune

FIXED = "--size 32 --batch 10 --epochs 2 --labels 7 --mix data --backbone test_resnet --weights none --drop-path 0"


def run(bins: Path, out: Path, trials: int, *more: str) -> None:
    searched = ["--search", "lr", "loss", *more]
    tune.main(["--data", str(bins), "--out", str(out), "--trials", str(trials), *searched, "--", *FIXED.split()])


def test_study_leaves_the_best_options_and_goes_on_where_it_stopped(bins: Path, tmp_path: Path) -> None:
    run(bins, tmp_path, 2)
    run(bins, tmp_path, 3)
    study = optuna.load_study(study_name="bincheck", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert len(study.trials) == 3
    assert json.loads((tmp_path / "best.json").read_text()) == study.best_params
    assert set(study.best_params) == {"lr", "loss"}
    assert (tmp_path / "trials.csv").read_text().count("\n") == 4
    assert "Importance" in (tmp_path / "study.html").read_text()


def test_trial_that_a_kill_broke_off_is_tried_again(
    bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(tune, "fit", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(bins, tmp_path, 1)
    broken_off = optuna.load_study(study_name="bincheck", storage=f"sqlite:///{tmp_path / 'study.db'}").trials[0]
    run(bins, tmp_path, 1)
    study = optuna.load_study(study_name="bincheck", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert study.best_trial.params == broken_off.params


def test_option_that_is_searched_and_fixed_is_refused(bins: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--size is searched and fixed"):
        tune.main(["--data", str(bins), "--out", str(tmp_path), "--search", "size", "--", *FIXED.split()])


def loss_of(training: object, _: object) -> dict[str, float]:
    return {"log_loss": training.options.loop.lr}


def test_only_what_the_optimizer_has_is_drawn_for_it(
    bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "fit", loss_of)
    searched = ["--search", "lr", "optimizer", "momentum", "beta1", "beta2"]
    tune.main(["--data", str(bins), "--out", str(tmp_path), "--trials", "12", *searched, "--", *FIXED.split()])
    study = optuna.load_study(study_name="bincheck", storage=f"sqlite:///{tmp_path / 'study.db'}")
    drawn = {trial.params["optimizer"]: set(trial.params) - {"lr", "optimizer"} for trial in study.trials}
    assert drawn == {"sgd": {"momentum"}, "adamw": {"beta1", "beta2"}}
    assert {frozenset(trial.params) for trial in study.trials} == {
        frozenset(("lr", "optimizer", *options)) for options in drawn.values()
    }


def test_what_is_fixed_or_idle_is_not_searched() -> None:
    assert "momentum" in tune.searched(None, [])
    assert {"optimizer", "lr"}.isdisjoint(tune.searched(None, ["--optimizer", "sgd", "--lr=0.1"]))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError("no memory")])
def test_trial_without_memory_fails_and_the_search_goes_on(
    bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    trained = []

    def fit(*arguments: object) -> dict[str, float]:
        trained.append(arguments)
        if len(trained) == 1:
            raise error
        return loss_of(*arguments)

    monkeypatch.setattr(tune, "fit", fit)
    optuna.logging.enable_propagation()
    run(bins, tmp_path, 3)
    study = optuna.load_study(study_name="bincheck", storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert "trial 0 ran out of memory with --lr" in caplog.text


def test_other_faults_end_the_search(bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tune, "fit", lambda *_: (_ for _ in ()).throw(RuntimeError("shapes differ")))
    with pytest.raises(RuntimeError, match="shapes differ"):
        run(bins, tmp_path, 1)
