"""Candidates for a set: what is known of each bin before its image is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inventory.bins import is_file_name
from inventory.errors import RejectedUpload

from .class_folders import write_whole
from .grouping import Items
from .labels import Labels
from .metadata import UNKNOWN, parse_record
from .sources import BinFiles, Source
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
    """Reads candidates from `source`. `labels` override the recorded quantity; metadata files are kept in `folder`.

    With `val_ids` these bins are val and all others train, whatever `labels` say.
    """

    source: Source
    labels: Labels
    folder: Path
    split_required: bool
    val_ids: frozenset[str] | None = None

    def read(self, files: BinFiles) -> Candidate:
        """The candidate with these files.

        Raises UnusableBin when it has no label, no required split, or a label or a record that cannot be read; a record
        only when it is needed.
        """
        bin_id = files.id
        if not is_file_name(f"{bin_id}.json"):
            raise UnusableBin("no file can have its name")
        if fault := self.labels.faults.get(bin_id):
            raise UnusableBin(f"unusable label: {fault}")
        label = self.labels.labels.get(bin_id)
        split = label.split if label else ""
        if self.val_ids is not None:
            split = "val" if bin_id in self.val_ids else "train"
        if self.split_required and not split:
            raise UnusableBin("no split in --labels")
        kept = self.folder / f"{bin_id}.json"
        data = kept.read_bytes() if kept.is_file() else fetch(self.source, files.metadata)
        if data is None:
            if label is None:
                raise UnusableBin("missing metadata and no label")
            return Candidate(bin_id, label.count, split, {}, UNKNOWN)
        try:
            record = parse_record(data, f"metadata/{bin_id}.json")
        except RejectedUpload as error:
            if label is None:
                raise UnusableBin(f"malformed metadata: {error}") from error
            return Candidate(bin_id, label.count, split, {}, UNKNOWN)
        if not kept.is_file():
            write_whole(kept, data)
        return Candidate(bin_id, label.count if label else record.count, split, record.items, record.facts)


def draw_bins(bins: Sequence[BinFiles], limit: int | None, seed: int) -> list[BinFiles]:
    """At most `limit` bins, drawn without replacement, in their original order; all of them without a limit."""
    if not limit or limit >= len(bins):
        return list(bins)
    chosen = np.random.default_rng(seed).choice(len(bins), limit, replace=False)
    return [bins[position] for position in sorted(chosen)]
