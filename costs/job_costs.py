"""What jobs and endpoints cost, by the prices of prices.toml."""

from dataclasses import dataclass

from costs.prices import hourly_usd, prices


@dataclass(frozen=True)
class Estimate:
    """At most so many `usd`, None where the price is not known, and the `basis` of the calculation."""

    usd: float | None
    basis: str

    def __str__(self) -> str:
        return f"{'at an unknown price' if self.usd is None else f'at most {self.usd:.2f} USD'} ({self.basis})"


def estimate(instance_type: str, instances: int, hours: float, *, spot: bool = False) -> Estimate:
    """The cost of computing that long."""
    price = hourly_usd(instance_type)
    share = prices()["spot_share"] if spot else 1.0
    rate = "unknown" if price is None else f"{price:g} USD/h in us-east-1, {prices()['as_of']}"
    basis = f"{instances} x {instance_type} x {hours:g} h, {rate}{f', spot at about {share:.0%}' if spot else ''}"
    return Estimate(None if price is None else instances * hours * price * share, basis)
