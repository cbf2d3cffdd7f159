"""A prepared set on disk: the images that are placed, index.csv, skipped.csv and the options that made it."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inventory.spreadsheets import write_rows
from model.images import RejectedImage

from .bins import index_name
from .class_folders import Size, class_name, original_size, put, write_whole
from .metadata import FACTS
from .sources import METADATA_FOLDER, BinFiles, Source
from .splitting import PlannedBin
from .usable import UnusableBin, fetch

COLUMNS = ("id", "expected_quantity", "split", "group", "path", "width", "height", *FACTS)
FIXED_OPTIONS = ("source", "size", "shares")
"""Options that decide the bytes of the images, so that a set cannot continue with others."""


@dataclass(frozen=True)
class PlacedBin:
    """A bin whose image lies at `path`; `size` is the original's (width, height) in pixels."""

    plan: PlannedBin
    path: Path
    size: Size


@dataclass(frozen=True)
class ImagePlacer:
    """Puts images from `source` into the class folders of `root`, resized to `size` pixels a side if there is one.

    `files` are those of every planned bin, and `placed` has the path of each image that an earlier run placed, by id.
    """

    source: Source
    files: Mapping[str, BinFiles]
    root: Path
    size: int | None
    placed: Mapping[str, Path]

    def place(self, plan: PlannedBin) -> PlacedBin:
        """Put one image in its place. Raises UnusableBin when it is missing or corrupt."""
        folder = self.root / plan.split / class_name(plan.bin.count)
        folder.mkdir(parents=True, exist_ok=True)
        if earlier := self.placed.get(plan.bin.id):
            path = earlier.replace(folder / earlier.name)
            return PlacedBin(plan, path, original_size(path, resized=self.size is not None))
        data = fetch(self.source, self.files[plan.bin.id].images)
        if data is None:
            raise UnusableBin("missing image")
        try:
            return PlacedBin(plan, *put(data, folder, plan.bin.id, self.size))
        except RejectedImage as error:
            raise UnusableBin(f"corrupt image: {error}") from error


def claim_folder(root: Path, options: Mapping[str, Any]) -> None:
    """Create `root` for a set made with `options`, or continue the set there.

    Raises ValueError when `root` holds something else, or images made with other FIXED_OPTIONS.
    """
    marker = root / "options.json"
    if marker.is_file():
        before = {"shares": 1} | json.loads(marker.read_text())
        if any(before[name] != options[name] for name in FIXED_OPTIONS):
            made = f"--source {before['source']}, --size {before['size']} and {before['shares']} machines"
            raise ValueError(f"{root} holds images made with {made}: name another folder or delete it")
    elif root.is_dir() and any(root.iterdir()):
        raise ValueError(f"{root} holds files that are no prepared set: name another folder")
    (root / METADATA_FOLDER).mkdir(parents=True, exist_ok=True)
    write_whole(marker, (json.dumps(options, default=str, indent=2) + "\n").encode())


def write_index(path: Path, bins: Sequence[PlacedBin]) -> None:
    """Write index.csv, or the part of one machine: a row of COLUMNS for each bin."""
    text = io.StringIO(newline="")
    write_rows(text, COLUMNS, (_row(one, path.parent) for one in bins))
    write_whole(path, text.getvalue().encode())


def _row(one: PlacedBin, root: Path) -> dict[str, object]:
    candidate, image = one.plan.bin, one.path.relative_to(root).as_posix()
    facts = ("" if math.isnan(fact) else round(fact, 4) for fact in candidate.facts)
    values = (candidate.id, candidate.count, one.plan.split, one.plan.group, image, *one.size, *facts)
    return dict(zip(COLUMNS, values, strict=True))


def write_skipped(root: Path, shard: tuple[int, int], skipped: Mapping[str, str]) -> None:
    """Write skipped.csv, or the part of one machine: id and reason of each unusable bin, sorted by id."""
    path = root / index_name(*shard).replace("index", "skipped")
    with path.open("w", newline="", encoding="utf-8") as file:
        write_rows(file, ("id", "reason"), ({"id": id, "reason": why} for id, why in sorted(skipped.items())))
