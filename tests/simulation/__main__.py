"""Every interleaving of small histories, as many as asked for, and how many there were.

    python -m tests.simulation --runs 100000

Ends with 1 when something does not hold.
"""

import random
import time
from itertools import chain
from typing import Annotated

import typer
from rich.console import Console

from local.cli.progress import bar
from tests.simulation.exploration import explored
from tests.simulation.histories import histories

SHOWN = 10


def main(
    runs: Annotated[int, typer.Option(help="Runs at least; pairs are gone through whole.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Draws the histories of three events at once.")] = 1,
) -> None:
    """Go through all orders of all pairs of events, then of triples, until there were so many runs."""
    console = Console()
    triples = list(histories(3))
    random.Random(seed).shuffle(triples)
    carried_out = interleavings = gone_through = whole = 0
    violations = []
    started = time.monotonic()
    with bar(console) as progress:
        task = progress.add_task("Interleavings", total=runs)
        for number, history in enumerate(chain(histories(2), triples)):
            if carried_out >= runs and number >= sum(1 for _ in histories(2)):
                break
            found = explored(*history, versions=bool(number % 2))
            carried_out, interleavings = carried_out + found.runs, interleavings + found.interleavings
            gone_through, whole = gone_through + 1, whole + found.complete
            if found.violation:
                violations.append(found)
            progress.update(task, completed=min(carried_out, runs))
    console.print(
        f"{carried_out:,} runs of {gone_through:,} histories ({whole:,} of them gone through whole) stand for "
        f"{interleavings:,} interleavings: {len(violations)} violations, {time.monotonic() - started:.0f} s",
        highlight=False,
    )
    for found in violations[:SHOWN]:
        console.print(f"{found.before} | {found.steps}: {found.violation}", highlight=False, markup=False)
    raise typer.Exit(bool(violations))


if __name__ == "__main__":
    typer.run(main)
