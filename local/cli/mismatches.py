"""`bincheck mismatches`: lists the bins whose image and record disagree, and the other open lists."""

import csv
import json
import sys
from datetime import UTC, datetime
from typing import Annotated, get_args

import typer
from rich.console import Console

from inventory.check import OpenList
from local.cli.since_option import Since
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import check_as_dict, checks_table

CSV_COLUMNS = (
    "bin", "status", "expected", "predicted", "difference", "suspicion", "severity",
    "checked_at", "alerted_at", "image", "metadata", "model", "reason", "check_id", "actual", "reviewed_at",
)  # fmt: skip
console = Console()


def mismatches(
    stack: StackName = None,
    since: Since = "7d",  # type: ignore[assignment]
    kind: Annotated[str, typer.Option(help=f"One of {', '.join(get_args(OpenList))}.")] = "mismatch",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table for a spreadsheet.")] = False,
) -> None:
    """List the bins whose image disagrees with the record, the most suspicious first.

    A bin is listed until a newer image or record of it is checked, or a person reviews it ([bold]bincheck resolve[/]).
    The other kinds are [bold]rejected[/] (could not be checked), [bold]unpaired[/] (alerted because its partner is
    missing), [bold]waiting[/] (not alerted yet) and [bold]reviewed[/] (reviewed by a person).

    [dim]$[/] bincheck mismatches
    [dim]$[/] bincheck mismatches --since 12h --csv > mismatches.csv
    [dim]$[/] bincheck mismatches --stack bincheck --json | jq 'select(.severity == "high")'
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv: choose one")
    if kind not in get_args(OpenList):
        raise typer.BadParameter(f"--kind {kind}: one of {', '.join(get_args(OpenList))}")
    found = resolve_stack(stack).checks.list_open(kind, since, datetime.now(UTC))  # type: ignore[arg-type]
    checks = sorted(found, key=lambda check: check.suspicion or 0, reverse=True)
    if as_json:
        for check in checks:
            typer.echo(json.dumps(check_as_dict(check)))
    elif as_csv:
        writer = csv.DictWriter(sys.stdout, CSV_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(map(check_as_dict, checks))
    elif checks:
        console.print(checks_table(checks))
    else:
        console.print(f"No {kind} since {since:%Y-%m-%d %H:%M}.", highlight=False)
