"""`bincheck up`, `down` and `status`: the embedded cloud as a whole."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from local.cloud import Status
from local.commands.place import embedded
from local.exits import NOTHING_THERE
from local.queues import depth

console = Console()


def up() -> None:
    """Start the embedded cloud and the endpoint, and deploy template.yaml to it.

    What runs already is left running, what was kept is kept, and the template is deployed again only where it, the
    functions or their parameters have changed.

    [dim]$[/] bincheck up
    [dim]$[/] bincheck drop samples
    [dim]$[/] bincheck mismatches
    """
    cloud = embedded()
    with console.status("Starting") as status:
        stack = cloud.up(lambda doing: status.update(f"{doing} …"))
    console.print(_described(cloud.status()))
    console.print(f"Drop bins with [bold]bincheck drop samples[/], see alerts with [bold]bincheck watch[/]. "
                  f"Inbox: s3://{stack.inbox_bucket}")  # fmt: skip


def down(
    forget: Annotated[bool, typer.Option("--forget", help="Delete what it keeps: bins, checks, logs.")] = False,
) -> None:
    """Stop the embedded cloud and the endpoint. What they keep is there again with the next `up`."""
    stopped = embedded().down(forget=forget)
    console.print(("Stopped." if stopped else "Nothing was running.") + (" Everything forgotten." if forget else ""))


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Tell what runs, where, and how many uploads wait. Exit code 3 when the embedded cloud does not run."""
    now = embedded().status()
    if as_json:
        typer.echo(json.dumps(_as_json(now)))
    else:
        console.print(_described(now))
    if not now.running:
        raise typer.Exit(NOTHING_THERE)


def _as_json(now: Status) -> dict[str, object]:
    stack = now.stack
    return {
        "running": now.running,
        "cloud": now.cloud_url,
        "endpoint": now.endpoint_url,
        "folder": str(now.folder),
        "stack": dict(stack.outputs) if stack else None,
        "waiting_uploads": depth(stack, stack.inbox_queue_url) if stack else None,
        "dead_letters": depth(stack, stack.dead_letters_url) if stack else None,
    }


def _described(now: Status) -> Table:
    facts = _as_json(now)
    table = Table.grid(padding=(0, 2))
    table.add_row("Embedded cloud", str(now.cloud_url or "[red]not running[/]"))
    table.add_row("Endpoint", str(now.endpoint_url or "[red]not running[/]"))
    table.add_row("Stack", now.stack.name if now.stack else "[red]not deployed[/]")
    if now.stack:
        table.add_row("Uploads waiting", f"{facts['waiting_uploads']} (and {facts['dead_letters']} dead letters)")
    table.add_row("Kept in", str(now.folder))
    table.add_row("Logs", str(now.folder / "logs"))
    return table
