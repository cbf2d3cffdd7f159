"""The split of a set: which bins go to train, val and test, and whether the result can be trained on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .bins import SPLITS
from .candidates import Candidate
from .class_folders import OPEN_CLASS, class_name
from .grouping import assign, groups_of


@dataclass(frozen=True)
class SplitOptions:
    """How bins are split: by whole groups, at random bin by bin, or by each candidate's own `split` ("given").

    `fractions` are those of train, val and test and add up to 1; a given split ignores them.
    """

    kind: Literal["groups", "random", "given"] = "groups"
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1)
    seed: int = 0


@dataclass(frozen=True)
class PlannedBin:
    """A bin, its split, and the first id of its group."""

    bin: Candidate
    split: str
    group: str


def plan_splits(bins: Sequence[Candidate], options: SplitOptions) -> list[PlannedBin]:
    """Assign each bin to a split, in the order of `bins`."""
    groups = groups_of([one.id for one in bins], [one.items for one in bins])
    if options.kind == "given":
        splits = [one.split for one in bins]
    else:
        classes = np.array([min(one.count, OPEN_CLASS) for one in bins])
        units = np.arange(len(bins)) if options.kind == "random" else groups
        splits = assign(units, classes, options.fractions, options.seed)
    first: dict[int, str] = {}
    names = [first.setdefault(group, one.id) for one, group in zip(bins, groups.tolist(), strict=True)]
    return [PlannedBin(*row) for row in zip(bins, splits, names, strict=True)]


def require_bins(bins: Sequence[object], skipped: Mapping[str, str], outside: int) -> None:
    """Raise ValueError, with the commonest reasons, when no bin remains. `outside` bins have other counts."""
    if not bins:
        reasons = Counter(reason.split(":")[0] for reason in skipped.values()).most_common(3)
        summary = "".join(f"{number} skipped for {reason}, " for reason, number in reasons)
        advice = "check --source, --ids, --labels and --counts; skipped.csv has the reasons"
        raise ValueError(f"no bin remains ({summary}{outside} outside --counts): {advice}")


def require_splits(plan: Sequence[PlannedBin], options: SplitOptions) -> None:
    """Raise ValueError when a split is empty, or has a class that train does not have. A given split needs no test."""
    assigned = options.kind == "given"
    advice = (
        "correct --val-ids, or the split column of --labels"
        if assigned
        else "take more bins, other --fractions or another --seed"
    )
    shares = (1, 1, 0) if assigned else options.fractions
    required = [split for split, share in zip(SPLITS, shares, strict=True) if share > 0]
    classes = {split: {class_name(one.bin.count) for one in plan if one.split == split} for split in required}
    for split in required:
        if not classes[split]:
            groups = len({one.group for one in plan})
            raise ValueError(f"split {split} is empty ({len(plan)} bins in {groups} groups): {advice}")
    for split in required:
        if missing := ", ".join(sorted(classes[split] - classes["train"])):
            what = f"class {missing} occurs in {split} but not in train"
            raise ValueError(f"{what}: {advice}, or exclude it with --counts")
