"""The record of a bin in its metadata file: how many objects it should hold, which ones, and FACTS about them."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inventory.metadata import INCHES, measure

FACTS = ("volume_in3", "largest_in3", "weight_lb")
"""Of all items in the bin, of its largest item, of all items."""
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
    """The recorded count, the quantity of each item (ASIN) and FACTS, NaN where a size or weight is not known."""

    count: int
    items: Mapping[str, int]
    facts: tuple[float, ...]


def parse_record(data: bytes) -> Record:
    """Read the bytes of a metadata file.

    Raises ValueError when they are no JSON, or EXPECTED_QUANTITY or an item's quantity is no whole number from 0 up.
    """
    try:
        metadata = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise ValueError("no JSON object")
    held = metadata.get("BIN_FCSKU_DATA")
    if not isinstance(held, dict) or not all(isinstance(item, dict) for item in held.values()):
        raise ValueError("BIN_FCSKU_DATA is no object of items")
    count = _whole(metadata.get("EXPECTED_QUANTITY"), "EXPECTED_QUANTITY")
    items = {asin: _whole(item.get("quantity"), f"the quantity of {asin}") for asin, item in held.items()}
    return Record(count, {asin: quantity for asin, quantity in items.items() if quantity}, _facts(held, items))


def _whole(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} is {value!r}, not a whole number from 0 up")
    return value


def _facts(held: Mapping[str, Mapping[str, Any]], quantities: Mapping[str, int]) -> tuple[float, ...]:
    present = [(item, quantities[asin]) for asin, item in held.items() if quantities[asin]]
    volumes = [_volume(item) for item, _ in present]
    facts = {
        "volume_in3": sum(volume * quantity for volume, (_, quantity) in zip(volumes, present, strict=True)),
        "largest_in3": math.nan if any(map(math.isnan, volumes)) else max(volumes, default=0.0),
        "weight_lb": sum(measure(item, "weight", POUNDS) * quantity for item, quantity in present),
    }
    return tuple(float(facts[name]) for name in FACTS)


def object_volumes(data: bytes) -> list[float]:
    """The volume of every recorded object in cubic inches, NaN where a size is not known, from a metadata file."""
    held = json.loads(data)["BIN_FCSKU_DATA"]
    return [volume for item in held.values() for volume in [_volume(item)] * int(item["quantity"])]


def _volume(item: Mapping[str, Any]) -> float:
    return math.prod(measure(item, side, INCHES) for side in ("length", "width", "height"))
