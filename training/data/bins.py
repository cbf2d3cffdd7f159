"""Labelled bins on disk, as `training.prepare` writes them: images, and an index.csv with the label of each one.

    index.csv    id, expected_quantity, split and, where there are any, path and the columns of FACTS

A set that several machines prepared has an index-<k>-of-<n>.csv of each instead, which are read as one.
In a set of archives (`training.pack`), `path` is an archive, with `member`, `offset` and `size` of the image in it, and
`metadata_offset` and `metadata_size` of the metadata. Without `path` an image is looked for as bin-images/<id>.jpg,
without FACTS they are read from metadata/<id>.json.
A folder in the inbox layout without an index is one split, "all", labelled by its metadata.

A network sees pixels and nothing else. The recorded quantity is the label; ids, file sizes and original resolutions
are correlated with it and never become an input. FACTS are further targets: a network that must also estimate how much
the bin holds attends to the objects themselves.
"""

import hashlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inventory.alert_text import one_line
from inventory.errors import RejectedUpload
from inventory.metadata import read_quantity
from model.images import RejectedImage, decode, resize

from .archives import Member, StoredFile
from .matching import plain_id
from .metadata import FACTS, UNKNOWN, parse_record
from .sources import IMAGE_FOLDER, METADATA_FOLDER, BinFiles, Folder, list_bins
from .tables import Row, read_table, value_of

LOG = logging.getLogger(__name__)

LABELS = ("0", "1", "2", "3", "4", "5", "6+")
"""The labels that networks are compared by. Training and the endpoint have more: see `training_label`."""
MOST_SERVED = 11
"""The labels of the endpoint: 0 to 9 and 10+. The natural mix is known for so many."""
SPLITS = ("train", "val", "test")
WHOLE = "all"


@dataclass(frozen=True)
class LabelledBin:
    """An image of a bin, how many objects it truly shows, FACTS about them (NaN where unknown), and its metadata."""

    id: str
    count: int
    image: StoredFile
    facts: tuple[float, ...] = UNKNOWN
    metadata: StoredFile | None = None


def training_label(counts: npt.NDArray[np.int64], labels: int) -> npt.NDArray[np.int64]:
    """Which of `labels` labels each count is: its own, the last one standing for its count and every greater one."""
    return np.minimum(counts, labels - 1)


def served_labels(outputs: int) -> tuple[str, ...]:
    """The labels that the endpoint answers with, for a network with so many outputs: "0" and so on, the last open."""
    last = min(outputs, MOST_SERVED) - 1
    return (*map(str, range(last)), f"{last}+")


def read_bins(root: Path, split: str) -> list[LabelledBin]:
    """The bins of `usable_bins`; a warning of the log says what is left out."""
    bins, faults = usable_bins(root, split)
    warn_left_out(root, faults, len(bins))
    return bins


def warn_left_out(root: Path, faults: Mapping[str, str], used: int) -> None:
    """A warning of the log that bins are left out, if there are any, and why."""
    if faults:
        (fault, *_) = faults.values()
        LOG.warning(
            "%s: %d of %d bins are left out, such as: %s", root, len(faults), len(faults) + used, one_line(fault)
        )


def usable_bins(root: Path, split: str) -> tuple[list[LabelledBin], dict[str, str]]:
    """Every bin of a split, in the index's order, and the reason for each one whose count cannot be read.

    Raises FileNotFoundError when the folder, its index or an image is missing; ValueError when no bin remains.
    """
    if split == WHOLE:
        bins, faults = _recorded(root)
    else:
        of_split = (row for row in index_rows(root) if split_of(row) == split)
        listed, faults = read_rows(root, of_split)
        bins = [one for _, one in listed]
    if not bins:
        if faults:
            raise ValueError(f"{root} has no usable bin in split {split!r}: {next(iter(faults.values()))}")
        index = root / index_name()
        raise ValueError(f"{index} has no bin in split {split!r}: prepare the set with all of {', '.join(SPLITS)}")
    return bins, faults


def split_of(row: Row) -> str:
    """The split that a row of an index names."""
    return row.cells["split"].strip().casefold()


def read_rows(root: Path, rows: Iterable[Row]) -> tuple[list[tuple[Row, LabelledBin]], dict[str, str]]:
    """The bin of each row of a set's index, and the reason for each one whose count cannot be read.

    Raises FileNotFoundError when an image is missing.
    """
    files = _files(root)
    bins: list[tuple[Row, LabelledBin]] = []
    faults: dict[str, str] = {}
    for row in rows:
        id = next((id for id in (row.cells["id"], plain_id(row.cells["id"])) if id in files), row.cells["id"])
        try:
            bins.append((row, _of_row(root, row, id, files.get(id))))
        except RejectedUpload as fault:
            faults[id] = str(fault)
    return bins, faults


def _files(root: Path) -> dict[str, BinFiles]:
    found, _ = list_bins(Folder(root))
    return {one.id: one for one in found}


def _of_row(root: Path, row: Row, id: str, files: BinFiles | None) -> LabelledBin:
    count = read_quantity(value_of(row.cells["expected_quantity"]), row.place)
    if in_archive(row):
        image, record = members_of(root, row)
        return LabelledBin(id, count, image, _facts(row, record), record)
    path = row.cells.get("path") or next(iter(files.images if files else ()), None)
    if path is None or not (root / path).is_file():
        raise FileNotFoundError(f"{root} has no image for id {id} of {row.place}: prepare it again")
    metadata = _metadata(root, files)
    return LabelledBin(id, count, root / path, _facts(row, metadata), metadata)


def in_archive(row: Row) -> bool:
    """Whether the image of this row of an index lies in an archive."""
    return "offset" in row.cells


def members_of(root: Path, row: Row) -> tuple[Member, Member | None]:
    """Where the image and the metadata of a row lie in an archive. Raises RejectedUpload when the row does not say."""
    cells = row.cells
    try:
        archive = root / cells["path"]
        image = Member(archive, cells["member"], int(cells["offset"]), int(cells["size"]))
        if not cells.get("metadata_offset"):
            return image, None
        place = int(cells["metadata_offset"]), int(cells["metadata_size"])
        return image, Member(archive, f"{Path(image.name).stem}.json", *place)
    except (KeyError, ValueError) as error:
        raise RejectedUpload(
            f"{row.place} needs path, member, offset and size of an image: pack the set again"
        ) from error


def _facts(row: Row, metadata: StoredFile | None) -> tuple[float, ...]:
    if FACTS[0] in row.cells:
        try:
            return tuple(float(row.cells[name] or "nan") for name in FACTS)
        except (KeyError, ValueError) as error:
            raise RejectedUpload(f"{row.place} needs numbers or nothing as {', '.join(FACTS)}") from error
    try:
        return parse_record(metadata.read_bytes(), metadata.name).facts if metadata else UNKNOWN
    except RejectedUpload:
        return UNKNOWN


def _recorded(root: Path) -> tuple[list[LabelledBin], dict[str, str]]:
    photographed = [one for one in _files(root).values() if one.images]
    if not photographed:
        cure = "name a folder in the inbox layout, or a split of a prepared set"
        raise FileNotFoundError(f"{root} holds no {IMAGE_FOLDER} folder with images: {cure}")
    bins: list[LabelledBin] = []
    faults: dict[str, str] = {}
    for one in photographed:
        try:
            bins.append(_of_record(root, one))
        except RejectedUpload as fault:
            faults[one.id] = str(fault)
    return bins, faults


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


def index_rows(root: Path, shard: tuple[int, int] | None = None) -> Iterator[Row]:
    """Every row of a set's index, or of the part of `shard`, the k-th of n machines.

    Raises FileNotFoundError when a file is missing, ValueError when it is no table of id, expected_quantity and split.
    """
    one, *_ = [*sorted(root.glob("index-[0-9]*-of-[0-9]*.csv")), root / index_name()]
    shares = int(one.stem.rsplit("-", 1)[1]) if one.stem != "index" else 1
    parts = [shard] if shard else [(share, shares) for share in range(1, shares + 1)]
    for index in (root / index_name(*part) for part in parts):
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
