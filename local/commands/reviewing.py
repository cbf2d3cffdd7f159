"""`bincheck resolve` and `export-labels`: what people found, and what a model can learn from it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from inventory.check import Check
from inventory.records import EXPECTED_QUANTITY_LIMIT
from inventory.workflow import review
from local.commands.checks import Since, values
from local.commands.place import StackName, chosen
from local.exits import FAILED
from local.reviews import export

console = Console()


def resolve(
    bin: Annotated[str, typer.Argument(metavar="BIN", help="<id>, or <site>/<id>.")],
    actual: Annotated[
        int | None,
        typer.Option(min=0, max=EXPECTED_QUANTITY_LIMIT, help="How many objects the bin held when it was pictured."),
    ] = None,
    false_alarm: Annotated[bool, typer.Option("--false-alarm", help="The record was right.")] = False,
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="The reviewed check as a JSON object.")] = False,
) -> None:
    """Record what a person found in a bin, which ends its open matter.

    The finding goes to the check that speaks for the bin now. `bincheck status` tells how often alerts were right, and
    `bincheck export-labels` makes training labels of findings. The warehouse's own record is not changed: correct it
    where it is kept, and the next upload is checked.

    [dim]$[/] bincheck resolve BOS1/523 --actual 4
    [dim]$[/] bincheck resolve BOS1/523 --false-alarm --stack bincheck
    """
    if (actual is None) != false_alarm:
        raise typer.BadParameter("say what was found: --actual N or --false-alarm, one of them")
    store = chosen(stack).checks
    check = store.find_current(bin)
    if check is None:
        _fail(f"There is no check of bin {bin!r}. Ids are strings: 523 is not 00523.")
    if false_alarm and (check.status == "match" or check.expected is None):
        _fail(f"The last check of bin {bin} is a {check.status}, no alarm about a number: say --actual N.")
    found = check.expected if actual is None else actual
    reviewed = review(store, check, found or 0, datetime.now(UTC))
    if as_json:
        typer.echo(json.dumps(values(reviewed)))
    else:
        console.print(f"Bin {bin}: {_told(reviewed)}.", highlight=False)


def export_labels(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write; made if it is not there.")],
    stack: StackName = None,
    since: Since = "52w",  # type: ignore[assignment]
) -> None:
    """Make training labels of what people found: pictures, records that say what was there, and index.csv.

    The folder is in the inbox layout, so [bold]python -m training.prepare --source FOLDER[/] takes it as it is.
    Pictures that were replaced since the review are skipped. Where LabelsBucket is set, upload index.csv last.

    [dim]$[/] bincheck export-labels reviewed --since 26w
    [dim]$[/] bincheck export-labels reviewed --stack bincheck
    """
    deployed = chosen(stack)
    reviewed = deployed.checks.list_open("reviewed", since, datetime.now(UTC))
    exported = 0
    for each in export(reviewed, deployed.cloud.s3(), folder):
        exported += each.outcome == "exported"
        if each.reason:
            console.print(f"{each.bin} skipped: {each.reason}", highlight=False)
    if not exported:
        _fail(f"No reviewed picture since {since:%Y-%m-%d}: record findings with `bincheck resolve`.")
    console.print(f"{exported} labelled bins in {folder}: train with `make train DATA={folder}`.", highlight=False)


def _told(check: Check) -> str:
    known = f"recorded {check.expected}, seen {check.predicted}, found {check.actual}"
    if check.expected is None:
        return known
    return f"{known}: the record was {'right' if check.actual == check.expected else 'wrong'}"


def _fail(message: str) -> NoReturn:
    Console(stderr=True).print(message, highlight=False)
    raise typer.Exit(FAILED)
