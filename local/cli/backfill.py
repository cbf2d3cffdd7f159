"""`bincheck backfill`: checks the bins that a bucket holds already."""

from datetime import timedelta
from typing import Annotated

import typer

from costs.check_costs import backfill_usd, quantities
from costs.prices import prices
from local.cli.exits import INCOMPLETE
from local.cli.progress import bar, working
from local.cli.stack_option import StackName, resolve_stack
from local.cli.terminal import out
from local.stack.backfill import Location, enqueue, follow, list_uploads
from local.stack.deployed_stack import Stack
from local.stack.queues import depth

MISMATCHES = 0.5
"""Assumed share of bins that mismatch, as in docs/costs.md."""
LEAST_SHOWN_USD = 0.01


def backfill(
    address: Annotated[
        str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", help="The inbox, BackfillBucket or UploadsBucket.")
    ],
    stack: StackName = None,
    recheck: Annotated[bool, typer.Option("--recheck", help="Count again if another model has answered.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count the bins, and print cost and time.")] = False,
) -> None:
    """Check the bins that a bucket holds already. Live uploads are not delayed.

    A bin that has its check is not counted again, so a second run does no harm. If the command is interrupted while it
    lists the bucket, the next run resumes there. When everything is enqueued, the cloud checks it without this command.
    The exit code is 4 if the command was interrupted or some bins failed.

    [dim]$[/] bincheck backfill s3://bincheck-inbox-111122223333-us-east-1 --stack bincheck --dry-run
    [dim]$[/] bincheck backfill s3://bincheck-inbox-111122223333-us-east-1/BOS1 --stack bincheck
    [dim]$[/] bincheck backfill s3://bincheck-inbox-111122223333-us-east-1 --stack bincheck --recheck
    """
    deployed = resolve_stack(stack)
    location = Location.parse(address, deployed)
    if dry_run:
        _print_estimate(deployed, location)
        return
    before = depth(deployed, deployed.dead_letters_url)
    try:
        enqueued = _enqueue(deployed, location, recheck)
        _follow(deployed, enqueued)
    except KeyboardInterrupt:
        raise typer.Exit(INCOMPLETE) from None
    failed = depth(deployed, deployed.dead_letters_url) - before
    if failed > 0:
        out.say("{failed} messages ended in the dead letters: `bincheck dead-letters` says why.", failed=failed)
        raise typer.Exit(INCOMPLETE)
    out.say("Everything is checked: `bincheck mismatches` lists what disagrees.")


def _enqueue(stack: Stack, location: Location, recheck: bool) -> int:
    enqueued = strays = 0
    with working("Listing …") as update:
        try:
            for page in enqueue(stack, location, recheck=recheck):
                enqueued, strays = enqueued + len(page.uploads), strays + page.strays
                update(f"Enqueuing: {enqueued:,} bins")
        except KeyboardInterrupt:
            out.say(
                "Stopped after {enqueued:,} bins, which are checked. Run the command again to resume there.",
                enqueued=enqueued,
            )
            raise
    out.say("{enqueued:,} bins enqueued{strays}.", enqueued=enqueued, strays=_strays_text(strays))
    return enqueued


def _follow(stack: Stack, enqueued: int) -> None:
    total = enqueued
    try:
        with bar(out) as progress:
            task = progress.add_task("Checking bins", total=total)
            for remaining in follow(stack):
                total = max(total, remaining)
                progress.update(task, total=total, completed=total - remaining)
    except KeyboardInterrupt:
        out.say("No longer watching. The rest is still checked: `bincheck status` shows how many bins wait.")
        raise


def _print_estimate(stack: Stack, location: Location) -> None:
    bins = strays = 0
    with working("Listing …") as update:
        for page in list_uploads(stack, location):
            bins, strays = bins + len(page.uploads), strays + page.strays
            update(f"Listing: {bins:,} bins")
    check_s = quantities()["lambda"]["upload_ms"] / 1000
    checkers = stack.backfill_concurrency
    duration = timedelta(seconds=round(bins * check_s / checkers))
    cost_usd = backfill_usd(bins, MISMATCHES)
    out.say(
        "{bins:,} bins below {location}{strays}.\n"
        "Cost in AWS: {cost} USD (us-east-1, {as_of}) besides the endpoint.\n"
        "Time: about {duration} (h:mm:ss) with {checkers} concurrent Checkers and {check_s:g} s a bin (assumed).\n"
        "Bins that are checked already cost less. They cause no call of the endpoint, except with --recheck.",
        bins=bins,
        location=location,
        strays=_strays_text(strays),
        cost="under 0.01" if 0 < cost_usd < LEAST_SHOWN_USD else f"at most {cost_usd:.2f}",
        as_of=prices()["as_of"],
        duration=duration,
        checkers=checkers,
        check_s=check_s,
    )


def _strays_text(strays: int) -> str:
    return f"; {strays:,} files outside the layout skipped" if strays else ""
