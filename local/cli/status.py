"""`bincheck status`: shows what runs, and how many messages wait."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from inventory.reports.findings import precision
from local.cli.exits import NOT_AVAILABLE
from local.cli.stack_option import StackName, embedded, resolve_stack
from local.cli.terminal import out, print_json
from local.embedded.cloud import Status
from local.stack.deployed_stack import Stack
from local.stack.queues import depth

REVIEWS_WINDOW = timedelta(days=30)


def status(
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show what runs and where, how many uploads wait, and how many reviewed alerts were right.

    The exit code is 3 if nothing is running or deployed there.

    [dim]$[/] bincheck status
    [dim]$[/] bincheck status --stack bincheck --json | jq .dead_letters
    """
    if stack is not None:
        deployed = resolve_stack(stack)
        facts: dict[str, object] = {"stack": deployed.name, "region": deployed.cloud.session.region_name}
        facts |= _stack_facts(deployed)
        running = True
    else:
        now = embedded().status()
        facts = embedded_facts(now)
        running = now.running
    if as_json:
        print_json(facts)
    else:
        show_facts(facts)
    if not running:
        raise typer.Exit(NOT_AVAILABLE)


def embedded_facts(now: Status) -> dict[str, object]:
    """The facts about the embedded cloud that `up` and `status` print."""
    return {
        "running": now.running,
        "cloud": now.cloud_url,
        "endpoint": now.endpoint_url,
        "stack": now.stack.name if now.stack else None,
        **(_stack_facts(now.stack) if now.stack else {}),
        "folder": str(now.folder),
        "logs": str(now.folder / "logs"),
    }


def _stack_facts(stack: Stack) -> dict[str, object]:
    now = datetime.now(UTC)
    reviewed = stack.checks.list_open("reviewed", now - REVIEWS_WINDOW, now)
    return {
        "waiting_uploads": depth(stack, stack.inbox_queue_url),
        **({"waiting_backfill": depth(stack, stack.backfill_queue_url)} if "BackfillQueueUrl" in stack.outputs else {}),
        **({"waiting_alerts": depth(stack, stack.alerts_queue_url)} if "AlertsQueueUrl" in stack.outputs else {}),
        "dead_letters": depth(stack, stack.dead_letters_url),
        "reviewed_alerts": {severity: asdict(each) for severity, each in precision(reviewed).items()},
        "inbox": f"s3://{stack.inbox_bucket}",
    }


def show_facts(facts: dict[str, object]) -> None:
    """Print one line for each fact. The terminal wraps long ones, so that a path can be copied."""
    shown = {name.replace("_", " "): value for name, value in facts.items() if name != "running"}
    width = max(map(len, shown))
    for name, value in shown.items():
        out.say("{name}  {value}", style="" if value is not None else "red", name=name.ljust(width), value=_text(value))


def _text(value: object) -> str:
    if isinstance(value, dict):
        right = [f"{severity} {each['right']} of {each['reviewed']} right" for severity, each in value.items()]
        return ", ".join(right) or "none in 30 days"
    return "none" if value is None else str(value)
