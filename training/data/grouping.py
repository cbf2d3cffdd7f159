"""Which bins must stay in one split, and the split.

Neighbouring ids are often one bin before and after a pick or a stow, so a random split tests on bins of training.
"""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .bins import SPLITS

BLOCK_IDS = 50
ALIKE = 0.5
"""Jaccard similarity of items from which on two bins share most of them."""
COMMON_BINS = 200
"""An item in more bins than this is no sign of a relation, and its pairs would be too many to compare."""

Items = Mapping[str, int]
Integers = npt.NDArray[np.int64]
_NUMBERED = re.compile(r"(.*?)([0-9]+)", re.DOTALL)


def number_line(bin_id: str) -> tuple[tuple[str, int], int] | None:
    """The line of numbers that an id is on, and where; None for an id that ends in no number.

    A line is the text before the number and the number's width if it is zero-padded (else 0): ids are strings,
    and "00523" is no neighbour of "523" or "524".
    """
    parts = _NUMBERED.fullmatch(bin_id)
    if parts is None:
        return None
    prefix, digits = parts.groups()
    padded = digits[0] == "0" and len(digits) > 1
    return (prefix, len(digits) if padded else 0), int(digits)


def similarity(one: Items, other: Items) -> float:
    """Jaccard similarity of two multisets of items, 0..1; 0 when both are empty."""
    shared = sum(min(quantity, other.get(item, 0)) for item, quantity in one.items())
    together = sum(one.values()) + sum(other.values()) - shared
    return shared / together if together else 0.0


def alike_pairs(items: Sequence[Items]) -> Integers:
    """Positions (pairs, 2) of bins whose similarity is at least ALIKE, the smaller position first, in order.

    A bin of a single object is alike to none: popular items would chain most blocks of a large bucket together.
    """
    holders: dict[str, list[int]] = {}
    for position, held in enumerate(items):
        for item in held if sum(held.values()) > 1 else ():
            holders.setdefault(item, []).append(position)
    alike: list[tuple[int, int]] = []
    for position, held in enumerate(items):  # one bin at a time: all pairs of a large bucket do not fit in memory
        sharing = [holders[item] for item in held] if sum(held.values()) > 1 else []
        later = {j for bins in sharing if len(bins) <= COMMON_BINS for j in bins[bisect_right(bins, position) :]}
        alike += [(position, j) for j in sorted(later) if similarity(held, items[j]) >= ALIKE]
    return np.array(alike, np.int64).reshape(-1, 2)


def neighbour_pairs(ids: Sequence[str]) -> Integers:
    """Positions (pairs, 2) of bins whose ids follow each other on a number line."""
    places = {place: position for position, bin_id in enumerate(ids) if (place := number_line(bin_id))}
    pairs = [(i, places[line, number + 1]) for (line, number), i in places.items() if (line, number + 1) in places]
    return np.array(pairs, np.int64).reshape(-1, 2)


def groups_of(ids: Sequence[str], items: Sequence[Items]) -> Integers:
    """The group (n,) of each bin: bins of one block of BLOCK_IDS ids, or alike, or linked by such bins, share one.

    Groups are numbered in the order of their first bins. Bins without items are joined by their ids alone.
    """
    first_of: dict[object, int] = {}
    blocks = [
        first_of.setdefault((place[0], place[1] // BLOCK_IDS) if place else bin_id, position)
        for position, bin_id in enumerate(ids)
        for place in (number_line(bin_id),)
    ]
    links = np.concatenate((np.column_stack((np.arange(len(ids)), blocks)), alike_pairs(items)))
    graph = coo_array((np.ones(len(links)), links.T), shape=(len(ids), len(ids)))
    groups: Integers = connected_components(graph, directed=False)[1].astype(np.int64)
    return groups


def assign(groups: Integers, classes: Integers, fractions: Sequence[float], seed: int) -> list[str]:
    """The split of each bin (n,), whole groups going to one, so that `fractions` hold for every class (n,).

    `fractions` are of train, val and test; a split of fraction 0 gets none. Groups are dealt out greatest first, in
    an order that `seed` decides among equals, each to the split that brings the counts nearest to their targets
    (least chi-square). With every bin a group of its own this is the stratified random split.
    """
    wanted = [split for split in range(len(SPLITS)) if fractions[split] > 0]
    members = np.zeros((groups.max() + 1, classes.max() + 1))
    np.add.at(members, (groups, classes), 1)
    targets = np.outer([fractions[split] for split in wanted], np.maximum(members.sum(0), 1))
    filled = np.zeros_like(targets)
    split_of = np.empty(len(members), np.int64)
    shuffled = np.random.default_rng(seed).permutation(len(members))
    for group in shuffled[np.argsort(-members[shuffled].sum(1), kind="stable")]:
        added = members[group]
        chosen = np.argmin((added * (2 * (filled - targets) + added) / targets).sum(1))
        filled[chosen] += added
        split_of[group] = wanted[chosen]
    return [SPLITS[split] for split in split_of[groups]]
