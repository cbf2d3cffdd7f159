"""`bincheck show`: shows every check of a bin."""

import webbrowser
from typing import Annotated

import typer

from inventory.check import Check
from inventory.links import Links
from local.cli.exits import fail
from local.cli.review import desk_of
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import (
    check_as_dict,
    check_facts,
    checks_table,
    has_room_for_time,
    probabilities_chart,
    volume_comparison,
)
from local.cli.terminal import out, print_json


def show(
    bin: Annotated[str, typer.Argument(metavar="BIN", help="<id>, or <site>/<id>.")],
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per check.")] = False,
    open_image: Annotated[bool, typer.Option("--open", help="Open the image of the newest check.")] = False,
) -> None:
    """Show every check of a bin, the oldest first, and the model's answer in the last one.

    [bold]--open[/] opens the image in the browser, by an address that is valid for a few minutes.

    [dim]$[/] bincheck show 523
    [dim]$[/] bincheck show warehouse-7/523 --json
    [dim]$[/] bincheck show 523 --open
    """
    deployed = resolve_stack(stack)
    checks = deployed.checks.list_by_name(bin)
    if not checks:
        fail("There is no check of bin {bin!r}. Ids are strings: 523 is not 00523.", bin=bin)
    if as_json:
        for check in checks:
            print_json(check_as_dict(check, deployed.links))
    else:
        _print(checks, deployed.links)
    if open_image:
        desk = desk_of(deployed)
        url = next((url for check in reversed(checks) if (url := desk.image_url(check))), None)
        if url is None:
            fail("No check of bin {bin!r} has an image.", bin=bin)
        webbrowser.open(url)


def _print(checks: list[Check], links: Links) -> None:
    out.show(checks_table(checks, timed=has_room_for_time(out.width)))
    last = checks[-1]
    if last.probabilities:
        out.show(probabilities_chart(last))
    if volumes := volume_comparison(last):
        out.say("{volumes}", volumes=volumes)
    for check in checks:
        if check.reason:
            out.say("{checked_at}: {reason}", checked_at=check.checked_at, reason=check.reason)
    for name, value in check_facts(last, links):
        out.say("{name}: {value}", name=name, value=value)
