"""What a prepared set holds, and what leaks between its splits: report.html to look at, report.json to compute with.

    python -m training.data_report --data SET

`training.prepare` writes it too. The page shows images of the set, so it stays beside them.
"""

import argparse
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from tqdm import tqdm

from model.images import decode, resize

from .data.bins import LABELS, METADATA_FOLDER, SPLITS, index_rows, training_label
from .data.class_folders import class_name
from .data.grouping import Integers, Items, alike_pairs, neighbour_pairs
from .data.metadata import parse_record
from .report.pages import Page, Photo, Section, Table, write_page
from .report.plots import as_thumbnail, new_plot

NORMALISATION_IMAGES = 2000
NORMALISATION_SIZE = 224
SHEET_COLUMNS = 8
REPEATED_ITEMS = 10
LEAKAGE_TEXT = """alike: bins with most items in common. neighbours: ids that follow each other. duplicates: one file.
Parted pairs have their bins in different splits: what a network has learnt of one helps it with the other."""


@dataclass(frozen=True)
class Member:
    """A bin of the set as its index.csv has it; `size` is the original's (width, height) in pixels."""

    id: str
    count: int
    split: str
    group: str
    image: Path
    size: tuple[int, int]
    items: Items


def write_report(root: Path, seed: int = 0) -> dict[str, Any]:
    """Write report.html and report.json into a prepared set; returns what the latter holds.

    `seed` chooses the images that are shown and those that the normalisation is taken from.
    Raises FileNotFoundError when the set has no index.
    """
    members = _read_members(root)
    rng = np.random.default_rng(seed)
    train = [one for one in members if one.split == "train"]
    classes = sorted({class_name(one.count) for one in members})
    report = {
        "bins": len(members),
        "classes": classes,
        "counts": _counts(members, classes),
        "prior": _prior(train),
        "groups": _groups(members),
        "items": _items(members),
        "sizes": _sizes(members),
        "normalisation": _normalisation(_drawn(train, NORMALISATION_IMAGES, rng)),
        "leakage": _leakage(members),
    }
    (root / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    write_page(root / "report.html", _page(root, report, members, rng))
    return report


def _read_members(root: Path) -> list[Member]:
    return [
        Member(
            id=row["id"],
            count=int(row["expected_quantity"]),
            split=row["split"],
            group=row["group"],
            image=root / row["path"],
            size=(int(row["width"]), int(row["height"])),
            items=_recorded_items(root / METADATA_FOLDER / f"{row['id']}.json"),
        )
        for _, row in index_rows(root)
    ]


def _recorded_items(path: Path) -> Items:
    return parse_record(path.read_bytes()).items if path.is_file() else {}


def _splits(members: Iterable[Member]) -> list[str]:
    present = {one.split for one in members}
    return [split for split in SPLITS if split in present]


def _drawn(members: Sequence[Member], most: int, rng: np.random.Generator) -> list[Member]:
    chosen = rng.choice(len(members), min(most, len(members)), replace=False)
    return [members[position] for position in sorted(chosen)]


def _counts(members: Sequence[Member], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    counted = Counter((one.split, class_name(one.count)) for one in members)
    return {split: {name: counted[split, name] for name in classes} for split in _splits(members)}


def _prior(train: Sequence[Member]) -> dict[str, float]:
    """The share of each label that the endpoint answers, in train."""
    labels = training_label(np.array([one.count for one in train], np.int64), len(LABELS))
    shares = np.bincount(labels, minlength=len(LABELS)) / len(train)
    return dict(zip(LABELS, shares.round(4).tolist(), strict=True))


def _groups(members: Sequence[Member]) -> dict[str, Any]:
    sizes = sorted(Counter(one.group for one in members).values(), reverse=True)
    return {"number": len(sizes), "greatest_share": round(sizes[0] / len(members), 4), "greatest": sizes[:10]}


def _items(members: Sequence[Member]) -> dict[str, Any]:
    """How often items come again; bins without metadata do not count."""
    holders = Counter(item for one in members for item in one.items)
    recorded = [one for one in members if one.items]
    return {
        "bins_with_items": len(recorded),
        "distinct": len(holders),
        "in_more_than_one_bin": sum(bins > 1 for bins in holders.values()),
        "most_repeated": dict(holders.most_common(REPEATED_ITEMS)),
        "bins_holding_an_item": {str(bins): items for bins, items in sorted(Counter(holders.values()).items())},
        "label_is_not_the_sum": sum(one.count != sum(one.items.values()) for one in recorded),
    }


def _sizes(members: Sequence[Member]) -> dict[str, Any]:
    sizes = np.array([one.size for one in members])
    spread = {"least": sizes.min(0), "median": np.median(sizes, 0), "greatest": sizes.max(0)}
    return {
        "distinct": len(np.unique(sizes, axis=0)),
        **{name: two.astype(int).tolist() for name, two in spread.items()},
    }


def _normalisation(members: Sequence[Member]) -> dict[str, Any]:
    """Mean and standard deviation of each channel, pixels scaled to 0..1, of images as the network sees them."""
    sums = np.zeros((2, 3))
    for one in tqdm(members, "normalisation", unit="bin"):
        pixels = resize(decode(one.image.read_bytes()), NORMALISATION_SIZE).reshape(-1, 3) / 255
        sums += pixels.mean(0), (pixels**2).mean(0)
    mean, square = sums / len(members)
    std = np.sqrt(square - mean**2)
    return {"pictures": len(members), "mean": mean.round(4).tolist(), "std": std.round(4).tolist()}


def _leakage(members: Sequence[Member]) -> dict[str, Any]:
    """Pairs of kindred bins that the split parts, and the share of val and test bins with kin in train."""
    digests: dict[bytes, list[int]] = {}
    for position, one in enumerate(tqdm(members, "duplicates", unit="bin")):
        digests.setdefault(hashlib.sha256(one.image.read_bytes()).digest(), []).append(position)
    same = [pair for positions in digests.values() for pair in combinations(positions, 2)]
    kinds = {
        "alike": alike_pairs([one.items for one in members]),
        "neighbours": neighbour_pairs([one.id for one in members]),
        "duplicates": np.array(same, np.int64).reshape(-1, 2),
    }
    return {kind: _parted(pairs, members) for kind, pairs in kinds.items()}


def _parted(pairs: Integers, members: Sequence[Member]) -> dict[str, Any]:
    split = np.array([one.split for one in members])
    either = np.concatenate((pairs, pairs[:, ::-1]))
    exposed = np.unique(either[split[either[:, 0]] == "train", 1])
    seen = {
        name: np.sum(split[exposed] == name) / np.sum(split == name) for name in _splits(members) if name != "train"
    }
    return {
        "pairs": len(pairs),
        "parted": int(np.sum(split[pairs[:, 0]] != split[pairs[:, 1]])),
        "share_with_kin_in_train": {name: round(float(share), 4) for name, share in seen.items()},
    }


def _page(root: Path, report: Mapping[str, Any], members: Sequence[Member], rng: np.random.Generator) -> Page:
    items, sizes, groups = report["items"], report["sizes"], report["groups"]
    facts = {
        "bins": report["bins"],
        "groups of kindred bins": groups["number"],
        "share of the greatest group": groups["greatest_share"],
        "distinct items": items["distinct"],
        "labels that are not the sum of the items": items["label_is_not_the_sum"],
        "mean of the channels": report["normalisation"]["mean"],
        "standard deviation": report["normalisation"]["std"],
    }
    counts = [(split, *row.values(), sum(row.values())) for split, row in report["counts"].items()]
    prior = [tuple(report["prior"].values())]
    repeated = list(items["most_repeated"].items())
    spread = [(name, *sizes[name]) for name in ("least", "median", "greatest")]
    return Page(
        f"Data report of {root.name}",
        facts,
        [
            Section(
                "Counts",
                "Bins of each class in each split; then the share of each label in train, the prior.",
                tables=[Table(("split", *report["classes"], "bins"), counts), Table(tuple(report["prior"]), prior)],
                plots=[_counts_plot(report)],
            ),
            Section("Leakage", LEAKAGE_TEXT, tables=[_leakage_table(report["leakage"])]),
            Section(
                "Groups",
                "Bins of a block of neighbouring ids or with most items in common are kindred, and their kin are too.",
                plots=[
                    _histogram([*Counter(one.group for one in members).values()], "Sizes of groups", "bins", "groups")
                ],
            ),
            Section(
                "Items",
                f"{items['bins_with_items']} bins have recorded items; {items['in_more_than_one_bin']} of "
                f"{items['distinct']} items are in more than one bin.",
                tables=[Table(("most repeated item", "bins"), repeated)],
                plots=[_repeats_plot(items["bins_holding_an_item"])],
            ),
            Section(
                "Sizes of the originals",
                f"{sizes['distinct']} different ones. They differ from source to source, as the labels do: no network "
                "may see them.",
                tables=[Table(("pixels", "width", "height"), spread)],
                plots=[_sizes_plot(members)],
            ),
            *(_sheet(name, members, rng) for name in report["classes"]),
        ],
    )


def _leakage_table(leakage: Mapping[str, Any]) -> Table:
    splits = list(leakage["alike"]["share_with_kin_in_train"])
    columns = ("kin", "pairs", "parted", *(f"share of {split} with kin in train" for split in splits))
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
        for one in _drawn(train, SHEET_COLUMNS, rng)
    ]
    return Section(f"Bins of class {name}", images=images)


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Report what a prepared set holds.")
    parser.add_argument("--data", type=Path, required=True, metavar="SET", help="folder that training.prepare made")
    parser.add_argument("--seed", type=int, default=0, help="chooses the images that are shown")
    options = parser.parse_args()
    write_report(options.data, options.seed)
    print(options.data / "report.html")


if __name__ == "__main__":
    main()
