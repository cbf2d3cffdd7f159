"""Measures what everyone tries first, side by side on the same splits: the bar that the shipped model has to clear.

    python -m training.baselines --data SET --out runs/baselines
    python -m training.baselines --data SET --out runs/baselines --only majority prior

Each is measured on val and test with the same figures. A killed recipe continues where it stopped, and a finished one
is not repeated. Fewer epochs than a recipe's own (`--epochs`) are named in the table. `training.reproduce` compares
the recipes with their published figures.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table as RichTable

from inventory.alert_text import one_line

from .data.bins import LABELS, counts_of, read_bins, training_label
from .loop.config import read_config
from .loop.distributed import processes
from .loop.reporting import write_json
from .loop.run import fit
from .loop.setup import set_up
from .measure.run_figures import figures_of, figures_of_run
from .report.pages import Page, Section, Table, write_page
from .report.terminal import print_tables
from .train import parse_options

SHOWN = (
    "accuracy_0_5",
    "balanced_accuracy_0_5",
    "standardised_accuracy",
    "standardised_rmse",
    "within_one_0_5",
    "log_loss",
)


@dataclass(frozen=True)
class Recipe:
    """A training that others published: its file in RECIPES_FOLDER, and what it is."""

    file: str
    source: str

    @property
    def path(self) -> Path:
        return RECIPES_FOLDER / self.file

    @property
    def epochs(self) -> int:
        """The epochs of a full run."""
        return int(read_config(self.path)["epochs"])


RECIPES_FOLDER = Path(__file__).parent / "recipes"
RECIPES = {
    "frozen-resnet50": Recipe(
        "capstone-frozen-resnet50.toml",
        "frozen ResNet-50 from ImageNet with a linear head, Adam: the usual capstone, published at 31% to 36%",
    ),
    "resnet34-from-scratch": Recipe(
        "abid-challenge-resnet34.toml",
        "ResNet-34 from scratch, SGD 0.1, steps, 224, flips: the public benchmark, 55.7% with 40 times our data",
    ),
}
CONSTANTS = {
    "majority": "always the most frequent count of the training split",
    "prior": "always the mix of counts of the training split, drawn at random",
}
DRAWS = 200
Figures = dict[str, float]
Result = dict[str, Any]
"""What figures.json holds: `what` the baseline is, its `figures` by split, its epochs and minutes."""


def constant(data: Path, name: str) -> dict[str, Figures]:
    """The figures on val and test of an answer that does not depend on the image.

    "prior" answers at random, so its figures are means over DRAWS draws; its log loss is that of the mix itself.
    """
    labels = training_label(counts_of(read_bins(data, "train")), len(LABELS))
    mix = np.bincount(labels, minlength=len(LABELS)) / len(labels)
    rng = np.random.default_rng(0)
    results = {}
    for split in ("val", "test"):
        bins = read_bins(data, split)
        results[split] = figures_of(np.tile(mix, (len(bins), 1)), bins)
        if name == "prior":
            answers = (rng.multinomial(1, mix[:6] / mix[:6].sum(), len(bins)).astype(float) for _ in range(DRAWS))
            drawn = [figures_of(one, bins) for one in answers]
            results[split] |= {
                key: float(np.mean([one[key] for one in drawn])) for key in drawn[0] if key != "log_loss"
            }
    return results


def trained(data: Path, out: Path, recipe: Recipe, epochs: int, more: Sequence[str]) -> dict[str, Figures]:
    """Train by a recipe, or continue the run in `out`; the figures of its best epoch on val and test."""
    arguments = ["--config", str(recipe.path), "--epochs", str(epochs), *more]
    options = parse_options([*arguments, "--data", str(data), "--out", str(out), "--resume"])
    with processes() as group:
        fit(set_up(options, group))
    return {split: figures_of_run(out, read_bins(data, split)[: options.data.limit]) for split in ("val", "test")}


def compare(data: Path, out: Path, names: Sequence[str], epochs: int | None, more: Sequence[str]) -> dict[str, Result]:
    """Run what is not done yet of `names`; returns the result of each baseline in `out`, by its name."""
    for name in names:
        done = out / name / "figures.json"
        if done.exists():
            continue
        began = time.monotonic()
        if name in CONSTANTS:
            result: Result = {"what": CONSTANTS[name], "figures": constant(data, name)}
        else:
            recipe = RECIPES[name]
            result = {
                "what": recipe.source,
                "epochs": epochs or recipe.epochs,
                "of_epochs": recipe.epochs,
                "more": list(more),
                "figures": trained(data, out / name, recipe, epochs or recipe.epochs, more),
            }
        write_json(done, result | {"minutes": round((time.monotonic() - began) / 60, 1)})
    found = sorted(out.glob("*/figures.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in found}


def show(results: Mapping[str, Result], page: Path) -> None:
    """Print the figures on test as a table, and write them as an HTML page."""
    columns = ("baseline", "epochs", *(f"test {name}" for name in SHOWN))
    rows = [
        [name, _epochs(result), *(result["figures"]["test"][key] for key in SHOWN)] for name, result in results.items()
    ]
    table = RichTable(*columns)
    for row in rows:
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row))
    print_tables(table)
    what = "\n".join(f"{name}: {result['what']}" for name, result in results.items())
    write_page(page, Page("Baselines", sections=[Section("On test", what, tables=[Table(columns, rows)])]))


def _epochs(result: Result) -> str:
    return f"{result['epochs']} of {result['of_epochs']}" if "epochs" in result else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    names = (*CONSTANTS, *RECIPES)
    parser = argparse.ArgumentParser(description="Measure the baselines.")
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=f"of {', '.join(names)}"
    )
    parser.add_argument("--epochs", type=int, help="instead of each recipe's own, which want an accelerator")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options, more = parser.parse_known_args(arguments)
    try:
        results = compare(options.data, options.out, options.only, options.epochs, more)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"baselines: {one_line(error)}")
    if options.json:
        print(json.dumps(results, indent=2))
        return
    show(results, options.out / "baselines.html")


if __name__ == "__main__":
    main()
