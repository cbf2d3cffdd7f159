"""The page of a prepared set: its figures, plots and images of each class. It shows images: keep it private."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from model.images import decode

from ..data.class_folders import class_name
from ..data.members import Member, draw_members
from ..measure.published import PUBLIC_SET
from .pages import Page, Photo, Section, Table
from .plots import as_thumbnail, new_plot

SHEET_COLUMNS = 8
LEAKAGE_TEXT = """alike: bins with most items in common. neighbours: ids that follow each other. duplicates: one file.
A parted pair has its bins in different splits: what a network has learnt of one helps it with the other."""


def data_page(root: Path, report: Mapping[str, Any], members: Sequence[Member], rng: np.random.Generator) -> Page:
    """The page of the set in `root`; `report` is what training.data_report computes. `rng` chooses the images."""
    quantity, groups = report["quantity"], report["groups"]
    facts = {
        "bins": report["bins"],
        "mean quantity": quantity["mean"],
        "share of bins below ten objects": quantity["share_below_ten"],
        "groups of related bins": groups["number"],
        "share of the largest group": groups["greatest_share"],
        "distinct items": report["items"]["distinct"],
        "labels that are not the sum of the items": report["items"]["label_is_not_the_sum"],
        "mean of the channels": report["normalisation"]["mean"],
        "standard deviation": report["normalisation"]["std"],
    }
    sections = [_counts(report), _quantities(quantity), _leakage(report["leakage"]), _groups(members)]
    sections += [_items(report["items"]), _sizes(report["sizes"], members)]
    sheets = [_sheet(name, members, rng) for name in report["classes"]]
    return Page(f"Data report of {root.name}", facts, [*sections, *sheets])


def _counts(report: Mapping[str, Any]) -> Section:
    counts = [(split, *row.values(), sum(row.values())) for split, row in report["counts"].items()]
    tables = [
        Table(("split", *report["classes"], "bins"), counts),
        Table(tuple(report["prior"]), [tuple(report["prior"].values())]),
    ]
    text = "Bins of each class in each split; then the share of each label in train, the prior."
    return Section("Counts", text, tables=tables, plots=[_counts_plot(report)])


def _quantities(quantity: Mapping[str, Any]) -> Section:
    bins = sum(quantity["by_quantity"].values())
    rows = [
        ("mean quantity", quantity["mean"], PUBLIC_SET["mean quantity"]),
        *((f"mean quantity, {split}", mean, "") for split, mean in quantity["mean_of_split"].items()),
        ("median quantity", quantity["median"], ""),
        ("largest quantity", quantity["greatest"], ""),
        ("share of bins below ten objects", quantity["share_below_ten"], PUBLIC_SET["share below ten"]),
        *((f"share of bins with at least {least}", number / bins, "") for least, number in quantity["tail"].items()),
    ]
    plot, axes = new_plot("Bins of each quantity", "objects in the bin", "bins")
    axes.bar([int(count) for count in quantity["by_quantity"]], list(quantity["by_quantity"].values()), log=True)
    text = (
        f"The last column is the whole public set of {PUBLIC_SET['images']:,} images, as {PUBLIC_SET['source']} has it."
    )
    return Section("Quantities", text, tables=[Table(("", "this set", "public set"), rows)], plots=[plot])


def _leakage(leakage: Mapping[str, Any]) -> Section:
    return Section("Leakage", LEAKAGE_TEXT, tables=[_leakage_table(leakage)])


def _groups(members: Sequence[Member]) -> Section:
    text = "Bins of one block of neighbouring ids are related, and so are bins with most items in common."
    sizes = [*Counter(one.group for one in members).values()]
    return Section("Groups", text, plots=[_histogram(sizes, "Sizes of groups", "bins", "groups")])


def _items(items: Mapping[str, Any]) -> Section:
    text = (
        f"{items['bins_with_items']} bins have recorded items; {items['in_more_than_one_bin']} of "
        f"{items['distinct']} items are in more than one bin."
    )
    repeated = Table(("most repeated item", "bins"), list(items["most_repeated"].items()))
    return Section("Items", text, tables=[repeated], plots=[_repeats_plot(items["bins_holding_an_item"])])


def _sizes(sizes: Mapping[str, Any], members: Sequence[Member]) -> Section:
    text = (
        f"{sizes['distinct']} different ones. They differ between sources, as the labels do: no network may see them."
    )
    spread = Table(("pixels", "width", "height"), [(name, *sizes[name]) for name in ("least", "median", "greatest")])
    return Section("Sizes of the originals", text, tables=[spread], plots=[_sizes_plot(members)])


def _leakage_table(leakage: Mapping[str, Any]) -> Table:
    splits = list(leakage["alike"]["share_with_kin_in_train"])
    columns = ("relation", "pairs", "parted", *(f"share of {split} related to train" for split in splits))
    return Table(
        columns,
        [
            (kind, found["pairs"], found["parted"], *found["share_with_kin_in_train"].values())
            for kind, found in leakage.items()
        ],
    )


def _counts_plot(report: Mapping[str, Any]) -> Figure:
    figure, axes = new_plot("Bins per class", "objects in the bin", "share of the split")
    width = 0.8 / len(report["counts"])
    for number, (split, row) in enumerate(report["counts"].items()):
        shares = np.array(list(row.values())) / sum(row.values())
        axes.bar(np.arange(len(row)) + number * width, shares, width, label=split)
    middle = width * (len(report["counts"]) - 1) / 2
    axes.set_xticks(np.arange(len(report["classes"])) + middle, report["classes"])
    axes.legend(frameon=False, loc="upper right")
    return figure


def _histogram(values: Sequence[int], title: str, x: str, y: str) -> Figure:
    figure, axes = new_plot(title, x, y)
    axes.hist(values, bins=40, log=True)
    return figure


def _repeats_plot(bins_holding: Mapping[str, int]) -> Figure:
    figure, axes = new_plot("Repeats of items", "bins that hold an item", "items")
    axes.bar([int(bins) for bins in bins_holding], list(bins_holding.values()), log=True)
    return figure


def _sizes_plot(members: Sequence[Member]) -> Figure:
    figure, axes = new_plot("Sizes of the originals", "width in pixels", "height in pixels", height_in=4.5)
    sizes = Counter(one.size for one in members)
    widths, heights = zip(*sizes, strict=True)
    axes.scatter(widths, heights, s=[8 + 200 * bins / len(members) for bins in sizes.values()], alpha=0.4)
    return figure


def _sheet(name: str, members: Sequence[Member], rng: np.random.Generator) -> Section:
    train = [one for one in members if one.split == "train" and class_name(one.count) == name]
    images = [
        Photo(as_thumbnail(decode(one.image.read_bytes())), f"{one.id}: {one.count}")
        for one in draw_members(train, SHEET_COLUMNS, rng)
    ]
    return Section(f"Bins of class {name}", images=images)
