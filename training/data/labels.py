"""Lists that a user provides: which bins to take, and how many objects they truly hold."""

import csv
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from inventory.spreadsheets import from_cell

from .bins import SPLITS


@dataclass(frozen=True)
class Label:
    """The true count of a bin, and its split, empty where the list has none."""

    count: int
    split: str


def read_ids(path: Path) -> list[str]:
    """The ids of a file list, {"1": ["data/metadata/100313.json", ...], ...}, in order. The keys are not read.

    Raises FileNotFoundError, or ValueError when the file has another form.
    """
    try:
        lists = json.loads(path.read_text())
        return sorted({PurePosixPath(name).stem for names in lists.values() for name in names})
    except (AttributeError, TypeError, ValueError) as error:
        raise ValueError(f'{path} must be JSON like {{"1": ["data/metadata/100313.json", ...], ...}}') from error


def read_labels(path: Path) -> dict[str, Label]:
    """The label of each id in a CSV with id, expected_quantity and optionally split; other columns are ignored.

    Raises FileNotFoundError, or ValueError when a row lacks one of the first two, has an unknown split or its id
    comes twice.
    """
    labels: dict[str, Label] = {}
    with path.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                bin_id, label = from_cell(row["id"]), Label(int(row["expected_quantity"]), row.get("split") or "")
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"{path} line {number} needs id and expected_quantity, a whole number") from error
            if label.count < 0 or label.split not in ("", *SPLITS):
                raise ValueError(f"{path} line {number} needs a count from 0 up, and a split of {', '.join(SPLITS)}")
            if bin_id in labels:
                raise ValueError(f"{path} line {number} has id {bin_id} again: keep one of its rows")
            labels[bin_id] = label
    return labels
