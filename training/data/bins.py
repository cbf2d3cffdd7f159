"""Labelled bins on disk, as `training.prepare` writes them: images, and an index.csv with the label of each one.

    index.csv    id, expected_quantity, split and, where there are any, path and the columns of FACTS

A set that several machines prepared has an index-<k>-of-<n>.csv of each instead, which are read as one.
In a set of `training.pack`, `path` is an archive, with `member`, `offset` and `size` of the image in it. Without `path`
an image is looked for as bin-images/<id>.jpg, without FACTS they are read from metadata/<id>.json.
A folder in the inbox layout without an index is one split, "all", labelled by its metadata.

A network sees pixels and nothing else. The recorded quantity is the label; ids, file sizes and original resolutions
are correlated with it and never become an input. FACTS are further targets: a network that must also estimate how much
the bin holds attends to the objects themselves.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inventory.alert_text import one_line
from inventory.errors import RejectedUpload
from inventory.metadata import read_quantity
from model.images import RejectedImage, decode, resize

from .archives import ImageFile, Member
from .matching import plain_id
from .metadata import FACTS, UNKNOWN, parse_record
from .sources import IMAGE_FOLDER, METADATA_FOLDER, BinFiles, Folder, list_bins
from .tables import Row, read_table, value_of

LOG = logging.getLogger(__name__)

LABELS = ("0", "1", "2", "3", "4", "5", "6+")
"""The labels of the endpoint. Training may have more: see `training_label`."""
SPLITS = ("train", "val", "test")
WHOLE = "all"


@dataclass(frozen=True)
class LabelledBin:
    """An image of a bin, how many objects it truly shows, FACTS about them (NaN where unknown), and its metadata."""

    id: str
    count: int
    image: ImageFile
    facts: tuple[float, ...] = UNKNOWN
    metadata: Path | None = None


def training_label(counts: npt.NDArray[np.int64], labels: int) -> npt.NDArray[np.int64]:
    """Which of `labels` labels each count is: its own, the last one standing for its count and every greater one."""
    return np.minimum(counts, labels - 1)


def read_bins(root: Path, split: str) -> list[LabelledBin]:
    """The bins of `usable_bins`; a warning of the log says what is left out."""
    bins, faults = usable_bins(root, split)
    if faults:
        (fault, *_) = faults.values()
        LOG.warning(
            "%s: %d of %d bins are left out, such as: %s", root, len(faults), len(faults) + len(bins), one_line(fault)
        )
    return bins


def usable_bins(root: Path, split: str) -> tuple[list[LabelledBin], dict[str, str]]:
    """Every bin of a split, in the index's order, and the reason for each one whose count cannot be read.

    Raises FileNotFoundError when the folder, its index or an image is missing; ValueError when no bin remains.
    """
    found, _ = list_bins(Folder(root))
    files = {one.id: one for one in found}
    bins: list[LabelledBin] = []
    faults: dict[str, str] = {}
    ids = _photographed(root, files) if split == WHOLE else _indexed(root, split, files)
    for id, read in ids:
        try:
            bins.append(read())
        except RejectedUpload as fault:
            faults[id] = str(fault)
    if not bins:
        if faults:
            raise ValueError(f"{root} has no usable bin in split {split!r}: {next(iter(faults.values()))}")
        index = root / index_name()
        raise ValueError(f"{index} has no bin in split {split!r}: prepare the set with all of {', '.join(SPLITS)}")
    return bins, faults


Reading = tuple[str, Callable[[], LabelledBin]]
"""The id of a bin, and what reads it. Raises RejectedUpload when its count cannot be read."""


def _indexed(root: Path, split: str, files: Mapping[str, BinFiles]) -> Iterator[Reading]:
    for row in index_rows(root):
        if row.cells["split"].strip().casefold() == split:
            id = next((id for id in (row.cells["id"], plain_id(row.cells["id"])) if id in files), row.cells["id"])
            yield id, partial(_of_row, root, row, id, files.get(id))


def _of_row(root: Path, row: Row, id: str, files: BinFiles | None) -> LabelledBin:
    count = read_quantity(value_of(row.cells["expected_quantity"]), row.place)
    if "offset" in row.cells:
        return LabelledBin(id, count, _member(root, row), _facts(row, None))
    path = row.cells.get("path") or next(iter(files.images if files else ()), None)
    if path is None or not (root / path).is_file():
        raise FileNotFoundError(f"{root} has no image for id {id} of {row.place}: prepare it again")
    metadata = _metadata(root, files)
    return LabelledBin(id, count, root / path, _facts(row, metadata), metadata)


def _member(root: Path, row: Row) -> Member:
    cells = row.cells
    try:
        return Member(root / cells["path"], cells["member"], int(cells["offset"]), int(cells["size"]))
    except (KeyError, ValueError) as error:
        raise RejectedUpload(
            f"{row.place} needs path, member, offset and size of an image: pack the set again"
        ) from error


def _facts(row: Row, metadata: Path | None) -> tuple[float, ...]:
    if FACTS[0] in row.cells:
        try:
            return tuple(float(row.cells[name] or "nan") for name in FACTS)
        except (KeyError, ValueError) as error:
            raise RejectedUpload(f"{row.place} needs numbers or nothing as {', '.join(FACTS)}") from error
    try:
        return parse_record(metadata.read_bytes(), metadata.name).facts if metadata else UNKNOWN
    except RejectedUpload:
        return UNKNOWN


def _photographed(root: Path, files: Mapping[str, BinFiles]) -> Iterator[Reading]:
    photographed = [one for one in files.values() if one.images]
    if not photographed:
        raise FileNotFoundError(f"{root} holds no {IMAGE_FOLDER} folder with images: name a folder in the inbox layout")
    for one in photographed:
        yield one.id, partial(_of_record, root, one)


def _of_record(root: Path, files: BinFiles) -> LabelledBin:
    metadata = _metadata(root, files)
    if metadata is None:
        raise RejectedUpload(f"{METADATA_FOLDER}/{files.id}.json is missing: add it")
    record = parse_record(metadata.read_bytes(), metadata.relative_to(root).as_posix())
    return LabelledBin(files.id, record.count, root / files.images[0], metadata=metadata)


def _metadata(root: Path, files: BinFiles | None) -> Path | None:
    return root / files.metadata[0] if files and files.metadata else None


def index_name(share: int = 1, shares: int = 1) -> str:
    """The file that lists a set, or the part of one of `shares` machines."""
    return "index.csv" if shares == 1 else f"index-{share:03}-of-{shares:03}.csv"


def index_rows(root: Path) -> Iterator[Row]:
    """Every row of a set's index.

    Raises FileNotFoundError when a file is missing, ValueError when it is no table of id, expected_quantity and split.
    """
    one, *_ = [*sorted(root.glob("index-[0-9]*-of-[0-9]*.csv")), root / index_name()]
    shares = int(one.stem.rsplit("-", 1)[1]) if one.stem != "index" else 1
    for index in (root / index_name(share, shares) for share in range(1, shares + 1)):
        if not index.is_file():
            raise FileNotFoundError(
                f"{index} is missing: make the set with `python -m training.prepare --source ... --out {root}`"
            )
        yield from read_table(index, ("id", "expected_quantity", "split"))


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
