"""Makes a training set of bins in the inbox layout; the entry point of the processing job.

    python -m training.prepare --source FOLDER --out SET
    python -m training.prepare --source s3://aft-vbi-pds --ids udacity_file_list.json --counts 1-5 --out SET

leaves

    SET/<split>/<class>/<id>.jpg   class "00" to "09" or "10+": torchvision's ImageFolder reads each split
    SET/index.csv                  a row per bin (COLUMNS), which training.data.bins.read_bins reads
    SET/metadata/<id>.json         as in the source
    SET/skipped.csv                id and reason of every bin that could not be used
    SET/report.html, report.json   what is in the set (training.data_report)
    SET/options.json               the options it was made with

or, with --archives 256, images and metadata in archives of 256 MB, with their places in index.csv (training.pack).

The label is the recorded EXPECTED_QUANTITY, unless --labels has another. The same command continues a killed run:
files in SET are not fetched again, and another split only moves them.

With --shard 2/4 this is the second of four machines. All read the metadata, make the same split and fetch a quarter of
the images each. Their files together are the set; index-002-of-004.csv and skipped-002-of-004.csv belong to one
machine. `training.data_report` writes the report of the whole set.
"""

import argparse
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from inventory.alert_text import one_line
from model.images import MIN_SIDE

from .data.bins import index_name
from .data.candidates import Candidate, CandidateReader, draw_bins
from .data.class_folders import images_in, remove_others
from .data.labels import Labels, read_ids, read_labels, read_val_ids
from .data.prepared_set import ImagePlacer, claim_folder, write_index, write_skipped
from .data.sources import METADATA_FOLDER, BinFiles, Source, list_bins, named_bins, open_source
from .data.splitting import SplitOptions, plan_splits, require_bins, require_splits
from .data.usable import map_usable
from .data_report import write_report
from .pack import MEGABYTE, pack
from .report.terminal import print_tables

PROCESSING = Path("/opt/ml/processing")
"""Where SageMaker puts a processing job's input, and takes its output from."""


@dataclass(frozen=True)
class PrepareOptions:
    """The options of a set. `counts` is a range with both ends included; `archives` have so many megabytes, None keeps
    files; `shard` is (k, n), the k-th of n machines."""

    source: str
    out: Path
    ids: Path | None = None
    labels: Path | None = None
    val_ids: Path | None = None
    counts: tuple[int, int] | None = None
    limit: int | None = None
    split: SplitOptions = field(default_factory=SplitOptions)
    size: int | None = None
    archives: int | None = None
    shard: tuple[int, int] = (1, 1)
    jobs: int = 2
    json: bool = False

    def record(self) -> dict[str, Any]:
        """What options.json records: all that decides the content of the set."""
        which = {name: getattr(self, name) for name in ("source", "out", "ids", "labels", "val_ids", "counts", "limit")}
        split = {"split": self.split.kind, "fractions": self.split.fractions, "seed": self.split.seed}
        return {**which, **split, "size": self.size, "shares": self.shard[1]}


def parse_options(arguments: Sequence[str] | None = None) -> PrepareOptions:
    """The options of a command line. In a processing job --source and --out have defaults."""
    parser = _parser()
    values = vars(parser.parse_args(arguments))
    kind, seed = values.pop("split"), values.pop("seed")
    train, val, test = values.pop("fractions")
    if min(train, val, test) < 0 or train == 0 or not math.isclose(train + val + test, 1):
        parser.error("--fractions must add up to 1, none below 0 and the first above: 0.8 0.1 0.1")
    if values["val_ids"]:
        kind = "given"
    elif kind == "given" and not values["labels"]:
        parser.error("--split given takes the split from --labels: name the CSV")
    if values["archives"] is not None and values["archives"] < 1:
        parser.error("--archives must be 1 or more megabytes")
    if values["size"] is not None and values["size"] < MIN_SIDE:
        parser.error(f"--size must be {MIN_SIDE} or more: smaller images are refused")
    return PrepareOptions(**values, split=SplitOptions(kind, (train, val, test), seed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Make a training set of bins in the inbox layout.")
    in_job = (PROCESSING / "input").is_dir()
    if in_job:
        parser.set_defaults(source=str(PROCESSING / "input"), out=PROCESSING / "output")
    where = parser.add_argument_group("where")
    where.add_argument("--source", required=not in_job, help="folder or s3://bucket[/prefix] in the inbox layout")
    where.add_argument("--out", type=Path, required=not in_job, metavar="SET", help="folder for the set")
    which = parser.add_argument_group("which bins")
    which.add_argument("--ids", type=Path, help='only these: JSON like {"1": ["data/metadata/100313.json", ...], ...}')
    which.add_argument("--labels", type=Path, help="CSV with id, expected_quantity and optionally split")
    which.add_argument("--counts", type=_count_range, metavar="0-5", help="only bins of so many objects")
    which.add_argument("--limit", type=int, help="at most so many bins, drawn by the seed: a quick try")
    split = parser.add_argument_group("split")
    help_text = "whole groups of related bins; bin by bin, which leaks; or the split column of --labels"
    split.add_argument("--split", choices=("groups", "random", "given"), default="groups", help=help_text)
    split.add_argument(
        "--val-ids", type=Path, metavar="FILE", help="an id on each line: these bins are val, all others train"
    )
    split.add_argument("--fractions", type=float, nargs=3, default=[0.8, 0.1, 0.1], metavar=("TRAIN", "VAL", "TEST"))
    split.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=int, help="resize images to this many pixels a side; default: keep the files")
    parser.add_argument(
        "--archives", type=int, metavar="MB", help="put images and metadata into archives of so many megabytes"
    )
    parser.add_argument(
        "--shard", type=_shard, default=(1, 1), metavar="K/N", help="the K-th of N machines that share the images"
    )
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="files read at once")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    return parser


def _count_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    high = high or low
    if not (low.isdecimal() and high.isdecimal() and int(low) <= int(high)):
        raise argparse.ArgumentTypeError(f"{text!r} is no range of counts such as 0-5")
    return int(low), int(high)


def _shard(text: str) -> tuple[int, int]:
    number, _, total = text.partition("/")
    if not (number.isdecimal() and total.isdecimal() and 1 <= int(number) <= int(total)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 2/4")
    return int(number), int(total)


def prepare(options: PrepareOptions) -> dict[str, Any]:
    """Make the set; returns its report (of a shard: how many bins it placed) and how many bins are excluded.

    Raises FileNotFoundError, ValueError or ConnectionError, each with advice.
    """
    return _prepare_archives(options) if options.archives else _prepare_files(options)


def _prepare_archives(options: PrepareOptions) -> dict[str, Any]:
    """Make the set as files in a folder beside its own, where a killed run continues, then pack them and remove it."""
    files, index = options.out.with_name(f"{options.out.name}.files"), options.out / index_name(*options.shard)
    if index.is_file():
        raise ValueError(f"{index} is there: this set is made already; name another folder or delete it")
    summary = _prepare_files(replace(options, out=files, archives=None))
    pack(files, options.out, (options.archives or 0) * MEGABYTE, options.shard)
    for path in (path for path in files.iterdir() if path.is_file() and path.name != index.name):
        shutil.copy(path, options.out)
    shutil.rmtree(files)
    return summary | {"out": str(options.out)}


def _prepare_files(options: PrepareOptions) -> dict[str, Any]:
    started = time.monotonic()
    source = open_source(options.source, options.jobs)
    found, others = (named_bins(read_ids(options.ids)), {}) if options.ids else list_bins(source)
    labels = read_labels(options.labels, [one.id for one in found]) if options.labels else Labels()
    claim_folder(options.out, options.record())
    val_ids = read_val_ids(options.val_ids) if options.val_ids else None
    reader = CandidateReader(source, labels, options.out / METADATA_FOLDER, options.split.kind == "given", val_ids)
    files = {one.id: one for one in draw_bins(found, options.limit, options.split.seed)}
    candidates, skipped = map_usable(reader.read, files, "metadata", options.jobs)
    used = sum(one.id in labels.labels for one in candidates)
    skipped = {**others, **skipped}
    write_skipped(options.out, options.shard, skipped)
    low, high = options.counts or (0, math.inf)
    bins = [one for one in candidates if low <= one.count <= high]
    outside = len(candidates) - len(bins)
    require_bins(bins, skipped, outside)
    report = _place_images(source, files, bins, skipped, outside, options)
    seconds = round(time.monotonic() - started, 1)
    listed = {
        "used": used,
        "recorded": len(candidates) - used,
        "faults": list(labels.faults.values()),
        "unmatched": labels.matches.advice(),
    }
    return {
        "out": str(options.out),
        "seconds": seconds,
        "skipped": len(skipped),
        "outside_counts": outside,
        **({"labels": listed} if options.labels else {}),
        **report,
    }


def _place_images(
    source: Source,
    files: Mapping[str, BinFiles],
    bins: Sequence[Candidate],
    skipped: dict[str, str],
    outside: int,
    options: PrepareOptions,
) -> dict[str, Any]:
    """Split `bins`, place this machine's images and write the index; returns the report. Adds to `skipped`."""
    plan = plan_splits(bins, options.split)
    require_splits(plan, options.split)
    number, total = options.shard
    own = plan[len(plan) * (number - 1) // total : len(plan) * number // total]
    placer = ImagePlacer(source, files, options.out, options.size, images_in(options.out))
    placed, unusable = map_usable(placer.place, {one.bin.id: one for one in own}, "images", options.jobs)
    skipped |= unusable
    write_skipped(options.out, options.shard, skipped)
    remaining = [one for one in plan if one.bin.id not in skipped]
    require_bins(remaining, skipped, outside)
    require_splits(remaining, options.split)
    write_index(options.out / index_name(number, total), placed)
    remove_others(options.out, {one.path for one in placed})
    if total > 1:
        return {"bins": len(placed), "of": len(plan)}
    return write_report(options.out, options.split.seed)


def print_summary(summary: Mapping[str, Any]) -> None:
    """Print the bins of each split and class as a table, and what else to know in a few lines."""
    table = Table("split", *summary["classes"], "bins", title=f"{summary['bins']} bins in {summary['out']}")
    for split, row in summary["counts"].items():
        table.add_row(split, *(str(row[name]) for name in summary["classes"]), str(sum(row.values())))
    print_tables(table)
    groups = summary["groups"]
    print(f"{groups['number']} groups of related bins; the largest holds {groups['greatest_share']:.0%} of all")
    if labels := summary.get("labels"):
        print(f"{labels['used']} labels of --labels used; {labels['recorded']} bins keep their recorded quantity")
    print(f"{summary['skipped']} bins skipped, see skipped.csv; {summary['outside_counts']} outside --counts")
    print(f"{summary['seconds']:.0f} s; the data report is {Path(summary['out'], 'report.html')}")


def warnings_of(summary: Mapping[str, Any], split: str) -> Iterator[str]:
    """What a person should know before training on the set."""
    if labels := summary.get("labels"):
        if labels["unmatched"]:
            yield f"in --labels {labels['unmatched']}"
        if faults := labels["faults"]:
            yield f"{len(faults)} labels cannot be used, such as: {faults[0]}"
    if "counts" not in summary:  # one machine of several
        return
    if split == "random":
        yield "a random split separates neighbours, so val and test figures will be too good: see leakage in the report"
    for name, row in summary["counts"].items():
        if missing := ", ".join(label for label, number in row.items() if not number):
            yield f"{name} has no class {missing}, so ImageFolder numbers its classes unlike train's"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parse_options(arguments)
    try:
        summary = prepare(options)
    except ConnectionError as error:
        raise SystemExit(f"{one_line(error)}; the same command continues where this one stopped") from error
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(one_line(error)) from error
    whole = options.shard[1] == 1
    for warning in warnings_of(summary, options.split.kind):
        print(f"warning: {one_line(warning)}", file=sys.stderr)
    if options.json or not whole:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(summary)


if __name__ == "__main__":
    main()
