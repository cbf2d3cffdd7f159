"""The full soak, in an embedded cloud of its own with the real endpoint.

python -m tests.resilience --uploads 10000 --seed 1 --out runs/soak

Ends with 1 when a promise was broken. Real bins join the rendered ones where BINCHECK_BINS names a folder of them.
"""

import json
import os
import signal
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from local.cli.progress import bar, steps
from local.embedded.cloud import EmbeddedCloud
from local.embedded.service import Service
from samples.render import write_training_set
from tests.resilience import figures
from tests.resilience.soak import Moment, Settings, album, soak
from tests.resilience.uploads import images_in, plan

SAMPLES = Path(__file__).parents[2] / "samples"
RENDERED = 60
REAL = 600
TOLD = 20
"""Bins that are rendered for the occasion, real bins at most, and broken promises that are told one by one."""


def main(
    uploads: Annotated[int, typer.Option(help="Uploads in pairs; some are dropped again or replaced on top.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Draws the uploads and the faults.")] = 1,
    out: Annotated[Path, typer.Option(help="Where figures and plot go.")] = Path("runs/soak"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Drop bins while calls go wrong and functions are killed, and judge what is left behind."""
    console = Console(stderr=as_json)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        cloud = EmbeddedCloud(Path(folder) / "cloud")
        try:
            with steps(console) as report:
                stack = cloud.up(report)
                report("Rendering bins")
                write_training_set(Path(folder) / "rendered", RENDERED, seed)
                bins = images_in([SAMPLES, Path(folder) / "rendered"], most=RENDERED + REAL)
                if real := os.environ.get("BINCHECK_BINS"):
                    bins += images_in([Path(real)], most=REAL)
                report(f"Counting {len(bins)} images while nothing goes wrong")
                images = album(stack, bins)
            running = Service(cloud.folder, "cloud", "/").running()
            assert running
            planned = plan(uploads, images, seed, "soak", curses=True)
            with bar(console) as progress:
                dropping = progress.add_task("Uploads", total=len(planned.drops))
                done = progress.add_task("done", total=len(planned.drops))

                def show(moment: Moment) -> None:
                    progress.update(dropping, completed=moment.uploads)
                    progress.update(done, completed=max(0, moment.uploads - moment.waiting))

                outcome = soak(stack, running.pid, planned, seed, Settings(), show)
        finally:
            cloud.down()
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.json").write_text(figures.as_json(outcome) + "\n")
    (out / "soak.svg").write_text(figures.plot(outcome))
    (out / "broken.json").write_text(json.dumps([asdict(violation) for violation in outcome.violations], indent=1))
    console.print(figures.table(outcome))
    for violation in outcome.violations[:TOLD]:
        console.print(f"[red]{violation.broken}[/]: {violation.bin} {violation.how}", highlight=False)
    console.print(f"Figures and plot: {out}", highlight=False)
    if as_json:
        typer.echo(figures.as_json(outcome))
    if outcome.violations:
        raise typer.Exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the cloud is stopped however this ends
    typer.run(main)
