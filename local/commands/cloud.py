"""`bincheck up`, `down` and `status`: the embedded cloud as a whole."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from local.aws import Stack
from local.cloud import Status
from local.commands.place import StackName, chosen, embedded
from local.exits import NOTHING_THERE
from local.progress import steps
from local.queues import depth
from local.reviews import precision

REVIEWS_TOLD = timedelta(days=30)
console = Console(highlight=False, soft_wrap=True)


def up() -> None:
    """Start the embedded cloud and the endpoint, and deploy template.yaml to it.

    What runs already is left running, except that the endpoint loads a model that has changed. What was kept is kept.
    The template is deployed again only where it, the functions or their parameters have changed.

    [dim]$[/] bincheck up
    [dim]$[/] bincheck drop samples
    [dim]$[/] bincheck mismatches
    """
    cloud = embedded()
    with steps(console) as report:
        cloud.up(report)
    console.print(_described(_embedded_facts(cloud.status())))
    console.print("Drop bins with [bold]bincheck drop samples[/], see alerts with [bold]bincheck watch[/].")


def down(
    forget: Annotated[bool, typer.Option("--forget", help="Delete what it keeps: bins, checks, logs.")] = False,
) -> None:
    """Stop the embedded cloud and the endpoint. What they keep is there again with the next `up`."""
    stopped = embedded().down(forget=forget)
    console.print(("Stopped." if stopped else "Nothing was running.") + (" Everything forgotten." if forget else ""))


def status(
    stack: StackName = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Tell what runs, where, how many uploads wait, and how often alerts were right that people reviewed.

    Exit code 3 when nothing is running or deployed there.

    [dim]$[/] bincheck status
    [dim]$[/] bincheck status --stack bincheck --json | jq .dead_letters
    """
    if stack:
        deployed = chosen(stack)
        facts: dict[str, object] = {"stack": deployed.name, "region": deployed.cloud.session.region_name}
        facts |= _facts_of(deployed)
        running = True
    else:
        now = embedded().status()
        facts = _embedded_facts(now)
        running = now.running
    if as_json:
        typer.echo(json.dumps(facts))
    else:
        console.print(_described(facts))
    if not running:
        raise typer.Exit(NOTHING_THERE)


def _embedded_facts(now: Status) -> dict[str, object]:
    return {
        "running": now.running,
        "cloud": now.cloud_url,
        "endpoint": now.endpoint_url,
        "stack": now.stack.name if now.stack else None,
        **(_facts_of(now.stack) if now.stack else {}),
        "folder": str(now.folder),
        "logs": str(now.folder / "logs"),
    }


def _facts_of(stack: Stack) -> dict[str, object]:
    now = datetime.now(UTC)
    reviewed = stack.checks.list_open("reviewed", now - REVIEWS_TOLD, now)
    return {
        "waiting_uploads": depth(stack, stack.inbox_queue_url),
        **({"waiting_backfill": depth(stack, stack.backfill_queue_url)} if "BackfillQueueUrl" in stack.outputs else {}),
        **({"waiting_alerts": depth(stack, stack.alerts_queue_url)} if "AlertsQueueUrl" in stack.outputs else {}),
        "dead_letters": depth(stack, stack.dead_letters_url),
        "reviewed_alerts": {severity: asdict(each) for severity, each in precision(reviewed).items()},
        "inbox": f"s3://{stack.inbox_bucket}",
    }


def _described(facts: dict[str, object]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in facts.items():
        if name != "running":
            table.add_row(name.replace("_", " "), _text(value))
    return table


def _text(value: object) -> str:
    if isinstance(value, dict):
        right = [f"{severity} {each['right']} of {each['reviewed']} right" for severity, each in value.items()]
        return ", ".join(right) or "none in 30 days"
    return "[red]none[/]" if value is None else str(value)
