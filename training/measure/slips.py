"""Wrong records as people make them: a true record that lacks objects, or claims some that are not there."""

import math
from collections.abc import Sequence

import numpy as np

from inventory.metadata import Product
from inventory.verdict import SLIPS

SAME_SHARE = 0.5
"""Share of wrongly claimed objects that are one more of an object in the bin; the others are any that are sold."""


def slip_weights(true: int, mismatch_rate: float) -> dict[int, float]:
    """How frequent each slip (0: the record is right) is among the records of a bin that holds `true` objects."""
    possible = {slip: share for slip, share in SLIPS.items() if true - slip >= 0}
    wrong = {slip: mismatch_rate * share / sum(possible.values()) for slip, share in possible.items()}
    return {0: 1 - mismatch_rate} | wrong


def claimed_products(
    volumes: Sequence[float], slip: int, catalogue: Sequence[float], rng: np.random.Generator
) -> tuple[Product, ...]:
    """What a record lists that says `slip` fewer objects (negative: more) than the bin holds.

    `volumes` are those of the objects that the bin truly holds, `catalogue` those of any objects, in cubic inches.
    Nothing where a size is not known, as `inventory.metadata` has it.
    """
    if slip > len(volumes):  # a metadata file that lists fewer objects than it expects
        return ()
    claimed = list(volumes)
    for _ in range(abs(slip)):
        if slip > 0:
            claimed.pop(rng.integers(len(claimed)))
        elif claimed and rng.random() < SAME_SHARE:
            claimed.append(claimed[rng.integers(len(claimed))])
        else:
            claimed.append(catalogue[int(rng.integers(len(catalogue)))] if catalogue else math.nan)
    return tuple(Product(1, volume) for volume in claimed) if np.isfinite(claimed).all() else ()
