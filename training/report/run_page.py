"""The page of one training: its curves, the best epoch, what it was made of, and images it was trained on."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from .pages import Page, Photo, Section, Table, write_page
from .plots import new_plot

CURVES = {
    "Loss": ("nats", ("train_loss", "val_loss", "val_log_loss")),
    "Counts of 0 to 5": ("share of bins", ("val_accuracy_0_5", "val_within_one_0_5", "val_standardised_accuracy")),
}
Rows = Sequence[Mapping[str, float]]


def write_run_page(
    path: Path,
    rows: Rows,
    options: Mapping[str, object],
    record: Mapping[str, object],
    health: str,
    images: Sequence[Photo] = (),
) -> None:
    """Write the page of a run: `rows` of metrics.csv, its options and record, what is unhealthy, images if any."""
    best = min(rows, key=lambda row: row["val_log_loss"])
    facts = {"epochs": len(rows), "best epoch": int(best["epoch"]), "val log loss": best["val_log_loss"]}
    sections = [
        Section("Curves", plots=[_curves(rows, *curves) for curves in _shown(rows)]),
        Section("Best epoch", tables=[Table(("figure", "value"), list(best.items()))]),
        Section("Health", health),
        Section("What it was made of", tables=[Table(("", "value"), list(record.items()))]),
        Section("Options", tables=[Table(("option", "value"), list(options.items()))]),
    ]
    if images:
        sections.insert(1, Section("Images as the network saw them", images=images))
    write_page(path, Page("A training", facts, sections))


def _shown(rows: Rows) -> list[tuple[str, str, list[str]]]:
    return [(title, unit, [name for name in names if name in rows[0]]) for title, (unit, names) in CURVES.items()]


def _curves(rows: Rows, title: str, unit: str, names: Sequence[str]) -> Figure:
    figure, axes = new_plot(title, "epoch", unit)
    epochs = [row["epoch"] for row in rows]
    for name in names:
        axes.plot(epochs, [row[name] for row in rows], marker="o", markersize=3, label=name)
    axes.legend()
    return figure
