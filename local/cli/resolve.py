"""`bincheck resolve`: stores a person's finding, which closes the open alert of a bin."""

import getpass
from datetime import UTC, datetime
from typing import Annotated

import typer

from inventory.check import Check
from inventory.check_store import CheckStore
from inventory.errors import CannotWithdraw
from inventory.metadata import EXPECTED_QUANTITY_LIMIT
from inventory.workflow import review, withdraw_review
from local.cli.exits import fail
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import check_as_dict
from local.cli.terminal import out, print_json


def resolve(
    bin: Annotated[str, typer.Argument(metavar="BIN", help="<id>, or <site>/<id>.")],
    actual: Annotated[
        int | None,
        typer.Option(min=0, max=EXPECTED_QUANTITY_LIMIT, help="The number of objects that the bin held."),
    ] = None,
    false_alarm: Annotated[bool, typer.Option("--false-alarm", help="The record was right.")] = False,
    unclear: Annotated[bool, typer.Option("--unclear", help="The image does not show the number.")] = False,
    withdraw: Annotated[bool, typer.Option("--withdraw", help="Take the last finding of the bin back.")] = False,
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="The reviewed check as a JSON object.")] = False,
) -> None:
    """Store what a person found in a bin, and close its open alert.

    The finding is stored in the current check of the bin. `bincheck status` shows how many alerts were right.
    `bincheck export-labels` makes training labels from the findings. The command does not change the warehouse's own
    record: correct it there, and the next upload is checked.

    With [bold]--unclear[/] the bin leaves the queue, and its alert stays open. [bold]--withdraw[/] restores the finding
    before the last one; without one, the check is open again.

    [dim]$[/] bincheck resolve BOS1/523 --actual 4
    [dim]$[/] bincheck resolve BOS1/523 --false-alarm --stack bincheck
    [dim]$[/] bincheck resolve BOS1/523 --withdraw
    """
    if (actual is not None) + false_alarm + unclear + withdraw != 1:
        raise typer.BadParameter("give the finding: one of --actual N, --false-alarm, --unclear and --withdraw")
    deployed = resolve_stack(stack)
    store = deployed.checks
    check = store.find_current(bin)
    if check is None:
        fail("There is no check of bin {bin!r}. Ids are strings: 523 is not 00523.", bin=bin)
    if withdraw:
        reviewed = _withdraw(store, check)
    else:
        if false_alarm and (check.status == "match" or check.expected is None):
            fail("The last check of bin {bin} is a {it}, not a mismatch: give --actual N.", bin=bin, it=check.status)
        if unclear and check.predicted is None:
            fail("The last check of bin {bin} counted nothing, so there is nothing that its image could show.", bin=bin)
        found = check.expected if false_alarm else actual
        reviewed = review(store, check, found, datetime.now(UTC), getpass.getuser())
    if as_json:
        print_json(check_as_dict(reviewed, deployed.links))
    else:
        out.say("Bin {bin}: {finding}.", bin=bin, finding=_finding(reviewed))


def _withdraw(store: CheckStore, current: Check) -> Check:
    """Withdraw the last review of a bin, which may be that of an earlier check."""
    try:
        last = store.last_reviewed(current.subject) or current
        return withdraw_review(store, last, datetime.now(UTC), getpass.getuser())
    except CannotWithdraw as error:
        fail("{error}.", error=error)


def _finding(check: Check) -> str:
    known = f"recorded {check.expected}, seen {check.predicted}"
    if check.reviewed_at is None:
        return f"{known}, not reviewed any more"
    if check.actual is None:
        return f"{known}: the image does not show how many"
    known = f"{known}, found {check.actual}"
    if check.expected is None:
        return known
    return f"{known}: the record was {'right' if check.actual == check.expected else 'wrong'}"
