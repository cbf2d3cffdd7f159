"""Consecutive photographs of one bin, before and after a pick or a stow: neighbouring ids that share their objects."""

from collections.abc import Sequence
from dataclasses import dataclass

from .bins import LabelledBin
from .grouping import Items, neighbour_pairs
from .metadata import parse_record

LEAST_COMMON = 0.5
"""The least share of common objects with which neighbouring ids are taken for one bin."""


@dataclass(frozen=True)
class Pair:
    """Two photographs of one bin, as positions in a list of bins, and the recorded quantity of each item in both.

    `made`: the last photograph is a variation of the other, so nothing has changed, and no items are given.
    """

    last: int
    now: int
    last_items: Items
    now_items: Items
    made: bool = False


def common_share(one: Items, other: Items) -> float:
    """The share, 0 to 1, of the objects of the fuller record that the other has too; 0 when both are empty."""
    common = sum(min(quantity, other.get(item, 0)) for item, quantity in one.items())
    return common / max(sum(one.values()), sum(other.values()), 1)


def consecutive_pairs(bins: Sequence[LabelledBin]) -> list[Pair]:
    """Every pair of `bins` that are photographs of one bin, in both directions: a stow is a pick in reverse.

    Bins without metadata are in no pair. Raises RejectedUpload when metadata cannot be read.
    """
    items = [parse_record(one.metadata.read_bytes(), one.id).items if one.metadata else {} for one in bins]
    neighbours = neighbour_pairs([one.id for one in bins]).tolist()
    alike = [(i, j) for i, j in neighbours if common_share(items[i], items[j]) >= LEAST_COMMON]
    return [Pair(last, now, items[last], items[now]) for i, j in alike for last, now in ((i, j), (j, i))]
