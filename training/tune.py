"""Searches for better options of `training.train`: Optuna over training.loop.search_space, bad trials cut short.

    python -m training.tune --data SET --out runs/study --trials 20 -- --epochs 3 --weights imagenet

What follows the two dashes goes to every trial. The same command continues a study that was stopped. It leaves
study.db, trials.csv, best.json (options of the best trial) and study.html with the importance of each option. The space
is conditional: momentum is drawn under SGD, betas under AdamW. A trial that runs out of memory fails, the next begins.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import optuna
import torch
from optuna.importance import get_param_importances
from optuna.trial import FrozenTrial, TrialState

from inventory.alert_text import one_line
from inventory.spreadsheets import write_rows

from .loop.distributed import processes
from .loop.run import fit
from .loop.search_space import ACTS_UNDER, OBJECTIVE, OPTIMIZERS, SPACE, Continuous
from .loop.setup import set_up
from .report.pages import Page, Section, Table, write_page
from .report.plots import new_plot
from .train import parse_options

WARM_UP_TRIALS = 5  # are never cut short
OPTIMIZER = "optimizer"


def suggest(trial: optuna.Trial, names: Sequence[str], optimizer: str) -> list[str]:
    """Options for `training.train`, drawn from the part of the space that is searched.

    `optimizer` is that of a trial for which none is drawn. An option that does nothing under it is not drawn.
    """
    options = []
    if OPTIMIZER in names:
        optimizer = trial.suggest_categorical(OPTIMIZER, OPTIMIZERS)
        options += _as_option(OPTIMIZER, optimizer)
    for name in names:
        if name == OPTIMIZER or ACTS_UNDER.get(name, optimizer) != optimizer:
            continue
        dimension = SPACE[name]
        if isinstance(dimension, Continuous):
            options += _as_option(name, trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log))
        else:
            options += _as_option(name, trial.suggest_categorical(name, dimension.values))
    return options


def _as_option(name: str, value: object) -> list[str]:
    return [f"--{name.replace('_', '-')}", str(value)]


def searched(names: Sequence[str] | None, fixed: Sequence[str]) -> list[str]:
    """The names that are searched: those asked for, or all that are neither fixed nor idle under a fixed optimizer.

    Raises ValueError when an option is both asked for and fixed.
    """
    given = {word.partition("=")[0] for word in fixed}
    is_fixed = {name: _as_option(name, "")[0] in given for name in (OPTIMIZER, *SPACE)}
    if names is None:
        return [name for name in is_fixed if not is_fixed[name]]
    if twice := [name for name in names if is_fixed[name]]:
        flag = _as_option(twice[0], "")[0]
        raise ValueError(f"{flag} is searched and fixed at once: take it out of --search or of the fixed options")
    return list(names)


def search(data: Path, out: Path, trials: int, seed: int, names: Sequence[str], fixed: Sequence[str]) -> optuna.Study:
    """Run trials until the study has `trials` that ended; continues the study that `out` holds, if any.

    Raises ValueError when every trial failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f"sqlite:///{out / 'study.db'}",
        study_name="bincheck",
        direction="minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True),
        pruner=optuna.pruners.MedianPruner(WARM_UP_TRIALS, n_warmup_steps=1),
        load_if_exists=True,
    )
    _take_up_broken_off(study)

    def objective(trial: optuna.Trial) -> float:
        return train_trial(trial, data, out / "trials" / f"{trial.number:03}", names, fixed)

    ended = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in study.trials)
    study.optimize(objective, max(0, trials - ended), catch=(ValueError,), show_progress_bar=True)
    if not any(trial.state is TrialState.COMPLETE for trial in study.trials):
        raise ValueError(f"no trial of {out} ended well: run one by hand with training.train and the same options")
    return study


def train_trial(trial: optuna.Trial, data: Path, folder: Path, names: Sequence[str], fixed: Sequence[str]) -> float:
    """The objective of one trial. Raises TrialPruned when it is not worth an end, ValueError when memory ran out."""
    shutil.rmtree(folder, ignore_errors=True)
    always = [*fixed, "--data", str(data), "--out", str(folder)]
    drawn = suggest(trial, names, parse_options(always).loop.optimizer)

    def on_epoch(epoch: int, figures: dict[str, float]) -> None:
        trial.report(figures[OBJECTIVE], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        with processes() as group:
            return fit(set_up(parse_options([*always, *drawn]), group), on_epoch)[OBJECTIVE]
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        failed = f"trial {trial.number} ran out of memory with {' '.join(drawn)}: {error}"
    finally:
        (folder / "last.pt").unlink(missing_ok=True)
    torch.cuda.empty_cache()  # here, where no exception holds tensors of the trial any more
    trial.set_user_attr("failed", failed)
    raise ValueError(failed)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a training failed for want of memory, of a GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _take_up_broken_off(study: optuna.Study) -> None:
    """A kill leaves its trial running for ever; the same options are tried again."""
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)


def write_results(study: optuna.Study, out: Path) -> None:
    """Write trials.csv, best.json and study.html."""
    (out / "best.json").write_text(json.dumps(study.best_params, indent=2) + "\n")
    names = sorted({name for trial in study.trials for name in trial.params})
    rows = [
        [trial.number, trial.state.name.lower(), _value(trial), *(trial.params.get(n, "") for n in names)]
        for trial in study.trials
    ]
    head = ["trial", "state", f"val_{OBJECTIVE}", *names]
    with (out / "trials.csv").open("w", newline="", encoding="utf-8") as file:
        write_rows(file, head, (dict(zip(head, row, strict=True)) for row in rows))
    complete = [trial for trial in study.trials if trial.state is TrialState.COMPLETE]
    course, axes = new_plot("Every trial", "trial", "log loss on val [nats]")
    axes.scatter([trial.number for trial in complete], [_value(trial) for trial in complete], label="trial")
    best = [min(_value(other) for other in complete[: index + 1]) for index in range(len(complete))]
    axes.step([trial.number for trial in complete], best, where="post", color="C1", label="best so far")
    axes.legend()
    sections = [Section("Course", plots=[course])]
    if len(complete) > 1 and len({_value(trial) for trial in complete}) > 1:
        importances = get_param_importances(study)
        plot, axes = new_plot("Importance (fANOVA)", "share of the variance explained", "")
        axes.barh(list(importances)[::-1], list(importances.values())[::-1])
        sections.append(
            Section(
                "What matters",
                "Hutter et al. (2014), An Efficient Approach for Assessing Hyperparameter Importance",
                plots=[plot],
            )
        )
    ranked = sorted(rows, key=lambda row: (row[1] != "complete", row[2] if row[2] != "" else 9e9))
    sections.append(Section("Trials", tables=[Table(head, ranked)]))
    write_page(
        out / "study.html",
        Page("Tuning", {"trials": len(study.trials), "best": study.best_value} | study.best_params, sections),
    )


def _value(trial: FrozenTrial) -> float | str:
    if trial.value is not None:
        return trial.value
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        description="Tune the training.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument(
        "--search",
        nargs="+",
        choices=(OPTIMIZER, *SPACE),
        help="options to search over; by default all that are not fixed",
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments[:cut])
    try:
        fixed = arguments[cut + 1 :]
        names = searched(options.search, fixed)
        study = search(options.data, options.out, options.trials, options.seed, names, fixed)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"tune: {one_line(error)}")
    write_results(study, options.out)
    print(json.dumps({f"val_{OBJECTIVE}": study.best_value, "options": study.best_params}, indent=2))


if __name__ == "__main__":
    main()
