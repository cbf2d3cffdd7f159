"""The prices of AWS in prices.toml."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

PRICES = Path(__file__).with_name("prices.toml")


@cache
def prices() -> dict[str, Any]:
    """USD in us-east-1, on demand."""
    return tomllib.loads(PRICES.read_text())


def hourly_usd(instance_type: str) -> float | None:
    """USD an hour on demand in us-east-1; None if the type is not listed."""
    hourly: dict[str, float] = prices()["hourly"]
    return hourly.get(instance_type)
