"""`bincheck backfill`: what lies in a bucket already gets its check."""

from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console

from local.aws import Stack
from local.backfill import Place, enqueue, follow, listed
from local.commands.place import StackName, chosen
from local.exits import INCOMPLETE
from local.progress import bar
from local.queues import depth
from training.jobs.check_costs import backfill_usd, quantities
from training.jobs.costs import prices

MISMATCHES = 0.5
"""Share of bins that is reckoned to mismatch, as docs/costs.md does."""
console = Console(highlight=False, soft_wrap=True, markup=False)


def backfill(
    address: Annotated[str, typer.Argument(metavar="s3://BUCKET[/PREFIX]", help="The inbox, or BackfillBucket.")],
    stack: StackName = None,
    recheck: Annotated[
        bool, typer.Option("--recheck", help="Ask the model in service also where another one has answered.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count, and tell cost and time.")] = False,
) -> None:
    """Check the bins that lie in a bucket already, beside live uploads and without delaying them.

    What was checked already is found, not counted again, so running it twice does no harm. Interrupted while it lists,
    it goes on there when it is run again; once everything is enqueued, the cloud works it off by itself. Exit code 4
    when it was interrupted, or some bins failed.

    [dim]$[/] bincheck backfill s3://bincheck-inbox-111122223333-us-east-1 --stack bincheck --dry-run
    [dim]$[/] bincheck backfill s3://bincheck-inbox-111122223333-us-east-1/BOS1 --stack bincheck
    [dim]$[/] bincheck backfill s3://bincheck-inbox-111122223333-us-east-1 --stack bincheck --recheck
    """
    deployed = chosen(stack)
    place = Place.of(address, deployed)
    if dry_run:
        _tell_costs(deployed, place)
        return
    before = depth(deployed, deployed.dead_letters_url)
    try:
        enqueued = _enqueue(deployed, place, recheck)
        _follow(deployed, enqueued)
    except KeyboardInterrupt:
        raise typer.Exit(INCOMPLETE) from None
    failed = depth(deployed, deployed.dead_letters_url) - before
    if failed > 0:
        console.print(f"{failed} messages ended in the dead letters: `bincheck dead-letters` says why.")
        raise typer.Exit(INCOMPLETE)
    console.print("Everything is checked: `bincheck mismatches` lists what disagrees.")


def _enqueue(stack: Stack, place: Place, recheck: bool) -> int:
    enqueued = strays = 0
    with console.status("Listing …") as status:
        try:
            for page in enqueue(stack, place, recheck=recheck):
                enqueued, strays = enqueued + len(page.uploads), strays + page.strays
                status.update(f"Enqueuing: {enqueued:,} bins")
        except KeyboardInterrupt:
            console.print(f"Stopped after {enqueued:,} bins, which are checked. Run the same again: it goes on there.")
            raise
    console.print(f"{enqueued:,} bins enqueued{_left_out(strays)}.")
    return enqueued


def _follow(stack: Stack, enqueued: int) -> None:
    total = enqueued
    try:
        with bar(console) as progress:
            task = progress.add_task("Checking bins", total=total)
            for left in follow(stack):
                total = max(total, left)
                progress.update(task, total=total, completed=total - left)
    except KeyboardInterrupt:
        console.print("No longer watching. The rest is checked all the same: `bincheck status` tells how many wait.")
        raise


def _tell_costs(stack: Stack, place: Place) -> None:
    bins = strays = 0
    with console.status("Listing …") as status:
        for page in listed(stack, place):
            bins, strays = bins + len(page.uploads), strays + page.strays
            status.update(f"Listing: {bins:,} bins")
    look_s = quantities()["lambda"]["upload_ms"] / 1000
    checkers = stack.backfill_concurrency
    took = timedelta(seconds=round(bins * look_s / checkers))
    console.print(
        f"{bins:,} bins below {place}{_left_out(strays)}.\n"
        f"Cost in AWS: at most {backfill_usd(bins, MISMATCHES):.2f} USD (us-east-1, {prices()['as_of']}) besides the "
        f"endpoint.\n"
        f"Time: about {took} (h:mm:ss) by {checkers} Checkers at once, taking a look for {look_s:g} s (assumed).\n"
        "Bins that are checked already cost less, and no call of the endpoint unless --recheck asks for it."
    )


def _left_out(strays: int) -> str:
    return f"; {strays:,} files without a place in the layout left out" if strays else ""
