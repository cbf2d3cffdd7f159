"""Figures of a prepared set: its counts, quantities, groups, items, image sizes and leakage."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from tqdm import tqdm

from model.images import decode, resize

from ..data.bins import LABELS, training_label
from ..data.class_folders import class_name
from ..data.grouping import Integers, alike_pairs, neighbour_pairs
from ..data.members import Member, splits_of

NORMALISATION_SIZE = 224
REPEATED_ITEMS = 10
TAIL = (10, 20, 50, 100)
"""Quantities from which on the bins of the tail are counted."""


def class_counts(members: Sequence[Member], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """The number of bins of each class in each split."""
    counted = Counter((one.split, class_name(one.count)) for one in members)
    return {split: {name: counted[split, name] for name in classes} for split in splits_of(members)}


def label_shares(train: Sequence[Member]) -> dict[str, float]:
    """The share of each label that the endpoint answers, in train."""
    labels = training_label(np.array([one.count for one in train], np.int64), len(LABELS))
    shares = np.bincount(labels, minlength=len(LABELS)) / len(train)
    return dict(zip(LABELS, shares.round(4).tolist(), strict=True))


def quantities(members: Sequence[Member]) -> dict[str, Any]:
    """The recorded quantities of all bins: mean, spread, the share below ten objects, and the tail above.

    `by_quantity` has the number of bins of each quantity, `tail` those of at least so many objects, `mean_of_split` the
    mean of each split.
    """
    counts = np.array([one.count for one in members])
    return {
        "mean": round(float(counts.mean()), 3),
        "median": float(np.median(counts)),
        "greatest": int(counts.max()),
        "share_below_ten": round(float(np.mean(counts < 10)), 4),
        "tail": {str(least): int(np.sum(counts >= least)) for least in TAIL},
        "by_quantity": {str(count): bins for count, bins in sorted(Counter(counts.tolist()).items())},
        "mean_of_split": {
            split: round(float(np.mean([one.count for one in members if one.split == split])), 3)
            for split in splits_of(members)
        },
    }


def group_sizes(members: Sequence[Member]) -> dict[str, Any]:
    """How many groups of related bins there are, and how large the largest ones are."""
    sizes = sorted(Counter(one.group for one in members).values(), reverse=True)
    return {"number": len(sizes), "greatest_share": round(sizes[0] / len(members), 4), "greatest": sizes[:10]}


def item_repeats(members: Sequence[Member]) -> dict[str, Any]:
    """How often items repeat. Bins without metadata do not count."""
    holders = Counter(item for one in members for item in one.items)
    recorded = [one for one in members if one.items]
    return {
        "bins_with_items": len(recorded),
        "distinct": len(holders),
        "in_more_than_one_bin": sum(bins > 1 for bins in holders.values()),
        "most_repeated": dict(holders.most_common(REPEATED_ITEMS)),
        "bins_holding_an_item": {str(bins): items for bins, items in sorted(Counter(holders.values()).items())},
        "label_is_not_the_sum": sum(one.count != sum(one.items.values()) for one in recorded),
    }


def image_sizes(members: Sequence[Member]) -> dict[str, Any]:
    """(width, height) in pixels of the original images: how many sizes there are, and their spread."""
    sizes = np.array([one.size for one in members])
    spread = {"least": sizes.min(0), "median": np.median(sizes, 0), "greatest": sizes.max(0)}
    return {
        "distinct": len(np.unique(sizes, axis=0)),
        **{name: two.astype(int).tolist() for name, two in spread.items()},
    }


def normalisation(members: Sequence[Member]) -> dict[str, Any]:
    """Mean and standard deviation of each channel, pixels scaled to 0..1, of images as the network sees them."""
    sums = np.zeros((2, 3))
    for one in tqdm(members, "normalisation", unit="bin", disable=None):
        pixels = resize(decode(one.image.read_bytes()), NORMALISATION_SIZE).reshape(-1, 3) / 255
        sums += pixels.mean(0), (pixels**2).mean(0)
    mean, square = sums / len(members)
    std = np.sqrt(square - mean**2)
    return {"pictures": len(members), "mean": mean.round(4).tolist(), "std": std.round(4).tolist()}


def leakage(members: Sequence[Member]) -> dict[str, Any]:
    """Pairs of related bins that the split separates, and the share of val and test bins related to one in train."""
    digests: dict[bytes, list[int]] = {}
    for position, one in enumerate(tqdm(members, "duplicates", unit="bin", disable=None)):
        digests.setdefault(hashlib.sha256(one.image.read_bytes()).digest(), []).append(position)
    same = [pair for positions in digests.values() for pair in combinations(positions, 2)]
    kinds = {
        "alike": alike_pairs([one.items for one in members]),
        "neighbours": neighbour_pairs([one.id for one in members]),
        "duplicates": np.array(same, np.int64).reshape(-1, 2),
    }
    return {kind: _parted(pairs, members) for kind, pairs in kinds.items()}


def _parted(pairs: Integers, members: Sequence[Member]) -> dict[str, Any]:
    split = np.array([one.split for one in members])
    either = np.concatenate((pairs, pairs[:, ::-1]))
    exposed = np.unique(either[split[either[:, 0]] == "train", 1])
    seen = {
        name: np.sum(split[exposed] == name) / np.sum(split == name) for name in splits_of(members) if name != "train"
    }
    return {
        "pairs": len(pairs),
        "parted": int(np.sum(split[pairs[:, 0]] != split[pairs[:, 1]])),
        "share_with_kin_in_train": {name: round(float(share), 4) for name, share in seen.items()},
    }
