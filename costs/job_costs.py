"""What jobs and endpoints cost, by the prices of prices.toml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from costs.check_costs import quantities
from costs.prices import hourly_usd, prices


@dataclass(frozen=True)
class Estimate:
    """The cost of computing for a time, in USD.

    `on_demand` is the ceiling: AWS ends the job after that time, and managed spot capacity never costs more. `spot` is
    a guess by the usual share, None without spot capacity. Both are None where the price is not known. `basis` says how
    they are calculated.
    """

    on_demand: float | None
    spot: float | None
    basis: str

    def __str__(self) -> str:
        if self.on_demand is None:
            return f"at an unknown price ({self.basis})"
        ceiling = f"at most {self.on_demand:.2f} USD"
        if self.spot is None:
            return f"{ceiling} ({self.basis})"
        share = f"the usual {prices()['spot_share']:.0%} of it"
        return f"{ceiling} at the price on demand, about {self.spot:.2f} USD on spot at {share} ({self.basis})"


def estimate(
    instance_type: str,
    instances: int,
    hours: float,
    *,
    spot: bool = False,
    retries: int = 0,
    keep_alive_hours: float = 0.0,
    unlimited: bool = False,
) -> Estimate:
    """The cost of `instances` for `hours` of computing and `keep_alive_hours` in a warm pool.

    The time limit of a SageMaker job is that of all its attempts together, so retries add nothing (StoppingCondition,
    MaxRuntimeInSeconds). A batch transform has no time limit and is `unlimited`: `hours` is then an assumption.
    """
    price, shown = hourly_usd(instance_type), prices()
    rate = "unknown" if price is None else f"{price:g} USD/h in us-east-1, {shown['as_of']}"
    basis = f"{instances} x {instance_type} x {hours:g} h"
    basis += " if it takes that long, SageMaker sets no limit" if unlimited else ""
    basis += f" of all {retries + 1} attempts together" if retries else ""
    basis += f" and {keep_alive_hours:g} h kept warm" if keep_alive_hours else ""
    if price is None:
        return Estimate(None, None, f"{basis}, {rate}")
    usd = instances * (hours + keep_alive_hours) * price
    return Estimate(usd, usd * shown["spot_share"] if spot else None, f"{basis}, {rate}")


def format_public_set(steps: Mapping[str, Estimate], instances: int) -> str:
    """The cost of the steps of a training on the whole public set, as a table; `instances` prepare it.

    Each of them reads all metadata, and all together read the images once.
    """
    service, known = prices()["service"], quantities()["public_set"]
    requests = (instances + 1) * known["images"] / 1000 * service["s3_get_thousand"]
    storage = known["images"] * known["kb"] / 1e6 * service["s3_gb_month"]
    rows = {f"{name}: {one.basis.partition(',')[0].partition(' of all ')[0]}": one for name, one in steps.items()}
    rows["Reads of the bucket"] = Estimate(requests, None, "")
    rows["The set in S3, a month"] = Estimate(storage, None, "")
    lines = (
        f"| {name} | {_usd(one.on_demand)} | {_usd(one.on_demand if one.spot is None else one.spot)} |"
        for name, one in (rows | {"**together**": total(list(rows.values()))}).items()
    )
    return "\n".join(("| `train --recipe full`, at most | USD | on spot, about |", "| --- | ---: | ---: |", *lines))


def _usd(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def total(estimates: Sequence[Estimate]) -> Estimate:
    """The cost of all together; unknown where one is."""
    known = [one.on_demand for one in estimates if one.on_demand is not None]
    if len(known) < len(estimates):
        return Estimate(None, None, f"all {len(estimates)} steps")
    spot = sum(one.on_demand if one.spot is None else one.spot for one in estimates if one.on_demand is not None)
    any_spot = any(one.spot is not None for one in estimates)
    return Estimate(sum(known), spot if any_spot else None, f"all {len(estimates)} steps")
