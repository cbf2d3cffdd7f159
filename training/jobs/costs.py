"""What jobs and endpoints cost, by the prices of prices.toml."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

PRICES = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True)
class Estimate:
    """At most so many `usd`, None where the price is not known, and how it was reckoned."""

    usd: float | None
    reckoning: str

    def __str__(self) -> str:
        return f"{'at an unknown price' if self.usd is None else f'at most {self.usd:.2f} USD'} ({self.reckoning})"


@cache
def prices() -> dict[str, Any]:
    """USD in us-east-1, on demand."""
    return tomllib.loads(PRICES.read_text())


def hourly_usd(instance_type: str) -> float | None:
    """USD an hour on demand in us-east-1; None where it is not listed."""
    hourly: dict[str, float] = prices()["hourly"]
    return hourly.get(instance_type)


def estimate(instance_type: str, instances: int, hours: float, *, spot: bool = False) -> Estimate:
    """The cost of computing that long."""
    price = hourly_usd(instance_type)
    share = prices()["spot_share"] if spot else 1.0
    rate = "unknown" if price is None else f"{price:g} USD/h in us-east-1, {prices()['as_of']}"
    reckoning = f"{instances} x {instance_type} x {hours:g} h, {rate}{f', spot at about {share:.0%}' if spot else ''}"
    return Estimate(None if price is None else instances * hours * price * share, reckoning)
