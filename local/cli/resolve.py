"""`bincheck resolve`: stores a person's finding, which closes the open alert of a bin."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from inventory.check import Check
from inventory.metadata import EXPECTED_QUANTITY_LIMIT
from inventory.workflow import review
from local.cli.exits import fail
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import check_as_dict

console = Console()


def resolve(
    bin: Annotated[str, typer.Argument(metavar="BIN", help="<id>, or <site>/<id>.")],
    actual: Annotated[
        int | None,
        typer.Option(min=0, max=EXPECTED_QUANTITY_LIMIT, help="The number of objects that the bin held."),
    ] = None,
    false_alarm: Annotated[bool, typer.Option("--false-alarm", help="The record was right.")] = False,
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="The reviewed check as a JSON object.")] = False,
) -> None:
    """Store what a person found in a bin, and close its open alert.

    The finding is stored in the current check of the bin. `bincheck status` shows how many alerts were right.
    `bincheck export-labels` makes training labels from the findings. The command does not change the warehouse's own
    record: correct it there, and the next upload is checked.

    [dim]$[/] bincheck resolve BOS1/523 --actual 4
    [dim]$[/] bincheck resolve BOS1/523 --false-alarm --stack bincheck
    """
    if (actual is None) != false_alarm:
        raise typer.BadParameter("give the finding: either --actual N or --false-alarm")
    store = resolve_stack(stack).checks
    check = store.find_current(bin)
    if check is None:
        fail(f"There is no check of bin {bin!r}. Ids are strings: 523 is not 00523.")
    if false_alarm and (check.status == "match" or check.expected is None):
        fail(f"The last check of bin {bin} is a {check.status}, not a mismatch: give --actual N.")
    found = check.expected if actual is None else actual
    reviewed = review(store, check, found or 0, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(check_as_dict(reviewed)))
    else:
        console.print(f"Bin {bin}: {_finding(reviewed)}.", highlight=False)


def _finding(check: Check) -> str:
    known = f"recorded {check.expected}, seen {check.predicted}, found {check.actual}"
    if check.expected is None:
        return known
    return f"{known}: the record was {'right' if check.actual == check.expected else 'wrong'}"
