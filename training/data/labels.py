"""Lists that a user provides: which bins to take, and how many objects they truly hold."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from inventory.bins import composed
from inventory.errors import RejectedUpload
from inventory.metadata import read_quantity

from .bins import SPLITS
from .matching import Matches, match_ids
from .tables import Row, read_table, value_of

COLUMNS = ("id", "expected_quantity")


@dataclass(frozen=True)
class Label:
    """The true count of a bin, and its split, empty where the list has none."""

    count: int
    split: str


@dataclass(frozen=True)
class Labels:
    """The labels of bins by id. `faults` has the reason for each bin whose label cannot be used. `matches` says which
    ids of the list are of which bins."""

    labels: Mapping[str, Label] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    matches: Matches = field(default_factory=lambda: Matches({}, {}))


def read_ids(path: Path) -> list[str]:
    """The ids of a file list, {"1": ["data/metadata/100313.json", ...], ...}, in order. The keys are not read.

    Raises FileNotFoundError, or ValueError when the file has another form.
    """
    try:
        lists = json.loads(path.read_bytes())
        return sorted({composed(PurePosixPath(name).stem) for names in lists.values() for name in names})
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f'{path} must be JSON like {{"1": ["data/metadata/100313.json", ...], ...}}') from error


def read_val_ids(path: Path) -> frozenset[str]:
    """The ids of a file with one on each line, as github.com/silverbottlep/abid_challenge has its split.

    Its numbers are of file names with five digits or more: 523 is the bin 00523. Raises FileNotFoundError, or
    ValueError when there is no id.
    """
    lines = (line.strip() for line in path.read_text().splitlines())
    ids = frozenset(line.zfill(5) if line.isdecimal() else composed(line) for line in lines if line)
    if not ids:
        raise ValueError(f"{path} has no id: write one on each line")
    return ids


def read_labels(path: Path, bins: Collection[str]) -> Labels:
    """The labels for `bins` in a CSV with id, expected_quantity and optionally split; other columns are ignored.

    A row that cannot be read is the fault of its bin. So are two rows of a bin that differ.
    Raises FileNotFoundError; ValueError when the file is no such CSV, or no row is of one of the bins.
    """
    rows = read_table(path, COLUMNS)
    matches = match_ids((row.cells["id"] for row in rows), bins)
    if not matches.found:
        why = matches.advice() or "it has no rows"
        raise ValueError(f"{path} labels none of the {len(bins)} bins: {why}")
    labels: dict[str, Label] = {}
    faults: dict[str, str] = {}
    for row in rows:
        bin = matches.found.get(row.cells["id"])
        if bin is None or bin in faults:
            continue
        try:
            label = _label(row)
            if labels.setdefault(bin, label) != label:
                raise RejectedUpload(f"{row.place} differs from an earlier row of {bin}: keep one of them")
        except RejectedUpload as fault:
            faults[bin] = str(fault)
            labels.pop(bin, None)
    return Labels(labels, faults, matches)


def _label(row: Row) -> Label:
    if row.surplus:
        raise RejectedUpload(f"{row.place} has more cells than there are columns: {', '.join(row.surplus)}")
    split = row.cells.get("split", "").strip().casefold()
    if split not in ("", *SPLITS):
        raise RejectedUpload(f"{row.place}: split is {split}, not one of {', '.join(SPLITS)}")
    return Label(read_quantity(value_of(row.cells["expected_quantity"]), row.place), split)
