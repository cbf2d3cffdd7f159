"""Candidates for a set: what is known of each bin before its image is read."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .class_folders import write_whole
from .grouping import Items
from .labels import Label
from .metadata import FACTS, parse_record
from .sources import Source, read_metadata
from .usable import UnusableBin, fetch


@dataclass(frozen=True)
class Candidate:
    """A bin with its label, its items and its FACTS (NaN where unknown). `split` is empty where no list assigns one."""

    id: str
    count: int
    split: str
    items: Items
    facts: tuple[float, ...]


@dataclass(frozen=True)
class CandidateReader:
    """Reads candidates from `source`. `labels` override the recorded quantity; metadata files are kept in `folder`."""

    source: Source
    labels: Mapping[str, Label]
    folder: Path
    split_required: bool

    def read(self, bin_id: str) -> Candidate:
        """The candidate with this id. Raises UnusableBin when it has no label, no required split or broken metadata."""
        label = self.labels.get(bin_id)
        split = label.split if label else ""
        if self.split_required and not split:
            raise UnusableBin("no split in --labels")
        kept = self.folder / f"{bin_id}.json"
        data = kept.read_bytes() if kept.is_file() else fetch(read_metadata, self.source, bin_id)
        if data is None:
            if label is None:
                raise UnusableBin("missing metadata and no label")
            return Candidate(bin_id, label.count, split, {}, (math.nan,) * len(FACTS))
        try:
            record = parse_record(data)
        except ValueError as error:
            raise UnusableBin(f"malformed metadata: {error}") from error
        if not kept.is_file():
            write_whole(kept, data)
        return Candidate(bin_id, label.count if label else record.count, split, record.items, record.facts)


def draw_ids(ids: Sequence[str], limit: int | None, seed: int) -> list[str]:
    """At most `limit` ids, drawn without replacement, in their original order; all of them without a limit."""
    if not limit or limit >= len(ids):
        return list(ids)
    chosen = np.random.default_rng(seed).choice(len(ids), limit, replace=False)
    return [ids[position] for position in sorted(chosen)]
