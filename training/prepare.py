"""Makes a training set of bins in the inbox layout; the entry point of the processing job.

    python -m training.prepare --source FOLDER --out SET
    python -m training.prepare --source s3://aft-vbi-pds --ids udacity_file_list.json --counts 1-5 --out SET

leaves

    SET/<split>/<class>/<id>.jpg   class "00" to "09" or "10+": torchvision's ImageFolder reads each split
    SET/index.csv                  a row per bin (COLUMNS), which training.data.bins.read_bins reads
    SET/metadata/<id>.json         as in the source
    SET/skipped.csv                id and reason of every bin that could not be used
    SET/report.html, report.json   what is in the set (training.data_report)
    SET/options.json               how it was made

The label is the recorded EXPECTED_QUANTITY, unless --labels says otherwise. A killed run goes on when the same command
is given again: what lies in SET is not fetched again, and another split only moves it.

With --shard 2/4, the second of four machines. All read the metadata, make the same split and fetch a quarter of the
images each; their files together are the set, and index-002-of-004.csv and skipped-002-of-004.csv are one machine's.
`training.data_report` writes the report of the whole.
"""

import argparse
import csv
import io
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from model.images import RejectedImage

from .data.bins import FACTS, METADATA_FOLDER, SPLITS, index_name
from .data.class_folders import (
    OPEN_CLASS,
    Size,
    class_name,
    images_in,
    original_size,
    put,
    remove_others,
    write_whole,
)
from .data.grouping import Items, assign, groups_of
from .data.labels import Label, read_ids, read_labels
from .data.metadata import parse_record
from .data.sources import Source, ids_in, open_source, read_image, read_metadata
from .data_report import write_report

PROCESSING = Path("/opt/ml/processing")
"""Where SageMaker puts a processing job's input, and takes its output from."""
COLUMNS = ("id", "expected_quantity", "split", "group", "path", "width", "height", *FACTS)
Thing = TypeVar("Thing")
Result = TypeVar("Result")


class Unusable(Exception):
    """A bin cannot be part of the set; the message says why, what differs from bin to bin after a colon."""


@dataclass(frozen=True)
class Known:
    """What is known of a bin before its image: label, items, FACTS (NaN where unknown), and its split if given."""

    id: str
    count: int
    split: str
    items: Items
    facts: tuple[float, ...]


@dataclass(frozen=True)
class Planned:
    """A bin, the split that it goes to, and the first id of its group."""

    bin: Known
    split: str
    group: str


@dataclass(frozen=True)
class Placed:
    """A bin that is in the set: where its image lies, and the size of the original in pixels."""

    plan: Planned
    path: Path
    size: Size


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line. In a processing job --source and --out have their places."""
    parser = argparse.ArgumentParser(description="Make a training set of bins in the inbox layout.")
    in_job = (PROCESSING / "input").is_dir()
    places = {"source": str(PROCESSING / "input"), "out": PROCESSING / "output"} if in_job else {}
    parser.set_defaults(**places)
    where = parser.add_argument_group("where")
    where.add_argument("--source", required=not in_job, help="folder or s3://bucket[/prefix] in the inbox layout")
    where.add_argument("--out", type=Path, required=not in_job, metavar="SET", help="folder for the set")
    which = parser.add_argument_group("which bins")
    which.add_argument("--ids", type=Path, help='only these: JSON like {"1": ["data/metadata/100313.json", ...], ...}')
    which.add_argument("--labels", type=Path, help="CSV with id, expected_quantity and, if need be, split")
    which.add_argument("--counts", type=_count_range, metavar="0-5", help="only bins of so many objects")
    which.add_argument("--limit", type=int, help="at most so many bins, drawn by the seed: a quick try")
    split = parser.add_argument_group("split")
    help_text = "whole groups of kindred bins; bin by bin, which leaks; or as --labels says"
    split.add_argument("--split", choices=("groups", "random", "given"), default="groups", help=help_text)
    split.add_argument("--fractions", type=float, nargs=3, default=[0.8, 0.1, 0.1], metavar=("TRAIN", "VAL", "TEST"))
    split.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--size", type=int, help="resize images to this many pixels a side; else files stay as they are"
    )
    parser.add_argument(
        "--shard", type=_share, default=(1, 1), metavar="K/N", help="the K-th of N machines that share the images"
    )
    parser.add_argument("--jobs", type=int, default=2 * (os.cpu_count() or 1), help="files read at once")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    options = parser.parse_args(arguments)
    if min(options.fractions) < 0 or options.fractions[0] == 0 or not math.isclose(sum(options.fractions), 1):
        parser.error("--fractions must add up to 1, none below 0 and the first above: 0.8 0.1 0.1")
    if options.split == "given" and not options.labels:
        parser.error("--split given takes the split from --labels: name the CSV")
    return options


def _count_range(text: str) -> list[int]:
    low, _, high = text.partition("-")
    try:
        return [int(low), int(high or low)]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no range of counts such as 0-5") from None


def _share(text: str) -> tuple[int, int]:
    share, _, shares = text.partition("/")
    if not (share.isdecimal() and shares.isdecimal() and 1 <= int(share) <= int(shares)):
        raise argparse.ArgumentTypeError(f"{text!r} is no share such as 2/4")
    return int(share), int(shares)


def prepare(options: argparse.Namespace) -> dict[str, Any]:
    """Make the set that `options` describes; returns what its report says (not of a share), and how much was left out.

    Raises FileNotFoundError, ValueError or ConnectionError with the cure.
    """
    started = time.monotonic()
    labels = read_labels(options.labels) if options.labels else {}
    source = open_source(options.source, options.jobs)
    _claim(options)
    ids = read_ids(options.ids) if options.ids else ids_in(source)
    if options.limit and options.limit < len(ids):
        drawn = np.random.default_rng(options.seed).choice(len(ids), options.limit, replace=False)
        ids = [ids[position] for position in sorted(drawn)]

    skipped: dict[str, str] = {}
    look_up = partial(_look_up, source, labels, options)
    known = _usable(look_up, {bin_id: bin_id for bin_id in ids}, "metadata", skipped, options)
    low, high = options.counts or (0, math.inf)
    bins = [one for one in known if low <= one.count <= high]
    outside = len(known) - len(bins)
    _require_bins(bins, skipped, outside)
    plan = _plan(bins, options)
    _require_splits(plan, options)

    share, shares = options.shard
    ours = plan[len(plan) * (share - 1) // shares : len(plan) * share // shares]
    place = partial(_place, source, images_in(options.out), options)
    placed = _usable(place, {one.bin.id: one for one in ours}, "images", skipped, options)
    left = [one for one in plan if one.bin.id not in skipped]
    _require_bins(left, skipped, outside)
    _require_splits(left, options)
    _write_index(options.out / index_name(share, shares), placed)
    remove_others(options.out, {one.path for one in placed})
    report = write_report(options.out, options.seed) if shares == 1 else {"bins": len(placed), "of": len(plan)}
    seconds = round(time.monotonic() - started, 1)
    return {"out": str(options.out), "seconds": seconds, "skipped": len(skipped), "outside_counts": outside, **report}


def _claim(options: argparse.Namespace) -> None:
    """Take --out for this set, or raise ValueError when it holds something else."""
    out, marker = options.out, options.out / "options.json"
    asked = {name: value for name, value in vars(options).items() if name not in ("jobs", "json", "shard")}
    asked["shares"] = options.shard[1]
    if marker.is_file():
        before = {"shares": 1} | json.loads(marker.read_text())
        if any(before[name] != asked[name] for name in ("source", "size", "shares")):
            made = f"--source {before['source']}, --size {before['size']} and {before['shares']} machines"
            raise ValueError(f"{out} holds images made with {made}: name another folder or delete it")
    elif out.is_dir() and any(out.iterdir()):
        raise ValueError(f"{out} holds files that are no prepared set: name another folder")
    (out / METADATA_FOLDER).mkdir(parents=True, exist_ok=True)
    write_whole(marker, (json.dumps(asked, default=str, indent=2) + "\n").encode())


def _usable(
    work: Callable[[Thing], Result],
    things: Mapping[str, Thing],
    title: str,
    skipped: dict[str, str],
    options: argparse.Namespace,
) -> list[Result]:
    """What `work` makes of each thing, in order; the ids of those it finds Unusable go to `skipped` with the reason."""

    def attempt(thing: Thing) -> Result | Unusable:
        try:
            return work(thing)
        except Unusable as reason:
            return reason

    results: list[Result] = []
    with ThreadPoolExecutor(options.jobs) as pool:
        try:
            done = tqdm(pool.map(attempt, things.values()), title, len(things), unit="bin")
            for bin_id, result in zip(things, done, strict=True):
                if isinstance(result, Unusable):
                    skipped[bin_id] = str(result)
                else:
                    results.append(result)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    name = index_name(*options.shard).replace("index", "skipped")
    with (options.out / name).open("w", newline="") as file:
        csv.writer(file).writerows([("id", "reason"), *sorted(skipped.items())])
    return results


def _look_up(source: Source, labels: Mapping[str, Label], options: argparse.Namespace, bin_id: str) -> Known:
    """The label and items of a bin, its metadata kept in the set."""
    kept = options.out / METADATA_FOLDER / f"{bin_id}.json"
    label = labels.get(bin_id)
    split = label.split if label else ""
    if options.split == "given" and not split:
        raise Unusable("no split in --labels")
    data = kept.read_bytes() if kept.is_file() else _fetch(read_metadata, source, bin_id)
    if data is None and label is None:
        raise Unusable("missing metadata and no label")
    if data is None:
        return Known(bin_id, label.count, split, {}, (math.nan,) * len(FACTS))
    try:
        record = parse_record(data)
    except ValueError as error:
        raise Unusable(f"malformed metadata: {error}") from error
    if not kept.is_file():
        write_whole(kept, data)
    return Known(bin_id, label.count if label else record.count, split, record.items, record.facts)


def _fetch(read: Callable[[Source, str], bytes | None], source: Source, bin_id: str) -> bytes | None:
    try:
        return read(source, bin_id)
    except ConnectionError:
        raise
    except OSError as error:
        raise Unusable(f"unreadable file: {error}") from error


def _plan(bins: Sequence[Known], options: argparse.Namespace) -> list[Planned]:
    groups = groups_of([one.id for one in bins], [one.items for one in bins])
    if options.split == "given":
        splits = [one.split for one in bins]
    else:
        classes = np.array([min(one.count, OPEN_CLASS) for one in bins])
        dealt = np.arange(len(bins)) if options.split == "random" else groups
        splits = assign(dealt, classes, options.fractions, options.seed)
    first: dict[int, str] = {}
    names = [first.setdefault(group, one.id) for one, group in zip(bins, groups.tolist(), strict=True)]
    return [Planned(*one) for one in zip(bins, splits, names, strict=True)]


def _require_bins(bins: Sequence[object], skipped: Mapping[str, str], outside: int) -> None:
    if not bins:
        reasons = Counter(reason.split(":")[0] for reason in skipped.values()).most_common(3)
        told = "".join(f"{number} skipped for {reason}, " for reason, number in reasons)
        cure = "check --source, --ids, --labels and --counts; skipped.csv has the reasons"
        raise ValueError(f"no bin is left ({told}{outside} outside --counts): {cure}")


def _require_splits(plan: Sequence[Planned], options: argparse.Namespace) -> None:
    """Raises ValueError when a split is empty, or has a class that train has not."""
    given = options.split == "given"
    cure = "correct the split column of --labels" if given else "take more bins, other --fractions or another --seed"
    wanted = [split for split, share in zip(SPLITS, options.fractions, strict=True) if given or share > 0]
    classes = {split: {class_name(one.bin.count) for one in plan if one.split == split} for split in wanted}
    for split in wanted:
        if not classes[split]:
            groups = len({one.group for one in plan})
            raise ValueError(f"split {split} is empty ({len(plan)} bins in {groups} groups): {cure}")
    for split in wanted:
        if unlearnt := ", ".join(sorted(classes[split] - classes["train"])):
            what = f"class {unlearnt} occurs in {split} but not in train"
            raise ValueError(f"{what}: {cure}, or leave it out with --counts")


def _place(source: Source, there: Mapping[str, Path], options: argparse.Namespace, plan: Planned) -> Placed:
    """Put a bin's image where it belongs."""
    folder = options.out / plan.split / class_name(plan.bin.count)
    folder.mkdir(parents=True, exist_ok=True)
    if before := there.get(plan.bin.id):
        path = before.replace(folder / before.name)
        return Placed(plan, path, original_size(path, resized=options.size is not None))
    data = _fetch(read_image, source, plan.bin.id)
    if data is None:
        raise Unusable("missing image")
    try:
        return Placed(plan, *put(data, folder, plan.bin.id, options.size))
    except RejectedImage as error:
        raise Unusable(f"corrupt image: {error}") from error


def _write_index(index: Path, placed: Sequence[Placed]) -> None:
    text = io.StringIO(newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for one in placed:
        known, path = one.plan.bin, one.path.relative_to(index.parent).as_posix()
        facts = ("" if math.isnan(fact) else round(fact, 4) for fact in known.facts)
        rows.writerow((known.id, known.count, one.plan.split, one.plan.group, path, *one.size, *facts))
    write_whole(index, text.getvalue().encode())


def print_summary(summary: Mapping[str, Any]) -> None:
    """Bins per split and class as a table, and in a few lines what else to know."""
    table = Table("split", *summary["classes"], "bins", title=f"{summary['bins']} bins in {summary['out']}")
    for split, row in summary["counts"].items():
        table.add_row(split, *(str(row[name]) for name in summary["classes"]), str(sum(row.values())))
    console = Console()
    console.print(table)
    groups = summary["groups"]
    print(f"{groups['number']} groups of kindred bins; the greatest holds {groups['greatest_share']:.0%} of all")
    print(f"{summary['skipped']} bins skipped, see skipped.csv; {summary['outside_counts']} outside --counts")
    print(f"{summary['seconds']:.0f} s; the data report is {Path(summary['out'], 'report.html')}")


def warnings_of(summary: Mapping[str, Any], split: str) -> Iterator[str]:
    """What a person should know before training on the set."""
    if split == "random":
        yield "a random split parts neighbours, so figures on val and test will be too good: see leakage in the report"
    for name, row in summary["counts"].items():
        if lacking := ", ".join(label for label, number in row.items() if not number):
            yield f"{name} has no class {lacking}, so ImageFolder numbers its classes unlike train's"


def main(arguments: list[str] | None = None) -> None:
    """Command line: see the module's docstring."""
    options = parse_options(arguments)
    try:
        summary = prepare(options)
    except ConnectionError as error:
        raise SystemExit(f"{error}; the same command goes on where this one stopped") from error
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    whole = options.shard[1] == 1
    for warning in warnings_of(summary, options.split) if whole else ():
        print(f"warning: {warning}", file=sys.stderr)
    if options.json or not whole:
        print(json.dumps(summary, indent=2))
    else:
        print_summary(summary)


if __name__ == "__main__":
    main()
