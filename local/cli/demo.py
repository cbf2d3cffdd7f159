"""`bincheck demo`: runs everything once, from an empty cloud to alerts, and stops it again."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from local import demo as run
from local.cli.exits import FAILED, INCOMPLETE, fail
from local.cli.progress import bar, steps, track_drop, working
from local.cli.stack_option import embedded
from local.cli.tables import alert_line, checks_table
from local.cli.terminal import out
from local.embedded.cloud import EmbeddedCloud
from local.embedded.sam import ROOT
from local.stack import dropping
from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack
from local.stack.subscription import subscribed

ROWS_SHOWN = 30
ALERTS_SHOWN = 5


def demo(
    bins: Annotated[
        str, typer.Argument(metavar="BINS", help="A folder or s3://bucket\\[/prefix] in the inbox layout.")
    ] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="The largest number of bins.")] = None,
) -> None:
    """Start the embedded cloud, upload bins, wait for their checks, show checks and alerts, and stop.

    The demo starts with an empty state each time. It does not touch the state of `bincheck up`. The exit code is 4 if
    some bins were not checked in time.

    [dim]$[/] bincheck demo
    [dim]$[/] bincheck demo ~/photos --limit 50
    [dim]$[/] bincheck demo s3://aft-vbi-pds --limit 50
    """
    with _only_one_demo(embedded().folder):
        _run(bins, limit)


def _run(bins: str, limit: int | None) -> None:
    source = bins or str(ROOT / "samples")
    next(dropping.find([source], Cloud.aws, limit=1))  # if there is nothing to upload, fail before anything starts
    cloud = EmbeddedCloud(embedded().folder / "demo")
    cloud.down(forget=True)
    started = time.monotonic()
    try:
        with steps(out) as report:
            stack = cloud.up(report)
        took_s = time.monotonic() - started
        out.say("The embedded cloud runs and template.yaml is deployed to it ({took_s:.0f} s).", took_s=took_s)
        findings = _drop_and_wait(stack, source, limit)
        problems = list(findings.problems())
        _print_findings(findings)
    finally:
        with working("Stopping what was started …"):
            cloud.down()
    for failure in findings.failures[:ROWS_SHOWN]:
        out.say("{key}: {reason}", style="red", key=failure.key, reason=failure.reason)
    for problem in problems:
        out.say("✗ {problem}. The logs are in {logs}", style="red", problem=problem, logs=cloud.logs)
    if findings.uploads_remaining or findings.statuses["unchecked"]:
        raise typer.Exit(INCOMPLETE)
    if problems:
        raise typer.Exit(FAILED)
    out.say("✓ Every bin was checked, every alert arrived once, queue and dead letters are empty.", style="green")
    _print_next_steps(bins)


@contextmanager
def _only_one_demo(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            fail("A demo runs already in this checkout. Wait for it to end.", cause=error)
        yield


def _drop_and_wait(stack: Stack, source: str, limit: int | None) -> run.Findings:
    dropped_bins = run.Bins()
    sources = dropping.find([source], Cloud.aws, limit=limit)
    with subscribed(stack) as subscription:
        for dropped in track_drop(dropping.drop(sources, stack), dropping.count([source], limit), out):
            dropped_bins.add(dropped)
        with bar(out) as progress:
            task = progress.add_task("Checking bins ", total=len(dropped_bins.parts))
            for checked in run.wait_until_checked(stack, dropped_bins):
                progress.update(task, advance=checked)
        return run.collect_findings(stack, dropped_bins, subscription)


def _print_findings(findings: run.Findings) -> None:
    checks = run.most_suspicious(findings.checks.values(), ROWS_SHOWN)
    left_out = len(findings.checks) - len(checks)
    out.show(checks_table(checks, timed=False))
    if left_out:
        out.say("… and {left_out} more.", left_out=left_out)
    counts = " + ".join(f"{number} {status}" for status, number in sorted(findings.statuses.items()))
    out.say("{number} bins = {counts}.", number=len(findings.checks), counts=counts)
    agreeing, compared = findings.agreement
    if compared:
        out.say(
            "The image does not dispute the record of {agreeing} of {compared} bins ({share:.1%}).",
            agreeing=agreeing,
            compared=compared,
            share=agreeing / compared,
        )
    out.say("What a subscriber received:", style="dim")
    for alert in sorted(findings.alerts, key=lambda alert: -(alert["suspicion"] or 0))[:ALERTS_SHOWN]:
        out.show(alert_line(alert))
    out.say("{number} alerts in all.", number=len(findings.alerts))


def _print_next_steps(bins: str) -> None:
    out.say("\nNext, with a cloud that stays:")
    if (ROOT / ".uv").is_dir():  # make found no uv, and installed one here
        out.say('  export PATH="{folder}:$PATH"', folder=ROOT / ".uv" / "bin")
    out.say(
        "  uv run bincheck up\n"
        "  uv run bincheck drop {bins}\n"
        "  uv run bincheck watch --severity high      (in another terminal)\n"
        "  uv run bincheck review                     (the image beside the record, in the browser)\n"
        "  uv run bincheck mismatches                 and  uv run bincheck show BIN\n"
        "The README says how to deploy the same template to AWS.",
        bins=bins or "samples",
    )
