"""`bincheck watch`: alerts as they happen."""

import json
import sys
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.text import Text

from inventory.check import Kind
from local.commands.place import StackName, chosen
from local.subscription import Alert, FilterPolicy, subscribed

POLL_S = 20
SEVERITIES = ("low", "medium", "high")
STYLES = {"high": "bold red", "medium": "yellow", "low": "dim"}
Choices = list[str]


def watch(
    stack: StackName = None,
    severity: Annotated[Choices | None, typer.Option(help="low, medium or high; may be repeated.")] = None,
    direction: Annotated[Choices | None, typer.Option(help="missing or extra.")] = None,
    kind: Annotated[Choices | None, typer.Option(help="mismatch, rejected, unpaired or resolved.")] = None,
    site: Annotated[Choices | None, typer.Option(help="Only this site.")] = None,
    suspicion: Annotated[float | None, typer.Option(min=0, max=1, help="At least so suspicious.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Show alerts as they happen, until Ctrl-C.

    A queue of its own is subscribed to the alerts, with a filter policy for what you want to see, and removed
    at the end.

    [dim]$[/] bincheck watch
    [dim]$[/] bincheck watch --severity high --direction missing
    [dim]$[/] bincheck watch --stack bincheck --site warehouse-7 --json
    """
    wanted = filter_policy(severity, direction, kind, site, suspicion)
    told = Console(stderr=True)
    with subscribed(chosen(stack), wanted) as subscription:
        told.print(f"Waiting for alerts{f' with {json.dumps(wanted)}' if wanted else ''}. Ctrl-C ends it.", style="dim")
        try:
            while True:
                for alert in subscription.receive(POLL_S):
                    _tell(alert, as_json)
        except KeyboardInterrupt:
            told.print("Unsubscribing …", style="dim")


def filter_policy(
    severity: Choices | None = None,
    direction: Choices | None = None,
    kind: Choices | None = None,
    site: Choices | None = None,
    suspicion: float | None = None,
) -> FilterPolicy:
    """The SNS filter policy for what a listener asks for.

    Raises:
        typer.BadParameter: a value that no alert ever has.
    """
    known = {
        "severity": SEVERITIES,
        "direction": ("missing", "extra"),
        "kind": get_args(Kind),
    }
    asked = {"severity": severity, "direction": direction, "kind": kind, "site": site}
    for name, values in asked.items():
        for value in values or ():
            if name in known and value not in known[name]:
                raise typer.BadParameter(f"--{name} {value}: one of {', '.join(known[name])}")
    policy: dict[str, list[object]] = {name: list(values) for name, values in asked.items() if values}
    if suspicion is not None:
        policy["suspicion"] = [{"numeric": [">=", suspicion]}]
    return policy


def _tell(alert: Alert, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(alert))
    else:
        Console().print(line(alert))
    sys.stdout.flush()


def line(alert: Alert) -> Text:
    """An alert in one line."""
    said = f"{alert['checked_at'][:19]}  {alert['bin']}  "
    if alert["kind"] == "mismatch":
        direction = "missing" if alert["difference"] < 0 else "extra"
        said += (
            f"recorded {alert['expected']}, seen {alert['predicted']}: {abs(alert['difference'])} {direction}, "
            f"suspicion {alert['suspicion']:.0%} ({alert['severity']})"
        )
    elif alert["kind"] == "resolved":
        said += f"in order again: recorded {alert['expected']}, seen {alert['predicted']}"
    elif alert["kind"] == "rejected":
        said += f"rejected: {alert['reason']}"
    else:
        said += f"{'metadata' if alert['image'] else 'picture'} never came"
    return Text(said, STYLES.get(alert["severity"] or "", ""))
