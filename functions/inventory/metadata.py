"""Reads metadata files: how many objects a bin should hold, and how large they are. Pure code."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inventory.errors import RejectedUpload

METADATA_LIMIT_BYTES = 1_048_576
EXPECTED_QUANTITY_LIMIT = 100_000
OBJECT_VOLUME_LIMIT_IN3 = 1e6
"""About 16 cubic metres: a larger object is a typing error."""
INCHES = {
    **dict.fromkeys(("in", "inch", "inches"), 1.0),
    **dict.fromkeys(("ft", "foot", "feet"), 12.0),
    **dict.fromkeys(("yd", "yard", "yards"), 36.0),
    **dict.fromkeys(("mm", "millimeters", "millimetres"), 1 / 25.4),
    **dict.fromkeys(("cm", "centimeters", "centimetres"), 1 / 2.54),
    **dict.fromkeys(("m", "meters", "metres"), 1 / 0.0254),
}
"""The length of each unit in inches."""


@dataclass(frozen=True)
class Product:
    """One recorded product: `quantity` objects, at least 1, of `volume_in3` cubic inches each."""

    quantity: int
    volume_in3: float


@dataclass(frozen=True)
class Record:
    """The warehouse's record of a bin: `expected` objects of these `products`.

    `products` is empty if none is recorded, or if the size of one is unknown. The quantities should add up to
    `expected`. If they do not, `expected` is used.
    """

    expected: int
    products: tuple[Product, ...] = ()

    @property
    def volume_in3(self) -> float | None:
        """The total volume of the expected objects in cubic inches; None if it is unknown."""
        if not self.products:
            return None
        ((_, volume),) = self.volumes_in3(self.expected)
        return volume

    def volumes_in3(self, count: int) -> list[tuple[float, float]]:
        """The possible total volumes of `count` objects: pairs of a chance and cubic inches. The chances add up to 1.

        `products` must not be empty. An additional object has the mean volume of the recorded ones. A missing object
        can be any of them: a bin that should hold a box and a pen, and holds one object, holds the box or the pen, not
        something in between.
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
    """The record in a metadata file. Only sizes are read from its items, so an invalid item does not reject the file.

    Raises:
        RejectedUpload: the file is not a JSON object, or EXPECTED_QUANTITY is missing, or it is not a whole number from
            0 to EXPECTED_QUANTITY_LIMIT.
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
    """A measure of an item in the base unit of `scale`; NaN if it is missing, not positive or has an unknown unit."""
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
