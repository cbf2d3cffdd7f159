"""`bincheck logs`: shows what the functions logged."""

from contextlib import suppress
from typing import Annotated

import typer

from local.cli.since_option import Since
from local.cli.stack_option import StackName, resolve_stack
from local.cli.terminal import err, out
from local.stack.logs import read_logs

FUNCTIONS = ("Alerter", "Checker", "Counter", "Reporter", "Review", "Watchdog")


def _matching(incomplete: str) -> list[str]:
    return [name for name in FUNCTIONS if name.lower().startswith(incomplete.lower())]


def logs(
    function: Annotated[
        str | None,
        typer.Argument(metavar="FUNCTION", autocompletion=_matching, help=f"{', '.join(FUNCTIONS)}; all without it."),
    ] = None,
    stack: StackName = None,
    since: Since = "1h",  # type: ignore[assignment]
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines, until Ctrl-C.")] = False,
) -> None:
    """Show what the functions logged, each function's oldest line first.

    [dim]$[/] bincheck logs Checker --since 10m
    [dim]$[/] bincheck logs --follow --stack bincheck
    """
    found = False
    with suppress(KeyboardInterrupt):
        for line in read_logs(resolve_stack(stack), function, since, follow=follow):
            found = True
            out.say(
                "{at:%Y-%m-%dT%H:%M:%SZ}  {function}  {text}", at=line.logged_at, function=line.function, text=line.text
            )
    if not found:
        err.say("Nothing was logged since {since:%Y-%m-%d %H:%M}.", since=since)
