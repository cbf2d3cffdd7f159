"""The bins of a prepared set, as its index.csv and metadata files describe them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inventory.errors import RejectedUpload

from .archives import StoredFile
from .bins import SPLITS, in_archive, index_rows, members_of
from .grouping import Items
from .metadata import parse_record
from .sources import METADATA_FOLDER
from .tables import Row


@dataclass(frozen=True)
class Member:
    """A bin of the set as its index.csv has it; `size` is the original's (width, height) in pixels."""

    id: str
    count: int
    split: str
    group: str
    image: StoredFile
    size: tuple[int, int]
    items: Items


def read_members(root: Path) -> list[Member]:
    """Every bin of the set, in the index's order.

    Raises FileNotFoundError when the set has no index, ValueError when `training.prepare` did not make it.
    """
    try:
        return [_member(root, row) for row in index_rows(root)]
    except KeyError as error:
        made = "make the set with training.prepare, or pack one that it made"
        raise ValueError(f"the index of {root} has no column {error}: {made}") from error


def _member(root: Path, row: Row) -> Member:
    cells = row.cells
    image: StoredFile
    metadata: StoredFile | None
    if in_archive(row):
        image, metadata = members_of(root, row)
    else:
        image, metadata = root / cells["path"], _existing(root / METADATA_FOLDER / f"{cells['id']}.json")
    return Member(
        id=cells["id"],
        count=int(cells["expected_quantity"]),
        split=cells["split"],
        group=cells["group"],
        image=image,
        size=(int(cells["width"]), int(cells["height"])),
        items=_recorded_items(metadata) if metadata else {},
    )


def _existing(path: Path) -> Path | None:
    return path if path.is_file() else None


def _recorded_items(metadata: StoredFile) -> Items:
    try:
        return parse_record(metadata.read_bytes(), metadata.name).items
    except RejectedUpload:  # its label comes from a list
        return {}


def splits_of(members: Iterable[Member]) -> list[str]:
    """The splits that have a bin, in the order of SPLITS."""
    present = {one.split for one in members}
    return [split for split in SPLITS if split in present]


def draw_members(members: Sequence[Member], most: int, rng: np.random.Generator) -> list[Member]:
    """At most `most` bins, drawn without replacement, in their original order."""
    chosen = rng.choice(len(members), min(most, len(members)), replace=False)
    return [members[position] for position in sorted(chosen)]
