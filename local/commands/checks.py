"""`bincheck mismatches` and `show`: what was found."""

import csv
import json
import re
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, get_args

import typer
from rich.console import Console

from inventory.check import Check, OpenList
from local.checks_table import checks_table, probabilities_chart, volumes_told
from local.commands.place import StackName, chosen
from local.exits import FAILED

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
CSV_COLUMNS = (
    "bin", "status", "expected", "predicted", "difference", "suspicion", "severity",
    "checked_at", "alerted_at", "image", "metadata", "model", "reason", "check_id", "actual", "reviewed_at",
)  # fmt: skip
console = Console()


def _moment(text: str) -> datetime:
    ago = re.fullmatch(r"(\d{1,5})([mhdw])", text)
    if ago:
        return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither like 30m, 12h, 7d, 4w nor a date like 2026-11-21") from error
    return moment if moment.tzinfo else moment.astimezone()


Since = Annotated[datetime, typer.Option(parser=_moment, metavar="AGO", help="30m, 12h, 7d, 4w or a date.")]


def mismatches(
    stack: StackName = None,
    since: Since = "7d",  # type: ignore[assignment]
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(get_args(OpenList))}.")] = "mismatch",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table for a spreadsheet.")] = False,
) -> None:
    """List the bins whose picture disagrees with the record, the most suspicious first.

    A bin stands here until a newer picture or record of it is checked, or a person has looked ([bold]bincheck
    resolve[/]). Other kinds: [bold]rejected[/] (could not be checked), [bold]unpaired[/] (alerted for want of a
    partner), [bold]waiting[/] (not yet alerted), [bold]reviewed[/] (a person has looked).

    [dim]$[/] bincheck mismatches
    [dim]$[/] bincheck mismatches --since 12h --csv > mismatches.csv
    [dim]$[/] bincheck mismatches --stack bincheck --json | jq 'select(.severity == "high")'
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv: choose one")
    if kind not in get_args(OpenList):
        raise typer.BadParameter(f"--kind {kind}: one of {', '.join(get_args(OpenList))}")
    found = chosen(stack).checks.list_open(kind, since, datetime.now(UTC))  # type: ignore[arg-type]
    checks = sorted(found, key=lambda check: check.suspicion or 0, reverse=True)
    if as_json:
        for check in checks:
            typer.echo(json.dumps(values(check)))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, CSV_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(map(values, checks))
    elif checks:
        console.print(checks_table(checks))
    else:
        console.print(f"No {kind} since {since:%Y-%m-%d %H:%M}.", highlight=False)


def show(
    bin: Annotated[str, typer.Argument(metavar="BIN", help="<id>, or <site>/<id>.")],
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
) -> None:
    """Show every check of a bin, the oldest first, and what the model saw in the last one.

    [dim]$[/] bincheck show 523
    [dim]$[/] bincheck show warehouse-7/523 --json
    """
    checks = chosen(stack).checks.list_by_name(bin)
    if not checks:
        Console(stderr=True).print(f"There is no check of bin {bin!r}. Ids are strings: 523 is not 00523.")
        raise typer.Exit(FAILED)
    if as_json:
        for check in checks:
            typer.echo(json.dumps(values(check)))
        return
    console.print(checks_table(checks))
    last = checks[-1]
    if last.probabilities:
        console.print(probabilities_chart(last))
    if volumes := volumes_told(last):
        console.print(volumes, highlight=False)
    for check in checks:
        if check.reason:
            console.print(f"{check.checked_at}: {check.reason}", highlight=False)


def values(check: Check) -> dict[str, object]:
    """A check as commands print it in JSON."""
    return {**asdict(check), "check_id": check.check_id}
