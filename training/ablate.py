"""Compares ways to train a count head, one change at a time, on features of a frozen network: minutes instead of days.

    python -m training.ablate --data SET --out runs/ablation
    python -m training.ablate --data SET --out runs/ablation --by source --table index.csv     (leave one out)

Features of every image and of its mirror image are computed once and kept in OUT. Each variant trains a linear head
with several seeds and is judged on val; with --by it is also trained without each group of bins in turn and judged on
that group. What helps a head on frozen features need not help a whole network as much: read it as a first sieve.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from rich.table import Table
from torch import Tensor, nn
from tqdm import tqdm

from inventory.alert_text import one_line
from inventory.spreadsheets import write_rows
from model.calibration import calibrate, merge_tail, prior_ratio

from .calibrate import fit
from .data.bins import LABELS, LabelledBin, counts_of, digest, read_bins, training_label
from .data.loading import ImageLoader
from .data.sampling import mix_of, weights_for
from .evaluate import read_column
from .measure.metrics import all_figures, log_loss
from .network.counter import Counter
from .network.losses import LOSSES, label_logits, targets_by_label
from .report.terminal import print_tables

SEEDS = 3
STEPS, BATCH, LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 1200, 256, 2e-3, 0.05, 0.3
LEAST_GROUP = 100
"""Smaller groups are not left out: their figures would say nothing."""
SHOWN = ("standardised_accuracy", "standardised_rmse", "balanced_accuracy_0_5", "natural_log_loss")
Counts = npt.NDArray[np.int64]
Results = dict[str, dict[str, dict[str, float]]]
"""Figures by variant and by the bins that they are of."""


@dataclass(frozen=True)
class Variant:
    """How a head is trained; the defaults are what the others differ from."""

    labels: int = 11
    loss: str = "cross-entropy"
    soft_width: float = 0.6
    smoothing: float = 0.0
    mix: str = "data"
    class_weights: bool = False


VARIANTS = {
    "soft targets, 11 labels": Variant(),
    "7 labels": Variant(labels=7),
    "9 labels": Variant(labels=9),
    "one-hot": Variant(soft_width=0),
    "one-hot, label smoothing 0.1": Variant(soft_width=0, smoothing=0.1),
    "wider soft targets, 1.0": Variant(soft_width=1.0),
    "focal, one-hot": Variant(loss="focal", soft_width=0),
    "cumulative": Variant(loss="cumulative", soft_width=0),
    "CORN": Variant(loss="corn", soft_width=0),
    "drawn by the natural mix": Variant(mix="natural"),
    "drawn balanced": Variant(mix="balanced"),
    "class-weighted loss": Variant(class_weights=True),
}


@torch.inference_mode()
def features_of(bins: Sequence[LabelledBin], backbone: str, weights: str, size: int, kept: Path) -> Tensor:
    """Features (2, n, width) of images and of their mirror images, from `kept` if they were computed before."""
    key = f"{digest(bins)}-{backbone}-{weights}-{size}"
    if kept.exists() and (before := torch.load(kept, weights_only=True))["key"] == key:
        return before["features"]
    network = Counter(backbone, len(LABELS))
    network.load(weights)
    network.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    chunks = [[(i, i) for i in range(start, min(start + 64, len(bins)))] for start in range(0, len(bins), 64)]
    rows = []
    for batch in tqdm(ImageLoader(bins, size).batches(chunks), kept.stem, len(chunks), disable=None):
        images = network.normalise(batch.varied)
        with torch.autocast("cpu", torch.bfloat16):
            rows.append(torch.stack([network.backbone(side).float() for side in (images, images.flip(3))]))
    features = torch.cat(rows, 1)
    torch.save({"key": key, "features": features}, kept)
    return features


def train_head(features: Tensor, counts: Counts, variant: Variant, seed: int) -> nn.Module:
    """A linear head on features (2, n, width), trained as the variant says; ValueError when a label is missing."""
    labels = training_label(counts, variant.labels)
    draw = torch.from_numpy(weights_for(labels, mix_of(labels, variant.labels, variant.mix)))
    targets = targets_by_label(variant.labels, variant.soft_width, variant.smoothing)[labels]
    rarity = torch.from_numpy(1 / np.maximum(np.bincount(labels, minlength=variant.labels), 1)).float()[labels]
    weights = rarity / rarity.mean() if variant.class_weights else torch.ones(len(labels))
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    width = features.shape[2]
    head = nn.Sequential(nn.BatchNorm1d(width), nn.Dropout(DROPOUT), nn.Linear(width, variant.labels))
    optimizer = torch.optim.AdamW(head.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, STEPS, pct_start=0.1)
    for _ in range(STEPS):
        chosen = torch.multinomial(draw, BATCH, replacement=True, generator=generator)
        side = torch.randint(2, (BATCH,), generator=generator)
        loss = (LOSSES[variant.loss](head(features[side, chosen]), targets[chosen]) * weights[chosen]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()


@torch.inference_mode()
def judge_head(
    head: nn.Module, features: Tensor, counts: Counts, variant: Variant, trained_on: Counts, temperature: float | None
) -> tuple[dict[str, float], float]:
    """Figures of a head, its answers shifted to the natural mix; and the temperature, fitted here if there is none."""
    logits = label_logits(head(features[0]), variant.loss).double().numpy()
    prior = mix_of(training_label(trained_on, variant.labels), variant.labels, variant.mix)
    if variant.class_weights:
        prior = np.full(variant.labels, 1 / variant.labels)
    trained = merge_tail(prior[None], len(LABELS))[0]
    natural = mix_of(training_label(trained_on, len(LABELS)), len(LABELS), "natural")
    ratio = prior_ratio(natural, trained)
    weights = weights_for(training_label(counts, len(LABELS)), natural)
    if temperature is None:
        temperature = fit(logits, counts, variant.soft_width, weights, ratio).temperature
    probabilities = calibrate(logits, variant.soft_width, temperature, ratio)
    figures = all_figures(probabilities, counts) | {"natural_log_loss": log_loss(probabilities, counts, weights)}
    return {name: figures[name] for name in SHOWN}, temperature


def ablate(
    train: tuple[Tensor, Counts],
    val: tuple[Tensor, Counts],
    groups: Sequence[str] | None,
    variants: Mapping[str, Variant],
) -> Results:
    """Mean figures over the seeds of each variant: on "val", and on each of `groups` (n,) when it was left out."""
    named = np.array(groups if groups is not None else [])
    left_out = [name for name in np.unique(named) if (named == name).sum() >= LEAST_GROUP]
    results: Results = {}
    for title, variant in (bar := tqdm(variants.items(), disable=None)):
        bar.set_description(title)
        figures: dict[str, list[dict[str, float]]] = {}
        for seed in range(SEEDS):
            head = train_head(*train, variant, seed)
            on_val, temperature = judge_head(head, *val, variant, train[1], None)
            figures.setdefault("val", []).append(on_val)
            for name in left_out:
                inside = named != name
                part = (train[0][:, inside], train[1][inside])
                away = (train[0][:, ~inside], train[1][~inside])
                on_group, _ = judge_head(train_head(*part, variant, seed), *away, variant, part[1], temperature)
                figures.setdefault(f"without {name}", []).append(on_group)
        results[title] = {
            where: {n: float(np.mean([f[n] for f in found])) for n in SHOWN} for where, found in figures.items()
        }
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Compare ways to train a count head.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument("--out", type=Path, required=True, help="folder for features and figures")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--weights", default="imagenet", help="as for training.train")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--by", metavar="COLUMN", help="also leave out each group of this column in turn")
    parser.add_argument("--table", type=Path, help="CSV with id and the column; the set's index.csv without")
    parser.add_argument("--limit", type=int, help="only the first so many bins of each split: a quick try")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _measure(options: argparse.Namespace) -> Results:
    """Read the set, compute its features and compare. Raises FileNotFoundError or ValueError when the set is wrong."""
    splits = {split: read_bins(options.data, split)[: options.limit] for split in ("train", "val")}
    table = options.table or options.data / "index.csv"
    groups = read_column(table, options.by, splits["train"]) if options.by else None
    network = (options.backbone, options.weights, options.size)
    train, val = (
        (features_of(bins, *network, options.out / f"{split}.pt"), counts_of(bins)) for split, bins in splits.items()
    )
    return ablate(train, val, groups, VARIANTS)


def _write(results: Results, out: Path) -> None:
    """Write ablation.json and ablation.csv to the folder."""
    (out / "ablation.json").write_text(json.dumps(results, indent=2) + "\n")
    with (out / "ablation.csv").open("w", newline="", encoding="utf-8") as file:
        rows = ({"variant": v, "bins": where} | found for v, of in results.items() for where, found in of.items())
        write_rows(file, ("variant", "bins", *SHOWN), rows)


def _show(results: Results) -> None:
    """Print a table, a row for each variant and group."""
    table = Table("variant", "bins", *(name.replace("_", " ") for name in SHOWN))
    for title, places in results.items():
        for where, figures in places.items():
            table.add_row(title, where, *(f"{value:.3f}" for value in figures.values()))
    print_tables(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        results = _measure(options)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"ablate: {one_line(error)}")
    _write(results, options.out)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        _show(results)


if __name__ == "__main__":
    main()
