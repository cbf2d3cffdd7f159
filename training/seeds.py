"""Trains with several seeds and prints the mean and the spread of each figure.

    python -m training.seeds --seeds 3 --data SET --out runs/seeds -- --config training/recipes/NAME.toml

What follows the two dashes goes to each training. It leaves a run in OUT/seed-0, OUT/seed-1 ... and seeds.json, and
continues where it was stopped. Seeds differ in initial weights of the heads, order, variations and dropout.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from rich.table import Table

from inventory.alert_text import one_line

from .loop.distributed import processes
from .loop.reporting import write_json
from .loop.run import fit
from .loop.setup import set_up
from .report.terminal import print_tables
from .train import parse_options

SHOWN = ("log_loss", "standardised_accuracy", "standardised_rmse", "accuracy_0_5", "within_one_0_5")
Figures = Mapping[str, float]


def spread(runs: Sequence[Figures]) -> dict[str, dict[str, float]]:
    """Each figure's mean over the runs, its standard deviation (with n - 1; 0 for one run), lowest and highest."""
    values = {name: np.array([run[name] for run in runs]) for name in runs[0]}
    return {
        name: {
            "mean": float(found.mean()),
            "std": float(found.std(ddof=1)) if len(found) > 1 else 0.0,
            "min": float(found.min()),
            "max": float(found.max()),
        }
        for name, found in values.items()
    }


def train_seeds(data: Path, out: Path, seeds: Sequence[int], fixed: Sequence[str]) -> dict[int, Figures]:
    """The figures on val of the best epoch of each seed; none on a process that does not lead."""
    runs: dict[int, Figures] = {}
    with processes() as group:
        for seed in seeds:
            folder = out / f"seed-{seed}"
            where = ["--data", str(data), "--out", str(folder), "--seed", str(seed), "--resume"]
            runs[seed] = fit(set_up(parse_options([*fixed, *where]), group))
        if not group.leads:
            return {}
    write_json(out / "seeds.json", {"runs": runs, "figures": spread(list(runs.values()))})
    return runs


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        description="Train with several seeds.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments[:cut])
    seeds = range(options.first, options.first + options.seeds)
    try:
        runs = train_seeds(options.data, options.out, seeds, arguments[cut + 1 :])
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"seeds: {one_line(error)}")
    if not runs:
        return
    figures = spread(list(runs.values()))
    if options.json:
        print(json.dumps({"runs": runs, "figures": figures}, indent=2))
        return
    table = Table("figure on val", "mean", "standard deviation", *(f"seed {seed}" for seed in runs))
    for name in SHOWN:
        each = (f"{run[name]:.4f}" for run in runs.values())
        table.add_row(name.replace("_", " "), f"{figures[name]['mean']:.4f}", f"{figures[name]['std']:.4f}", *each)
    print_tables(table)


if __name__ == "__main__":
    main()
