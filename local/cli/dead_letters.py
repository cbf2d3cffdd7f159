"""`bincheck dead-letters`: lists, redrives or archives the uploads and alerts that failed five times."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from local.cli.progress import working
from local.cli.stack_option import StackName, resolve_stack
from local.cli.terminal import out, print_json, quoted, quoted_lines
from local.stack import queues
from local.stack.dead_letters import DeadLetter, drop, list_dead_letters


def dead_letters(
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    redrive: Annotated[bool, typer.Option("--redrive", help="Send all of them back to their queues.")] = False,
    drop_all: Annotated[bool, typer.Option("--drop", help="Archive all of them in a file and delete them.")] = False,
    archive: Annotated[
        Path | None, typer.Option(dir_okay=False, help="File for --drop. Default: dead-letters-<time>.jsonl.")
    ] = None,
) -> None:
    """List the uploads that could not be checked and the alerts that could not be sent.

    Each failed at five attempts. The list shows the reason of the last failure, the oldest message first. Listing
    changes nothing. Correct the cause, then send the messages back with [bold]--redrive[/]. Delete messages that nobody
    needs with [bold]--drop[/], which appends them to a file first.

    [dim]$[/] bincheck dead-letters
    [dim]$[/] bincheck dead-letters --stack bincheck --redrive
    [dim]$[/] bincheck dead-letters --stack bincheck --drop --archive outage.jsonl
    """
    if as_json + redrive + drop_all > 1:
        raise typer.BadParameter("--json, --redrive and --drop: choose one")
    if archive and not drop_all:
        raise typer.BadParameter("--archive goes with --drop")
    deployed = resolve_stack(stack)
    if redrive:
        moved = _sum_with_status(queues.redrive(deployed), "Moving")
        out.say("{moved} dead letters moved back to their queues.", moved=moved)
    elif drop_all:
        archive = archive or Path(f"dead-letters-{datetime.now(UTC):%Y-%m-%dT%H-%M-%S}.jsonl")
        dropped = _sum_with_status(drop(deployed, archive), "Archiving")
        archived = f", archived in {archive}" if dropped else ""
        out.say("{dropped} dead letters dropped{archived}.", dropped=dropped, archived=archived)
    elif as_json:
        for letter in list_dead_letters(deployed):
            print_json({**letter.as_dict(), "age_minutes": round(_age(letter) / timedelta(minutes=1))})
    else:
        _show(list_dead_letters(deployed))


def _sum_with_status(steps: Iterable[int], doing: str) -> int:
    """The sum of the steps, shown while it grows."""
    total = 0
    with working(f"{doing} dead letters …") as update:
        for more in steps:
            total += more
            update(f"{doing} dead letters: {total}")
    return total


def _show(letters: list[DeadLetter]) -> None:
    if not letters:
        out.say("No dead letters.")
        return
    table = Table(header_style="bold")
    table.add_column("bin", overflow="fold")
    table.add_column("age", justify="right")
    table.add_column("sent at", style="dim", no_wrap=True)
    table.add_column("attempts", justify="right")
    table.add_column("reason", overflow="fold")
    for letter in letters:
        table.add_row(
            quoted_lines(letter.bins or ["-"]),
            _short_age(_age(letter)),
            f"{letter.sent_at:%Y-%m-%d %H:%M}",
            str(letter.attempts),
            quoted(letter.reason),
        )
    out.show(table)
    out.say("{number} dead letters. --redrive sends them back, --drop archives them.", number=len(letters))


def _age(letter: DeadLetter) -> timedelta:
    return datetime.now(UTC) - letter.sent_at


def _short_age(age: timedelta) -> str:
    for unit, length in (("d", timedelta(days=1)), ("h", timedelta(hours=1))):
        if age >= length:
            return f"{age // length}{unit}"
    return f"{age // timedelta(minutes=1)}m"
