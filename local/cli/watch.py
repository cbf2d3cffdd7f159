"""`bincheck watch`: shows alerts as they happen."""

import json
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from inventory.alerts import sendable
from local.cli.filter_options import (
    DirectionOption,
    KindOption,
    SeverityOption,
    SiteOption,
)
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import alert_line
from local.cli.terminal import err, out, print_json, quoted
from local.stack.subscription import Alert, FilterPolicy, subscribed

POLL_S = 20


def watch(
    stack: StackName = None,
    severity: SeverityOption = None,
    direction: DirectionOption = None,
    kind: KindOption = None,
    site: SiteOption = None,
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
    with subscribed(resolve_stack(stack), wanted) as subscription:
        filtered = f" with {json.dumps(wanted)}" if wanted else ""
        err.say("Waiting for alerts{filtered}. Ctrl-C ends it.", style="dim", filtered=filtered)
        try:
            while True:
                for alert in subscription.receive(POLL_S):
                    print_alert(alert, as_json)
        except KeyboardInterrupt:
            err.say("Unsubscribing …", style="dim")


def filter_policy(
    severity: Sequence[str] | None = None,
    direction: Sequence[str] | None = None,
    kind: Sequence[str] | None = None,
    site: Sequence[str] | None = None,
    suspicion: float | None = None,
) -> FilterPolicy:
    """The SNS filter policy for the requested alerts."""
    requested: dict[str, Sequence[str] | None]
    requested = {
        "severity": severity,
        "direction": direction,
        "kind": kind,
        "site": [sendable(name) for name in site or ()],
    }
    policy: dict[str, list[object]] = {name: list(values) for name, values in requested.items() if values}
    if suspicion is not None:
        policy["suspicion"] = [{"numeric": [">=", suspicion]}]
    return policy


def print_alert(alert: Alert, as_json: bool) -> None:
    if as_json:
        print_json(alert)
    else:
        link = alert.get("link")  # stacks of earlier versions send none
        if link and not out.is_terminal:
            out.show(alert_line(alert).append("  ").append_text(quoted(link)))
        else:
            out.show(alert_line(alert), *([quoted(f"  {link}", "dim")] if link else []))
    sys.stdout.flush()
