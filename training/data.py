"""Labelled bins in memory: a folder in the inbox layout, its index.csv saying id, expected_quantity and split.

A folder without an index is one split, "all", labelled by its metadata.

A network sees pixels and nothing else. The recorded quantity is the label; ids, file sizes and original resolutions
are correlated with it and never leave this module.
"""

import csv
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from model.pictures import decode, squash

LABELS = ("0", "1", "2", "3", "4", "5", "6+")
IMAGE_FOLDERS = ("bin-images", "resized-224/bin-images")
WHOLE = "all"
SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Bins:
    """Pictures of one split: `pixels` (n, size, size, 3) 0..255, `counts` (n,) objects, `ids` (n,) for reports only."""

    ids: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    counts: npt.NDArray[np.int64]

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """Indices into LABELS: the open label stands for its count and every greater one."""
        return np.minimum(self.counts, len(LABELS) - 1)

    def __len__(self) -> int:
        return len(self.ids)

    def __add__(self, other: "Bins") -> "Bins":
        pixels = np.concatenate((self.pixels, other.pixels))
        return Bins(self.ids + other.ids, pixels, np.concatenate((self.counts, other.counts)))


def picture_paths(root: Path, split: str) -> list[tuple[str, int, Path]]:
    """The (id, count, picture) of every bin of a split, in the index's order.

    Raises FileNotFoundError when the folder, its index or a picture is missing; ValueError when a row is malformed
    or the split is empty.
    """
    folder = next((root / name for name in IMAGE_FOLDERS if (root / name).is_dir()), None)
    if folder is None:
        raise FileNotFoundError(f"{root} holds no {' or '.join(IMAGE_FOLDERS)} folder")
    found = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
    if split == WHOLE:
        return [(bin_id, _recorded(folder.parent, bin_id), path) for bin_id, path in found.items()]
    index = root / "index.csv"
    if not index.is_file():
        raise FileNotFoundError(f"{index} is missing: say which bins are in split {split!r} there, or use {WHOLE!r}")
    bins = []
    with index.open(newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                bin_id, count, row_split = row["id"], int(row["expected_quantity"]), row["split"]
            except (KeyError, ValueError) as error:
                reason = f"{index} line {number} needs id, expected_quantity (a whole number) and split"
                raise ValueError(reason) from error
            if row_split != split:
                continue
            if bin_id not in found:
                raise FileNotFoundError(f"{folder} has no picture for id {bin_id} of {index} line {number}")
            bins.append((bin_id, count, found[bin_id]))
    if not bins:
        raise ValueError(f"{index} has no bin in split {split!r}")
    return bins


def _recorded(root: Path, bin_id: str) -> int:
    """EXPECTED_QUANTITY of a bin, the sum of its items' quantities and so its true count if the record is right."""
    path = root / "metadata" / f"{bin_id}.json"
    try:
        return int(json.loads(path.read_text())["EXPECTED_QUANTITY"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} does not give EXPECTED_QUANTITY as a whole number ({error!r})") from error


def load_bins(root: Path, split: str, size: int, limit: int | None = None) -> Bins:
    """Decode and squash a split (its first `limit` bins) as serving does; size^2 * 3 bytes of memory a picture."""
    bins = picture_paths(root, split)[:limit]
    with ThreadPoolExecutor() as pool:
        decoded = pool.map(lambda entry: squash(decode(entry[2].read_bytes()), size), bins)
        pixels = np.empty((len(bins), size, size, 3), np.uint8)
        for index, picture in enumerate(tqdm(decoded, f"{root.name}/{split}", len(bins), unit="bin", leave=False)):
            pixels[index] = picture
    return Bins(tuple(entry[0] for entry in bins), pixels, np.array([entry[1] for entry in bins]))


def digest(bins: Bins) -> str:
    """Twelve hex digits that change when a label or a pixel of the data does."""
    sha = hashlib.sha256()
    for bin_id, count, pixels in zip(bins.ids, bins.counts, bins.pixels, strict=True):
        sha.update(f"{bin_id},{count};".encode())
        sha.update(pixels.tobytes())
    return sha.hexdigest()[:12]
