"""Packs a prepared set into a few archives, for sets of hundreds of thousands of images.

    python -m training.pack --data SET --out PACKED [--megabytes 256]

leaves

    PACKED/images-00000.tar …      image, count and metadata of each bin (WebDataset's layout)
    PACKED/index.csv               as the set's, with the place of each image and of its metadata

Every command takes PACKED for SET, with the same batches and figures; `training.explore` needs the files. With
`training.prepare --archives 256` a set is made like this at once.
"""

import argparse
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from inventory.alert_text import one_line
from inventory.spreadsheets import write_rows

from .data.archives import Member, Sample, write_archives
from .data.bins import LabelledBin, index_name, index_rows, read_rows, split_of, warn_left_out
from .data.class_folders import write_whole
from .data.metadata import FACTS
from .data.tables import Row

MEGABYTE = 1_000_000
PLACE = ("path", "member", "offset", "size", "metadata_offset", "metadata_size")


def pack(data: Path, out: Path, limit_bytes: int, shard: tuple[int, int] | None = None) -> int:
    """Write the archives of a set and their index, in the order of the set's index; returns the number of images.

    Of a `shard`, the k-th of n machines, only the part. The index comes last: what a killed run left is written again.
    Raises FileNotFoundError when the set or one of its images is missing; ValueError when `out` holds anything else.
    """
    rows = list(index_rows(data, shard))
    shares = shard or (1, 1)
    name = index_name(*shares)
    archives = name.removesuffix(".csv").replace("index", "images")
    if out.is_dir() and {path.name for path in out.iterdir()} - {path.name for path in out.glob(f"{archives}-*.tar")}:
        raise ValueError(f"{out} is not empty: name another folder, or delete it")
    bins, faults = read_rows(data, rows)
    warn_left_out(data, faults, len(bins))
    out.mkdir(parents=True, exist_ok=True)
    for path in out.glob(f"{archives}-*.tar"):
        path.unlink()
    samples = (Sample(one.id, one.count, one.image, one.metadata) for _, one in bins)
    placed = write_archives(out, archives, tqdm(samples, "images", len(bins), unit="bin", disable=None), limit_bytes)
    text = io.StringIO(newline="")
    columns = dict.fromkeys(("id", "expected_quantity", "split", *rows[0].cells, *PLACE, *FACTS)) if rows else ()
    write_rows(text, list(columns), map(_row, bins, placed))
    write_whole(out / name, text.getvalue().encode())
    return len(bins)


def _row(listed: tuple[Row, LabelledBin], members: tuple[Member, Member | None]) -> dict[str, object]:
    row, one = listed
    image, metadata = members
    place = (image.archive.name, image.name, image.offset, image.size)
    record = (metadata.offset, metadata.size) if metadata else ("", "")
    facts = ("" if math.isnan(fact) else fact for fact in one.facts)
    own = {"id": one.id, "expected_quantity": one.count, "split": split_of(row)}
    return {
        **row.cells,
        **own,
        **dict(zip(PLACE, (*place, *record), strict=True)),
        **dict(zip(FACTS, facts, strict=True)),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Pack a prepared set into a few archives.")
    parser.add_argument("--data", type=Path, required=True, metavar="SET", help="set that training.prepare made")
    parser.add_argument("--out", type=Path, required=True, metavar="PACKED", help="folder for the archives")
    parser.add_argument("--megabytes", type=int, default=256, help="size of an archive")
    options = parser.parse_args(arguments)
    try:
        number = pack(options.data, options.out, options.megabytes * MEGABYTE)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"pack: {one_line(error)}")
    print(f"{number} images lie in {options.out}")


if __name__ == "__main__":
    main()
