"""What a metadata file records of a bin: how many objects it should hold, and how large they are."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inventory.errors import RejectedUpload

METADATA_LIMIT_BYTES = 1_048_576
EXPECTED_QUANTITY_LIMIT = 100_000
OBJECT_VOLUME_LIMIT_IN3 = 1e6
"""About 16 cubic metres: whoever records a larger object has mistyped a size."""
INCHES = {
    **dict.fromkeys(("in", "inch", "inches"), 1.0),
    **dict.fromkeys(("ft", "foot", "feet"), 12.0),
    **dict.fromkeys(("yd", "yard", "yards"), 36.0),
    **dict.fromkeys(("mm", "millimeters", "millimetres"), 1 / 25.4),
    **dict.fromkeys(("cm", "centimeters", "centimetres"), 1 / 2.54),
    **dict.fromkeys(("m", "meters", "metres"), 1 / 0.0254),
}
"""How many inches a unit is."""


@dataclass(frozen=True)
class Product:
    """What is recorded of one product: `quantity` objects of it, from 1, each of `volume_in3` cubic inches."""

    quantity: int
    volume_in3: float


@dataclass(frozen=True)
class Record:
    """What the warehouse believes: `expected` objects, and which.

    `products` are empty where none is recorded or the size of one is not known. Their quantities should add up to
    `expected`; `expected` holds where they do not.
    """

    expected: int
    products: tuple[Product, ...] = ()

    @property
    def volume_in3(self) -> float | None:
        """The volume of all the objects together, in cubic inches; None where it is not known."""
        if not self.products:
            return None
        ((_, volume),) = self.volumes_in3(self.expected)
        return volume

    def volumes_in3(self, count: int) -> list[tuple[float, float]]:
        """What the bin's objects measure together if there are `count` of them, in cubic inches: chances, adding up to
        1, and volumes. Needs products.

        An object that the record lacks is like those that it has. One that is not there may be any of them, so a bin
        that should hold a box and a pen, and holds one object, holds a box or a pen, and nothing in between.
        """
        objects = sum(product.quantity for product in self.products)
        volume = math.fsum(product.quantity * product.volume_in3 for product in self.products)
        if count >= self.expected or objects == 1:
            return [(1.0, count * volume / objects)]
        return [
            (product.quantity / objects, count * (volume - product.volume_in3) / (objects - 1))
            for product in self.products
        ]


def read_record(metadata: bytes, key: str) -> Record:
    """The record in a metadata file. Items serve for their sizes only, so a fault of theirs is no fault of the file.

    Raises:
        RejectedUpload: the file is not a JSON object, or EXPECTED_QUANTITY is missing or no whole number from 0 to
            EXPECTED_QUANTITY_LIMIT.
    """
    try:
        record = json.loads(metadata.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RejectedUpload(f"{key} is not JSON ({_first_line(error)}): upload it again as a JSON object") from error
    if not isinstance(record, dict):
        raise RejectedUpload(f"{key} holds a JSON {type(record).__name__}: it must be an object with EXPECTED_QUANTITY")
    if "EXPECTED_QUANTITY" not in record:
        raise RejectedUpload(f"{key} lacks EXPECTED_QUANTITY: add it as a whole number")
    quantity = record["EXPECTED_QUANTITY"]
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        raise RejectedUpload(
            f"{key}: EXPECTED_QUANTITY is {_shortened(quantity)}, not a whole number: write it as digits without quotes"
        )
    if not 0 <= quantity <= EXPECTED_QUANTITY_LIMIT:
        raise RejectedUpload(
            f"{key}: EXPECTED_QUANTITY is {_shortened(quantity)}: it must lie between 0 and "
            f"{EXPECTED_QUANTITY_LIMIT:,}; correct the record"
        )
    return Record(quantity, _products(record.get("BIN_FCSKU_DATA")))


def _products(items: Any) -> tuple[Product, ...]:
    if not isinstance(items, dict):
        return ()
    products = []
    for item in items.values():
        quantity = item.get("quantity") if isinstance(item, dict) else None
        if not isinstance(quantity, int) or isinstance(quantity, bool) or not 0 <= quantity <= EXPECTED_QUANTITY_LIMIT:
            return ()
        if quantity:
            volume = math.prod(measure(item, side, INCHES) for side in ("length", "width", "height"))
            if not 0 < volume <= OBJECT_VOLUME_LIMIT_IN3:
                return ()
            products.append(Product(quantity, volume))
    return tuple(products)


def measure(item: Mapping[str, Any], name: str, scale: Mapping[str, float]) -> float:
    """A measure of an item, by a scale of units; NaN when it is missing, not positive or of an unknown unit."""
    try:
        value = float(item[name]["value"]) * scale[item[name]["unit"].strip().casefold()]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _shortened(value: object, limit: int = 40) -> str:
    try:
        text = json.dumps(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= limit else f"{text[:limit]}…"
