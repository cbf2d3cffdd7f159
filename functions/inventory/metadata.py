"""Reads metadata files: how many objects a bin should hold, and how large they are. Pure code."""

import json
import math
from collections import Counter
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
        RejectedUpload: as `parse_metadata`, or EXPECTED_QUANTITY is missing, or as `read_quantity`.
    """
    parsed = parse_metadata(metadata, key)
    return Record(expected_quantity(parsed, key), _products(parsed))


def parse_metadata(metadata: bytes, key: str) -> dict[str, Any]:
    """The JSON object in a metadata file, in UTF-8, or in UTF-16 or UTF-32 as some tools save it.

    Raises:
        RejectedUpload: the file is not JSON, or no object, or a name comes twice in one of its objects.
    """
    try:
        parsed = json.loads(metadata.decode(json.detect_encoding(metadata)), object_pairs_hook=_unique)
    except _NameTwice as error:
        raise RejectedUpload(f"{key} holds {error} twice in one object: keep the right one") from error
    except (ValueError, RecursionError) as error:
        raise RejectedUpload(f"{key} is not JSON ({_first_line(error)}): upload it again as a JSON object") from error
    if not isinstance(parsed, dict):
        raise RejectedUpload(f"{key} holds a JSON {type(parsed).__name__}: it must be an object with EXPECTED_QUANTITY")
    return parsed


def expected_quantity(metadata: Mapping[str, Any], place: str) -> int:
    """EXPECTED_QUANTITY of parsed metadata. Raises RejectedUpload if it is missing, or as `read_quantity`."""
    if "EXPECTED_QUANTITY" not in metadata:
        raise RejectedUpload(f"{place} lacks EXPECTED_QUANTITY: add it as a whole number")
    return read_quantity(metadata["EXPECTED_QUANTITY"], place)


def read_quantity(value: Any, place: str) -> int:
    """The number of objects that a JSON value stands for, as the value at `place`. `3.0` is 3.

    Raises:
        RejectedUpload: it is not a whole number from 0 to EXPECTED_QUANTITY_LIMIT.
    """
    quantity = whole_number(value)
    if quantity is None:
        raise RejectedUpload(
            f"{place}: EXPECTED_QUANTITY is {_shortened(value)}, not a whole number: write it as digits without quotes"
        )
    if not 0 <= quantity <= EXPECTED_QUANTITY_LIMIT:
        raise RejectedUpload(
            f"{place}: EXPECTED_QUANTITY is {_shortened(value)}: it must lie between 0 and "
            f"{EXPECTED_QUANTITY_LIMIT:,}; correct the record"
        )
    return quantity


def whole_number(value: Any) -> int | None:
    """The whole number that a JSON value is, `3` or `3.0`; None if it is none."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_items(metadata: Mapping[str, Any]) -> list[tuple[str, int, Mapping[str, Any]]] | None:
    """The recorded items of parsed metadata: the name, how many of it (from 1 to EXPECTED_QUANTITY_LIMIT), and the
    rest. None if they are not recorded, or any of them in another form."""
    recorded = metadata.get("BIN_FCSKU_DATA")
    if not isinstance(recorded, dict):
        return None
    items = []
    for name, item in recorded.items():
        quantity = whole_number(item.get("quantity")) if isinstance(item, dict) else None
        if quantity is None or not 0 <= quantity <= EXPECTED_QUANTITY_LIMIT:
            return None
        if quantity:
            items.append((name, quantity, item))
    return items


def volume_of(item: Mapping[str, Any]) -> float:
    """The volume of one object of an item in cubic inches; NaN if it is unknown."""
    return math.prod(measure(item, side, INCHES) for side in ("length", "width", "height"))


def _products(metadata: Mapping[str, Any]) -> tuple[Product, ...]:
    products = [Product(quantity, volume_of(item)) for _, quantity, item in read_items(metadata) or ()]
    known = all(0 < product.volume_in3 <= OBJECT_VOLUME_LIMIT_IN3 for product in products)
    return tuple(products) if known else ()


def measure(item: Mapping[str, Any], name: str, scale: Mapping[str, float]) -> float:
    """A measure of an item in the base unit of `scale`; NaN if it is missing, not positive or has an unknown unit."""
    try:
        value = float(item[name]["value"]) * scale[item[name]["unit"].strip().casefold()]
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) and value > 0 else math.nan


class _NameTwice(Exception):
    """An object has two values of one name. The message is the name, as JSON writes it."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        (name, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise _NameTwice(_shortened(name))
    return values


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _shortened(value: object, limit: int = 40) -> str:
    try:
        text = json.dumps(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= limit else f"{text[:limit]}…"
