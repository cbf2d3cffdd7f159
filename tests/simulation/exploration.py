"""All orders of one history, judged."""

from dataclasses import dataclass

from tests.simulation.interleaving import Schedule, World, explore
from tests.simulation.oracle import violations
from tests.simulation.warehouse import Step, Warehouse

MOST = 20_000


@dataclass(frozen=True)
class Explored:
    """What came of it: `violation` is the first one found, with the schedule that leads there."""

    before: tuple[Step, ...]
    steps: tuple[Step, ...]
    runs: int
    interleavings: int
    complete: bool
    violation: str | None


def explored(
    before: tuple[Step, ...], steps: tuple[Step, ...], *, most: int = MOST, versions: bool = False
) -> Explored:
    """Go through all orders of a history, or `most` runs of them; ends at the first violation."""
    house = Warehouse((), ())
    found: list[str] = []

    def make() -> World:
        nonlocal house
        house = Warehouse(steps, before, versions=versions)
        return house.world()

    def judge(schedule: Schedule) -> None:
        found.extend(f"{violation}, by schedule {schedule.made}" for violation in violations(house))
        if found:
            raise Found

    try:
        outcome = explore(make, judge, most)
    except Found:
        return Explored(before, steps, 0, 0, complete=False, violation=found[0])
    except Exception as broken:  # no process ends so
        return Explored(before, steps, 0, 0, complete=False, violation=repr(broken))
    return Explored(before, steps, outcome.runs, outcome.interleavings, outcome.complete, None)


class Found(BaseException):
    """There is a violation, so there is no need to go on."""
