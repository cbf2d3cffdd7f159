"""`bincheck show`: shows every check of a bin."""

import json
import webbrowser
from typing import Annotated

import typer
from rich.console import Console

from inventory.alert_text import one_line
from inventory.check import Check
from local.cli.exits import fail
from local.cli.review import desk_of
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import check_as_dict, checks_table, link_lines, probabilities_chart, volume_comparison

console = Console()


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
        fail(f"There is no check of bin {bin!r}. Ids are strings: 523 is not 00523.")
    if as_json:
        for check in checks:
            typer.echo(json.dumps(check_as_dict(check, deployed.links)))
    else:
        _print(checks)
        for line in link_lines(checks[-1:], deployed.links):
            console.print(line, soft_wrap=True)
    if open_image:
        desk = desk_of(deployed)
        url = next((url for check in reversed(checks) if (url := desk.image_url(check))), None)
        if url is None:
            fail(f"No check of bin {bin!r} has an image.")
        webbrowser.open(url)


def _print(checks: list[Check]) -> None:
    console.print(checks_table(checks))
    last = checks[-1]
    if last.probabilities:
        console.print(probabilities_chart(last))
    if volumes := volume_comparison(last):
        console.print(volumes, highlight=False)
    for check in checks:
        if check.reason:
            console.print(f"{check.checked_at}: {one_line(check.reason)}", highlight=False, markup=False)
