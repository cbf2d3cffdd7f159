"""Packs a prepared set into a few archives, for sets of hundreds of thousands of images.

    python -m training.pack --data SET --out PACKED [--megabytes 256]

leaves

    PACKED/images-00000.tar …      the images, and the count of each (WebDataset's layout)
    PACKED/index.csv               as the set's, with the place of each image in its archive

`training.train --data PACKED` trains as on SET, with the same batches and figures. The metadata files stay in SET, so
`training.evaluate` needs SET for what it says of suspicion.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from inventory.alert_text import one_line
from inventory.spreadsheets import write_rows

from .data.archives import Member, write_archives
from .data.bins import SPLITS, LabelledBin, index_name, index_rows, read_bins
from .data.metadata import FACTS

COLUMNS = ("id", "expected_quantity", "split", "path", "member", "offset", "size", *FACTS)
MEGABYTE = 1_000_000


def pack(data: Path, out: Path, limit_bytes: int) -> int:
    """Write the archives of a set and their index, in the order of the set's index; returns the number of images.

    Raises FileNotFoundError when the set or one of its images is missing, ValueError when `out` is not empty.
    """
    if out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} is not empty: name another folder, or delete it")
    present = {row.cells["split"].strip().casefold() for row in index_rows(data)}
    bins = [(split, one) for split in SPLITS if split in present for one in read_bins(data, split)]
    out.mkdir(parents=True, exist_ok=True)
    images = ((one.id, one.count, one.image) for _, one in tqdm(bins, "images", unit="bin", disable=None))
    with (out / index_name()).open("w", newline="", encoding="utf-8") as file:
        members = write_archives(out, images, limit_bytes)
        write_rows(file, COLUMNS, (_row(*placed, member) for placed, member in zip(bins, members, strict=True)))
    return len(bins)


def _row(split: str, one: LabelledBin, member: Member) -> dict[str, object]:
    place = (member.archive.name, member.name, member.offset, member.size)
    facts = ("" if math.isnan(fact) else fact for fact in one.facts)
    return dict(zip(COLUMNS, (one.id, one.count, split, *place, *facts), strict=True))


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
