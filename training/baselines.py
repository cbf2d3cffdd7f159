"""What everyone tries first, side by side on our splits: the bar that the shipped model has to clear.

    python -m training.baselines --data SET --out runs/baselines
    python -m training.baselines --data SET --out runs/baselines --only majority prior

Each is measured on val and test with the same figures. A recipe that was killed goes on where it stopped, one that is
done is not repeated. Fewer epochs than a recipe's own (`--epochs`) are named in the table.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.console import Console
from rich.table import Table as RichTable

from .data.bins import LABELS, counts_of, read_bins, training_label
from .loop.distributed import processes
from .loop.evaluation import evaluate
from .loop.reporting import write_json
from .loop.run import fit
from .loop.setup import set_up
from .measure.metrics import all_figures, class_figures
from .report.pages import Page, Section, Table, write_page
from .train import parse_options

PLAIN = "--labels 7 --mix data --vary mirror --soft-width 0 --mixup 0 --fact-weight 0 --dropout 0 --drop-path 0"
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
    """A training that others published: its options of `training.train`, and where it is from."""

    options: str
    epochs: int
    source: str


RECIPES = {
    "frozen-resnet50": Recipe(
        f"{PLAIN} --backbone resnet50 --frozen-stages -1 --lr 1e-3 --weight-decay 0 --batch 64 --ema-decay 0",
        epochs=10,
        source="frozen ResNet-50 from ImageNet with a linear head, Adam: the usual capstone, published at 31% to 36%",
    ),
    "resnet34-from-scratch": Recipe(
        f"{PLAIN} --backbone resnet34 --weights none --optimizer sgd --lr 0.1 --schedule step --weight-decay 1e-4"
        " --batch 128 --ema-decay 0",
        epochs=40,
        source="ResNet-34 from scratch, SGD 0.1, steps, 224, flips: the public benchmark, 55.7% with 40 times our data",
    ),
}
CONSTANTS = {
    "majority": "always the most frequent count of the training split",
    "prior": "always the mix of counts of the training split, drawn at random",
}
DRAWS = 200
Figures = dict[str, float]


def constant(data: Path, name: str) -> dict[str, Figures]:
    """The figures on val and test of an answer that looks at no image.

    "prior" answers at random, so its figures are means over DRAWS draws; its log loss is that of the mix itself.
    """
    labels = training_label(counts_of(read_bins(data, "train")), len(LABELS))
    mix = np.bincount(labels, minlength=len(LABELS)) / len(labels)
    rng = np.random.default_rng(0)
    results = {}
    for split in ("val", "test"):
        counts = counts_of(read_bins(data, split))
        results[split] = _figures(np.tile(mix, (len(counts), 1)), counts)
        if name == "prior":
            drawn = [_figures(rng.multinomial(1, mix[:6] / mix[:6].sum(), len(counts)), counts) for _ in range(DRAWS)]
            results[split] |= {
                key: float(np.mean([one[key] for one in drawn])) for key in drawn[0] if key != "log_loss"
            }
    return results


def trained(data: Path, out: Path, recipe: Recipe, more: Sequence[str]) -> dict[str, Figures]:
    """Train by a recipe, going on with what `out` holds; its figures on val and test."""
    arguments = [*recipe.options.split(), "--epochs", str(recipe.epochs), *more]
    options = parse_options([*arguments, "--data", str(data), "--out", str(out), "--resume"])
    with processes() as group:
        training = set_up(options, group)
        fit(training)
        best = torch.load(out / "best.pt", map_location="cpu", weights_only=True)
        training.network.load_state_dict(best["network"])
        results = {}
        for split, bins in (("val", training.validation), ("test", read_bins(data, "test")[: options.data.limit])):
            _, probabilities = evaluate(training, training.network, bins)
            results[split] = _figures(probabilities, counts_of(bins))
    return results


def _figures(probabilities: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> Figures:
    return all_figures(probabilities, counts) | class_figures(probabilities, counts)


def compare(
    data: Path, out: Path, names: Sequence[str], epochs: int | None, more: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Run what is not done yet of `names`; every baseline that `out` then holds, by its name."""
    for name in names:
        done = out / name / "figures.json"
        if done.exists():
            continue
        began = time.monotonic()
        if name in CONSTANTS:
            about: dict[str, object] = {"what": CONSTANTS[name], "figures": constant(data, name)}
        else:
            recipe = RECIPES[name]
            recipe = Recipe(recipe.options, epochs or recipe.epochs, recipe.source)
            figures = trained(data, out / name, recipe, more)
            about = {
                "what": recipe.source,
                "epochs": recipe.epochs,
                "of_epochs": RECIPES[name].epochs,
                "more": list(more),
                "figures": figures,
            }
        write_json(done, about | {"minutes": round((time.monotonic() - began) / 60, 1)})
    found = sorted(out.glob("*/figures.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in found}


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
        sys.exit(f"baselines: {error}")
    if options.json:
        print(json.dumps(results, indent=2))
        return
    columns = ("baseline", "epochs", *(f"test {name}" for name in SHOWN))
    rows = [
        [name, _epochs(about), *(about["figures"]["test"][key] for key in SHOWN)] for name, about in results.items()
    ]
    table = RichTable(*columns)
    for row in rows:
        table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console().print(table)
    what = "\n".join(f"{name}: {about['what']}" for name, about in results.items())
    write_page(
        options.out / "baselines.html",
        Page("Baselines", sections=[Section("On test", what, tables=[Table(columns, rows)])]),
    )


def _epochs(about: dict[str, object]) -> str:
    return f"{about['epochs']} of {about['of_epochs']}" if "epochs" in about else ""


if __name__ == "__main__":
    main()
