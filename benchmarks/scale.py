"""How the application scales, by the model of `benchmarks.flow`: the tables and plots of docs/scale.md.

python -m benchmarks.scale [days] [checkers] [alerters] [targets] [outages] [crowds]
"""

import argparse
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.flow import Arrival, Flow, Outcome, Times, simulate
from costs.check_costs import DAY_S, DAYS_A_MONTH, Load, month_usd
from costs.prices import prices

HOUR_S = 3600
MINUTE_S = 60
HOURS = (*[0.1] * 7, 1.0, 1.0, 2.0, 5.0, 3.0, 1.5, 1.5, 3.0, 2.0, 1.5, 0.6, *[0.3] * 3, *[0.1] * 3)
"""Bins of each hour of a day, the mean being 1: assumed. The busiest hour has five times the mean, as in costs."""
BURST, BURST_S, GAP_S = 20, 10.0, 1.0
"""A robot's uploads: so many bins at once, within so many seconds, the second file so long after the first. Assumed."""
MISMATCHES, EMAILED = 0.5, 0.01
DEFAULT = Flow.as_deployed()
LARGEST_DAY = 100_000
MOST_BINS = 210_000
"""Of larger loads only as much of the busiest hour is simulated as has so many bins."""
DAY_LOADS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)
ADVISED: dict[int, dict[str, Any]] = {
    1_000_000: {"concurrency": 16, "alert_parallel": 2},
    10_000_000: {"concurrency": 160, "alert_parallel": 10, "instances": 10, "max_instances": 24},
}
"""Settings that differ from the defaults for a load, by the sweeps below."""


def bursts(bins_an_hour: Iterable[float], seed: int = 0) -> Iterator[Arrival]:
    """Bins in bursts of BURST that arrive at random, hour by hour."""
    random, waiting = Random(seed), list[Arrival]()  # noqa: S311
    for hour, bins in enumerate(bins_an_hour):
        time = float(hour * HOUR_S)
        while bins and (time := time + random.expovariate(bins / BURST / HOUR_S)) < (hour + 1) * HOUR_S:
            ready = [arrival for arrival in waiting if arrival.first < time]
            waiting = [arrival for arrival in waiting if arrival.first >= time]
            yield from sorted(ready, key=lambda arrival: arrival.first)
            for _ in range(BURST):
                first = time + random.uniform(0, BURST_S)
                waiting.append(Arrival(first, first + random.expovariate(1 / GAP_S)))
    yield from sorted(waiting, key=lambda arrival: arrival.first)


def a_day(bins: int) -> Iterator[Arrival]:
    return bursts([bins / 24 * share for share in HOURS])


def at_once(bins: int, seconds: float, seed: int = 0) -> Iterator[Arrival]:
    """Bins spread evenly over so many seconds."""
    random = Random(seed)  # noqa: S311
    for number in range(bins):
        first = number * seconds / bins
        yield Arrival(first, first + random.expovariate(1 / GAP_S))


def usd_a_month(bins: int, flow: Flow, outcome: Outcome, hours: float) -> float:
    """What such days cost: functions as simulated, `hours` of instances a day, the rest by costs/."""
    load = Load(bins, MISMATCHES, EMAILED, flow.instance_type, flow.instances)
    price, hourly = prices()["service"], prices()["hourly"][flow.instance_type]
    functions = (
        outcome.gb_s * price["lambda_gb_second"]
        + (outcome.batches + outcome.alert_batches) * price["lambda_million"] / 1e6
    )
    functions *= bins / (outcome.uploads / 2)
    rest = sum(usd for name, usd in month_usd(load).items() if name not in ("Lambda", "Endpoint"))
    return rest + DAYS_A_MONTH * (functions + hours * hourly)


def instance_hours(flow: Flow, outcome: Outcome) -> float:
    """Of a whole day, also if all uploads were done before its end."""
    return (outcome.instance_s + max(0.0, DAY_S - outcome.ended) * flow.instances) / HOUR_S


def planned_instance_hours(bins: int, flow: Flow) -> float:
    """Of a day, if each hour has the instances that the scaling aims at."""
    calls_a_minute = [bins / 24 / 60 * share for share in HOURS]
    wanted = [math.ceil(calls / flow.calls_per_minute) for calls in calls_a_minute]
    return float(sum(min(flow.max_instances, max(flow.instances, number)) for number in wanted))


def duration(seconds: float) -> str:
    if seconds < MINUTE_S:
        return f"{seconds:.1f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < 2 * HOUR_S else f"{seconds / HOUR_S:.1f} h"


def row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def heading(*names: str) -> str:
    return f"{row(*names)}\n| --- |{' ---: |' * (len(names) - 1)}"


def outcome_cells(outcome: Outcome) -> tuple[str, ...]:
    return (
        duration(outcome.delay(0.5)),
        duration(outcome.delay(0.99)),
        f"{outcome.most_waiting:,}",
        f"{outcome.refused:,}",
        f"{outcome.dead:,}",
    )


def day_row(bins: int, flow: Flow, settings: str) -> tuple[str, Outcome]:
    """A row of the table of days, and the outcome behind it."""
    whole = bins <= LARGEST_DAY
    outcome = simulate(flow, a_day(bins) if whole else busiest_hour(bins, MOST_BINS * 24 / bins / max(HOURS)))
    hours = instance_hours(flow, outcome) if whole else planned_instance_hours(bins, flow)
    usd = usd_a_month(bins, flow, outcome, hours)
    each = f"{usd / bins / DAYS_A_MONTH * 1000:.3f}"
    batch = outcome.uploads / outcome.batches
    cells = (*outcome_cells(outcome), f"{hours:.0f} / {outcome.most_instances}")
    return row(f"{bins:,}", settings, *cells, f"{batch:.1f}", f"{usd:,.0f}", each), outcome


OUTCOME = ("alert after, p50", "p99", "most waiting", "failed calls", "dead letters")
DAY_HEADING = heading(
    "bins a day", "settings", *OUTCOME,
    "instance-hours / most at once", "uploads a batch", "USD a month", "of 1,000 bins",
)  # fmt: skip


def described(changes: dict[str, Any]) -> str:
    names = {
        "concurrency": "MaximumConcurrency",
        "alert_parallel": "ParallelizationFactor",
        "instances": "instances",
        "max_instances": "max_instances",
        "instance_type": "",
    }
    return ", ".join(f"{names[name]} {value}".strip() for name, value in changes.items()) or "defaults"


def days() -> Iterator[str]:
    """Days of each load."""
    yield DAY_HEADING
    small = {"instance_type": "ml.c6i.large"}
    yield day_row(1_000, replace(DEFAULT, **small), described(small))[0]
    for bins in DAY_LOADS:
        changes = ADVISED.get(bins, {})
        yield day_row(bins, replace(DEFAULT, **changes), described(changes))[0]


def checkers() -> Iterator[str]:
    """How many Checkers a load needs."""
    yield heading("twenty of the busiest minutes, bins a day", "MaximumConcurrency", *OUTCOME)
    for bins, most in ((100_000, (2,)), (250_000, (2, 4)), (500_000, (2, 4, 6)), (1_000_000, (6, 8, 10, 16))):
        for concurrency in most:
            outcome = simulate(replace(DEFAULT, concurrency=concurrency, alert_parallel=2), busiest_hour(bins, 1 / 3))
            yield row(f"{bins:,}", concurrency, *outcome_cells(outcome))


def alerters() -> Iterator[str]:
    """How many Alerters of each shard a load needs."""
    yield heading("twenty of the busiest minutes, bins a day", "ParallelizationFactor", *OUTCOME)
    for bins, factors in ((250_000, (1, 2)), (500_000, (1, 2)), (1_000_000, (1, 2, 4))):
        for factor in factors:
            outcome = simulate(replace(DEFAULT, concurrency=16, alert_parallel=factor), busiest_hour(bins, 1 / 3))
            yield row(f"{bins:,}", factor, *outcome_cells(outcome))


def targets() -> Iterator[str]:
    """At which load of an instance another one is added, also where its cores are half as fast as measured."""
    yield heading("calls_per_minute", "image on a core", *OUTCOME, "instance-hours", "most at once")
    for image_ms in (25, 50):
        for target in (1500, 2400, 3000):
            flow = replace(DEFAULT, concurrency=16, alert_parallel=2, calls_per_minute=target)
            outcome = simulate(flow, busiest_hour(1_000_000), times=Times(image=image_ms / 1000))
            hours = f"{outcome.instance_s / HOUR_S:.1f}"
            yield row(f"{target:,}", f"{image_ms} ms", *outcome_cells(outcome), hours, outcome.most_instances)


def outages() -> Iterator[str]:
    """The endpoint fails every call, from the sixth minute of the busiest hour on."""
    yield heading("outage, 100,000 bins a day", "maxReceiveCount", *OUTCOME, "fewer than 50 left, after its end")
    for minutes in (10, 20, 30, 60):
        for receives in (DEFAULT.max_receives, 2 * DEFAULT.max_receives):
            end = (6 + minutes) * MINUTE_S
            flow = replace(DEFAULT, max_receives=receives)
            outcome = simulate(flow, busiest_hour(100_000), outage=(6.0 * MINUTE_S, end))
            yield row(f"{minutes} min", receives, *outcome_cells(outcome), caught_up(outcome, end))


def crowds() -> Iterator[str]:
    """A site sends a day's bins within ten minutes."""
    yield heading("bins within ten minutes", "settings", *OUTCOME, "all alerted after", "most instances")
    ways: dict[int, tuple[dict[str, Any], ...]] = {
        1_000: ({},),
        10_000: ({}, {"concurrency": 4}, {"concurrency": 16}),
        100_000: (
            {},
            {"concurrency": 16},
            {"concurrency": 16, "alert_parallel": 4},
            {"concurrency": 64, "alert_parallel": 4},
            {"concurrency": 64, "alert_parallel": 4, "instances": 4},
        ),
    }
    for bins in ways:
        for changes in ways[bins]:
            outcome = simulate(replace(DEFAULT, **changes), at_once(bins, 10 * MINUTE_S))
            cells = (*outcome_cells(outcome), duration(outcome.ended), outcome.most_instances)
            yield row(f"{bins:,}", described(changes), *cells)


def busiest_hour(bins: int, share: float = 1.0) -> Iterator[Arrival]:
    """Of a day of so many bins, or the first `share` of it."""
    return takewhile(lambda arrival: arrival.first < share * HOUR_S, bursts([bins / 24 * max(HOURS)]))


def caught_up(outcome: Outcome, end: float) -> str:
    """How long after `end` fewer than 50 messages and alerts were left, to the minute."""
    late = [time for time, pending, _ in outcome.depth if time > end and pending > 50]
    return duration(max(late, default=end) - end)


def draw(folder: Path) -> None:
    """Plots of what waits, minute by minute: scale-outage.svg and scale-crowd.svg in `folder`."""
    from training.report.plots import as_svg, new_plot  # needs matplotlib

    outage, axes = new_plot(
        "Outage of the endpoint, 100,000 bins a day", "minutes", "uploads not checked, and alerts not sent"
    )
    for minutes in (20, 30, 60):
        start = 6.0 * MINUTE_S
        outcome = simulate(DEFAULT, busiest_hour(100_000), outage=(start, start + minutes * MINUTE_S))
        axes.plot(*waiting_by_minute(outcome), label=f"{minutes} min: {outcome.dead:,} dead letters")
    axes.legend()
    (folder / "scale-outage.svg").write_text(as_svg(outage) + "\n")
    crowd, axes = new_plot("100,000 bins within ten minutes", "minutes", "uploads not checked, and alerts not sent")
    for concurrency in (DEFAULT.concurrency, 16, 64):
        changes = {"concurrency": concurrency, "alert_parallel": 4}
        outcome = simulate(replace(DEFAULT, **changes), at_once(100_000, 10 * MINUTE_S))
        axes.plot(*waiting_by_minute(outcome), label=described(changes))
    axes.legend()
    (folder / "scale-crowd.svg").write_text(as_svg(crowd) + "\n")


def waiting_by_minute(outcome: Outcome) -> tuple[list[float], list[int]]:
    return [time / MINUTE_S for time, _, _ in outcome.depth], [waiting for _, waiting, _ in outcome.depth]


TABLES = {table.__name__: table for table in (days, checkers, alerters, targets, outages, crowds)}


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Simulate loads of a day, an outage and a burst.")
    parser.add_argument("tables", nargs="*", choices=[[], *TABLES], help="all unless some are named")
    parser.add_argument("--plots", type=Path, help="draw the plots in this folder instead; needs --group calibrate")
    options = parser.parse_args()
    if options.plots:
        draw(options.plots)
        return
    for name in options.tables or TABLES:
        for line in TABLES[name]():
            print(line, flush=True)
        print()


if __name__ == "__main__":
    main()
