"""Labelled bins on disk, as `training.prepare` writes them: images, and an index.csv with the label of each one.

    index.csv    id, expected_quantity, split and, where there are any, path and the columns of FACTS

A set that several machines prepared has an index-<k>-of-<n>.csv of each instead, which are read as one.
Without `path` an image is looked for as bin-images/<id>.jpg, without FACTS they are read from metadata/<id>.json.
A folder in the inbox layout without an index is one split, "all", labelled by its metadata.

A network sees pixels and nothing else. The recorded quantity is the label; ids, file sizes and original resolutions
are correlated with it and never become an input. FACTS are further targets: a network that must also estimate how much
the bin holds attends to the objects themselves.
"""

import csv
import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inventory.spreadsheets import from_cell
from model.images import RejectedImage, decode, resize

from .metadata import FACTS, parse_record

LABELS = ("0", "1", "2", "3", "4", "5", "6+")
"""The labels of the endpoint. Training may have more: see `training_label`."""
UNKNOWN = (math.nan,) * len(FACTS)
SPLITS = ("train", "val", "test")
WHOLE = "all"
IMAGE_FOLDER, METADATA_FOLDER = "bin-images", "metadata"
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class LabelledBin:
    """An image of a bin, how many objects it truly shows, FACTS about them (NaN where unknown), and its metadata."""

    id: str
    count: int
    image: Path
    facts: tuple[float, ...] = UNKNOWN
    metadata: Path | None = None


def training_label(counts: npt.NDArray[np.int64], labels: int) -> npt.NDArray[np.int64]:
    """Which of `labels` labels each count is: its own, the last one standing for its count and every greater one."""
    return np.minimum(counts, labels - 1)


def read_bins(root: Path, split: str) -> list[LabelledBin]:
    """Every bin of a split, in the index's order.

    Raises FileNotFoundError when the folder, its index or an image is missing; ValueError when a row is malformed
    or the split is empty.
    """
    if split == WHOLE:
        return _pairs(root)
    beside = _images_by_id(root)
    bins = []
    for place, row in index_rows(root):
        try:
            bin_id, count, row_split = row["id"], int(row["expected_quantity"]), row["split"]
            facts = tuple(float(row[name] or "nan") for name in FACTS) if FACTS[0] in row else None
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{place} needs id, expected_quantity (a whole number) and split") from error
        if row_split != split:
            continue
        image = root / row["path"] if row.get("path") else beside.get(bin_id)
        if image is None or not image.is_file():
            raise FileNotFoundError(f"{root} has no image for id {bin_id} of {place}: prepare it again")
        metadata = _metadata(root, bin_id)
        if facts is None:
            facts = parse_record(metadata.read_bytes()).facts if metadata else UNKNOWN
        bins.append(LabelledBin(bin_id, count, image, facts, metadata))
    if not bins:
        index = root / index_name()
        raise ValueError(f"{index} has no bin in split {split!r}: prepare the set with all of {', '.join(SPLITS)}")
    return bins


def index_name(share: int = 1, shares: int = 1) -> str:
    """The file that lists a set, or the part of one of `shares` machines."""
    return "index.csv" if shares == 1 else f"index-{share:03}-of-{shares:03}.csv"


def index_rows(root: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Every row of a set's index, with its file and line. Raises FileNotFoundError when a file is missing."""
    one, *_ = [*sorted(root.glob("index-[0-9]*-of-[0-9]*.csv")), root / index_name()]
    shares = int(one.stem.rsplit("-", 1)[1]) if one.stem != "index" else 1
    for index in (root / index_name(share, shares) for share in range(1, shares + 1)):
        if not index.is_file():
            raise FileNotFoundError(
                f"{index} is missing: make the set with `python -m training.prepare --source ... --out {root}`"
            )
        with index.open(newline="") as file:
            for number, row in enumerate(csv.DictReader(file), start=2):
                yield f"{index} line {number}", {name: from_cell(cell) for name, cell in row.items()}


def _images_by_id(root: Path) -> dict[str, Path]:
    folder = root / IMAGE_FOLDER
    if not folder.is_dir():
        return {}
    return {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}


def _pairs(root: Path) -> list[LabelledBin]:
    images = _images_by_id(root)
    if not images:
        raise FileNotFoundError(f"{root} holds no {IMAGE_FOLDER} folder with images: name a folder in the inbox layout")
    return [
        LabelledBin(bin_id, _recorded(root, bin_id), path, metadata=_metadata(root, bin_id))
        for bin_id, path in images.items()
    ]


def _metadata(root: Path, bin_id: str) -> Path | None:
    path = root / METADATA_FOLDER / f"{bin_id}.json"
    return path if path.is_file() else None


def _recorded(root: Path, bin_id: str) -> int:
    """EXPECTED_QUANTITY of a bin, the sum of its items' quantities and so its true count if the record is right."""
    path = root / METADATA_FOLDER / f"{bin_id}.json"
    try:
        return int(json.loads(path.read_text())["EXPECTED_QUANTITY"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not give EXPECTED_QUANTITY as a whole number ({error!r})") from error


def pixels_of(one: LabelledBin, size: int) -> npt.NDArray[np.uint8]:
    """The pixels (size, size, 3), 0..255, of a bin's image, as serving sees it. Raises ValueError when unreadable."""
    try:
        return resize(decode(one.image.read_bytes()), size)
    except (OSError, RejectedImage) as error:
        raise ValueError(f"{one.image} cannot be read ({error}): prepare the set again, which leaves it out") from error


def counts_of(bins: Sequence[LabelledBin]) -> npt.NDArray[np.int64]:
    """The true counts (n,)."""
    return np.array([one.count for one in bins], np.int64)


def digest(bins: Iterable[LabelledBin]) -> str:
    """Twelve hex digits that change when a label or a byte of an image does."""
    sha = hashlib.sha256()
    for one in bins:
        sha.update(f"{one.id},{one.count};".encode())
        sha.update(one.image.read_bytes())
    return sha.hexdigest()[:12]
