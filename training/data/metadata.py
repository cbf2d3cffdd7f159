"""The record of a bin in its metadata file: how many objects it should hold, which ones, and FACTS about them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inventory.errors import RejectedUpload
from inventory.metadata import expected_quantity, measure, parse_metadata, read_items, volume_of

FACTS = ("volume_in3", "largest_in3", "weight_lb")
"""Of all items in the bin, of its largest item, of all items."""
UNKNOWN = (math.nan,) * len(FACTS)
POUNDS = {
    **dict.fromkeys(("lb", "lbs", "pound", "pounds"), 1.0),
    **dict.fromkeys(("oz", "ounce", "ounces"), 1 / 16),
    **dict.fromkeys(("g", "gram", "grams"), 1 / 453.59237),
    **dict.fromkeys(("kg", "kilogram", "kilograms"), 1 / 0.45359237),
    "hundredths_pounds": 0.01,
    "hundredths-pounds": 0.01,
}


@dataclass(frozen=True)
class Record:
    """The recorded count, the quantity of each item (ASIN) and FACTS, NaN where a size or weight is not known.

    `items` are empty where they are not recorded, or not in a form that can be read: a count needs none.
    """

    count: int
    items: Mapping[str, int]
    facts: tuple[float, ...]


def parse_record(data: bytes, name: str) -> Record:
    """Read the bytes of the metadata file `name`. Raises RejectedUpload as `inventory.metadata.read_record` does."""
    metadata = parse_metadata(data, name)
    count = expected_quantity(metadata, name)
    items = read_items(metadata)
    if items is None or (count and not items):
        return Record(count, {}, UNKNOWN)
    return Record(count, {asin: quantity for asin, quantity, _ in items}, _facts(items))


def _facts(items: Sequence[tuple[str, int, Mapping[str, Any]]]) -> tuple[float, ...]:
    volumes = [volume_of(item) for _, _, item in items]
    facts = {
        "volume_in3": sum(volume * quantity for volume, (_, quantity, _) in zip(volumes, items, strict=True)),
        "largest_in3": math.nan if any(map(math.isnan, volumes)) else max(volumes, default=0.0),
        "weight_lb": sum(measure(item, "weight", POUNDS) * quantity for _, quantity, item in items),
    }
    return tuple(float(facts[name]) for name in FACTS)


def object_volumes(data: bytes) -> list[float] | None:
    """The volume of every recorded object in cubic inches, NaN where a size is not known, from a metadata file; None
    where the items cannot be read."""
    try:
        items = read_items(parse_metadata(data, ""))
    except RejectedUpload:
        return None
    return None if items is None else [volume for _, quantity, item in items for volume in [volume_of(item)] * quantity]
