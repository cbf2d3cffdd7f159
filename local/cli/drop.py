"""`bincheck drop`: uploads bins to the inbox."""

from typing import Annotated

import typer

from local.cli.exits import FAILED
from local.cli.progress import track_drop
from local.cli.stack_option import StackName, resolve_stack
from local.cli.terminal import out
from local.stack import dropping
from local.stack.aws import Cloud

FAILURES_SHOWN = 5


def drop(
    paths: Annotated[list[str], typer.Argument(metavar="PATH", help="Folders, files, or s3://bucket\\[/prefix].")],
    stack: StackName = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The largest number of bins.")] = None,
    site: Annotated[str, typer.Option(help="The site of the bins, e.g. warehouse-7.")] = "",
    workers: Annotated[int, typer.Option(min=1, max=64, help="The number of concurrent uploads.")] = dropping.WORKERS,
) -> None:
    """Upload bins to the inbox.

    A folder holds [bold]bin-images/<id>.jpg[/] beside [bold]metadata/<id>.json[/], or such folders per site. The
    command skips files that the inbox holds already with the same content, so a second run continues after an
    interruption. A public bucket needs no credentials.

    [dim]$[/] bincheck drop samples
    [dim]$[/] bincheck drop ~/photos --site warehouse-7 --limit 100
    [dim]$[/] bincheck drop s3://aft-vbi-pds --limit 50
    [dim]$[/] bincheck drop bins/bin-images/523.jpg bins/metadata/523.json --stack bincheck
    """
    inbox = resolve_stack(stack)
    sources = dropping.find(paths, Cloud.aws, site, limit)
    files = track_drop(dropping.drop(sources, inbox, workers), dropping.count(paths, limit), out)
    refused = [dropped for dropped in files if dropped.reason]
    failures = [dropped for dropped in refused if dropped.outcome == "failed"]
    skipped = [dropped for dropped in refused if dropped.outcome == "skipped"]
    for dropped in (*failures[:FAILURES_SHOWN], *skipped[:FAILURES_SHOWN]):
        out.say("{key}: {reason}", style="red", key=dropped.key, reason=dropped.reason)
    if failures:
        out.say("{number} files failed. Run the same command again: it skips the uploaded files.", number=len(failures))
        raise typer.Exit(FAILED)
