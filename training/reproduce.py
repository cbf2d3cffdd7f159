"""Trains the five published ways of counting bins, and prints their published figures beside those measured here.

    python -m training.prepare --source s3://aft-vbi-pds --ids udacity_file_list.json --counts 1-5 --out SET
    python -m training.reproduce --data SET --out runs/reproduced
    python -m training.reproduce --data SET --out runs/reproduced --only abid-challenge-resnet34 --epochs 2 --limit 1500

Each way is a recipe in training/recipes, except AutoGluon's search (training.explore), which needs an environment of
its own. A way that was killed continues, one that is done is not repeated. The table names what was cut: epochs by
--epochs, bins by --limit. Other options go to training.train. OUT gets reproduced.json and reproduced.html.

Published splits are random and of other bins, so the accuracies compare only roughly. "Standardised" figures weigh true
counts 1 to 5 as in the public list, for both.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from inventory.alert_text import one_line

from .data.bins import read_bins
from .loop.config import read_config
from .loop.reporting import write_json
from .measure.published import BALANCED, BENCHMARK, FROZEN, SEARCH, SEVERAL_INSTANCES, Published
from .measure.run_figures import figures_of_run
from .report.reproduction import Reproduced, show, write_reproduction_page

RECIPES = Path(__file__).parent / "recipes"
SEARCH_TRIALS = 2


@dataclass(frozen=True)
class Way:
    """A published way. `processes` train it together; `differs` is what its recipe does otherwise than its authors."""

    published: Published
    differs: str
    processes: int = 1


WAYS = {
    "capstone-frozen-resnet50": Way(
        FROZEN,
        "one linear layer as the head instead of two; flips without random crops; learning rate 0.0033 and batch 128 "
        "by Yue Chang's tuning",
    ),
    "capstone-balanced-resnet50": Way(
        BALANCED,
        "its code built ResNet-50 without the ImageNet weights that its text names; here they are loaded",
    ),
    "abid-challenge-resnet34": Way(
        BENCHMARK,
        "the best epoch has the lowest log loss on val, not the highest accuracy; weight decay spares biases and "
        "normalisation; the last normalisation of each block starts at 0, as timm has it",
    ),
    "capstone-two-instances-resnet34": Way(
        SEVERAL_INSTANCES,
        "flips without random crops, rotation and colour; two processes on one machine",
        processes=2,
    ),
}
AUTOGLUON = "autogluon"
"""The fifth way, which training.explore runs."""


@dataclass(frozen=True)
class Cuts:
    """How much of each way is run: at most `epochs`, on the first `limit` bins of each split; None is all."""

    epochs: int | None = None
    limit: int | None = None

    def options(self) -> list[str]:
        """The cuts as options of training.train and training.explore."""
        values = {"--epochs": self.epochs, "--limit": self.limit}
        return [word for name, value in values.items() if value is not None for word in (name, str(value))]


def reproduce(
    data: Path, out: Path, names: Sequence[str], cuts: Cuts, more: Sequence[str] = (), usd_per_hour: float | None = None
) -> list[Reproduced]:
    """Run what is not done yet of the ways `names`; returns a result for each of them.

    `more` are further options of training.train. Raises ValueError when a training fails, and ValueError or
    FileNotFoundError when the set is wrong.
    """
    results = []
    for name in names:
        found = _search(data, out / name, cuts) if name == AUTOGLUON else _train(name, data, out / name, cuts, more)
        published = SEARCH if name == AUTOGLUON else WAYS[name].published
        differs = "" if name == AUTOGLUON else WAYS[name].differs
        cost = {"usd": round(found["minutes"] / 60 * usd_per_hour, 2)} if usd_per_hour and "minutes" in found else {}
        results.append(Reproduced(name, published, differs, found | cost))
    return results


def _train(name: str, data: Path, out: Path, cuts: Cuts, more: Sequence[str]) -> dict[str, Any]:
    """Train a recipe, or continue it, and evaluate its best epoch on val and test."""
    done = out / "figures.json"
    if done.is_file():
        return dict(json.loads(done.read_text()))
    way, recipe = WAYS[name], RECIPES / f"{name}.toml"
    bins = {split: read_bins(data, split) for split in ("train", "val", "test")}
    folders = ["--data", str(data), "--out", str(out), "--resume"]
    _run([*_launcher(way.processes), "training.train", "--config", str(recipe), *folders, *cuts.options(), *more])
    rows = (out / "metrics.csv").read_text().splitlines()
    last = dict(zip(rows[0].split(","), rows[-1].split(","), strict=True))
    found = {
        "epochs": int(last["epoch"]),
        "of_epochs": read_config(recipe)["epochs"],
        "bins": len(bins["train"][: cuts.limit]),
        "of_bins": len(bins["train"]),
        "processes": way.processes,
        "more": list(more),
        "minutes": round(float(last["minutes"]), 2),
        "figures": {split: figures_of_run(out, bins[split][: cuts.limit]) for split in ("val", "test")},
    }
    write_json(done, found)
    return found


def _launcher(processes: int) -> list[str]:
    if processes == 1:
        return [sys.executable, "-m"]
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "-m"]


def _run(command: Sequence[str]) -> None:
    ended = subprocess.run(command, check=False).returncode  # noqa: S603 - our own commands
    if ended:
        raise ValueError(f"`{' '.join(command[1:])}` ended with {ended}: its messages are above")


def _search(data: Path, out: Path, cuts: Cuts) -> dict[str, Any]:
    """Search with AutoGluon, or take the report that training.explore left in `out`; figures are on val only."""
    report = out / "val.json"
    if not report.is_file():
        if find_spec("autogluon") is None:
            advice = f"python -m training.explore --data {data} --out {out} --trials {SEARCH_TRIALS}"
            return {"skipped": f"AutoGluon is not installed; in its own environment: {advice}"}
        folders = ["--data", str(data), "--out", str(out)]
        _run([sys.executable, "-m", "training.explore", *folders, "--trials", str(SEARCH_TRIALS), *cuts.options()])
    figures = json.loads(report.read_text())["figures"]
    return {"figures": {"val": {name: figure["value"] for name, figure in figures.items()}}}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    names = (*WAYS, AUTOGLUON)
    parser = argparse.ArgumentParser(description="Reproduce the published figures.")
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="WAY", help=", ".join(names))
    parser.add_argument("--epochs", type=int, help="instead of each recipe's own")
    parser.add_argument("--limit", type=int, help="only the first so many bins of each split")
    parser.add_argument("--split", choices=("val", "test"), default="test", help="whose figures are shown")
    parser.add_argument("--usd-per-hour", type=float, help="price of this machine, for the cost")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options, more = parser.parse_known_args(arguments)
    cuts = Cuts(options.epochs, options.limit)
    try:
        results = reproduce(options.data, options.out, options.only, cuts, more, options.usd_per_hour)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"reproduce: {one_line(error)}")
    report = {one.name: _record(one) for one in results}
    write_json(options.out / "reproduced.json", report)
    write_reproduction_page(options.out / "reproduced.html", results, options.split)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        show(results, options.split)


def _record(one: Reproduced) -> Mapping[str, Any]:
    published = one.published
    standardised = {
        "standardised_accuracy": published.standardised_accuracy,
        "standardised_rmse": published.standardised_rmse,
    }
    return {"published": asdict(published) | standardised, "here": one.here, "differs": one.differs}


if __name__ == "__main__":
    main()
