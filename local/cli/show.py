"""`bincheck show`: shows every check of a bin."""

import json
from typing import Annotated

import typer
from rich.console import Console

from local.cli.exits import fail
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import check_as_dict, checks_table, probabilities_chart, volume_comparison

console = Console()


def show(
    bin: Annotated[str, typer.Argument(metavar="BIN", help="<id>, or <site>/<id>.")],
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
) -> None:
    """Show every check of a bin, the oldest first, and the model's answer in the last one.

    [dim]$[/] bincheck show 523
    [dim]$[/] bincheck show warehouse-7/523 --json
    """
    checks = resolve_stack(stack).checks.list_by_name(bin)
    if not checks:
        fail(f"There is no check of bin {bin!r}. Ids are strings: 523 is not 00523.")
    if as_json:
        for check in checks:
            typer.echo(json.dumps(check_as_dict(check)))
        return
    console.print(checks_table(checks))
    last = checks[-1]
    if last.probabilities:
        console.print(probabilities_chart(last))
    if volumes := volume_comparison(last):
        console.print(volumes, highlight=False)
    for check in checks:
        if check.reason:
            console.print(f"{check.checked_at}: {check.reason}", highlight=False)
