"""The bins of a prepared set, as its index.csv and metadata files describe them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import numpy as np

from inventory.errors import RejectedUpload

from .bins import SPLITS, index_rows
from .grouping import Items
from .metadata import parse_record
from .sources import METADATA_FOLDER


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


def read_members(root: Path) -> list[Member]:
    """Every bin of the set, in the index's order. Raises FileNotFoundError when the set has no index."""
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
        for row in map(attrgetter("cells"), index_rows(root))
    ]


def _recorded_items(path: Path) -> Items:
    try:
        return parse_record(path.read_bytes(), path.name).items if path.is_file() else {}
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
