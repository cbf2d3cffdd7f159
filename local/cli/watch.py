"""`bincheck watch`: shows alerts as they happen."""

import json
import sys
from typing import Annotated, get_args

import typer
from rich.console import Console

from inventory.check import Kind
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import alert_line
from local.stack.subscription import Alert, FilterPolicy, subscribed

POLL_S = 20
SEVERITIES = ("low", "medium", "high")
Choices = list[str]


def watch(
    stack: StackName = None,
    severity: Annotated[Choices | None, typer.Option(help="low, medium or high; may be repeated.")] = None,
    direction: Annotated[Choices | None, typer.Option(help="missing or extra.")] = None,
    kind: Annotated[Choices | None, typer.Option(help="mismatch, rejected, unpaired or resolved.")] = None,
    site: Annotated[Choices | None, typer.Option(help="Only this site.")] = None,
    suspicion: Annotated[float | None, typer.Option(min=0, max=1, help="The lowest suspicion.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Show alerts as they happen, until Ctrl-C.

    The command subscribes a temporary queue to the alerts, with a filter policy for the options, and removes it at the
    end.

    [dim]$[/] bincheck watch
    [dim]$[/] bincheck watch --severity high --direction missing
    [dim]$[/] bincheck watch --stack bincheck --site warehouse-7 --json
    """
    wanted = filter_policy(severity, direction, kind, site, suspicion)
    stderr = Console(stderr=True)
    with subscribed(resolve_stack(stack), wanted) as subscription:
        stderr.print(
            f"Waiting for alerts{f' with {json.dumps(wanted)}' if wanted else ''}. Ctrl-C ends it.", style="dim"
        )
        try:
            while True:
                for alert in subscription.receive(POLL_S):
                    _print_alert(alert, as_json)
        except KeyboardInterrupt:
            stderr.print("Unsubscribing …", style="dim")


def filter_policy(
    severity: Choices | None = None,
    direction: Choices | None = None,
    kind: Choices | None = None,
    site: Choices | None = None,
    suspicion: float | None = None,
) -> FilterPolicy:
    """The SNS filter policy for the requested alerts.

    Raises:
        typer.BadParameter: no alert has such a value.
    """
    known = {
        "severity": SEVERITIES,
        "direction": ("missing", "extra"),
        "kind": get_args(Kind),
    }
    requested = {"severity": severity, "direction": direction, "kind": kind, "site": site}
    for name, values in requested.items():
        for value in values or ():
            if name in known and value not in known[name]:
                raise typer.BadParameter(f"--{name} {value}: one of {', '.join(known[name])}")
    policy: dict[str, list[object]] = {name: list(values) for name, values in requested.items() if values}
    if suspicion is not None:
        policy["suspicion"] = [{"numeric": [">=", suspicion]}]
    return policy


def _print_alert(alert: Alert, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(alert))
    else:
        Console().print(alert_line(alert))
    sys.stdout.flush()
