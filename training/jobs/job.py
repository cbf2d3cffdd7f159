"""What every command works with: settings, account, the console, and the options that all share."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import boto3
import typer
from rich.console import Console

from . import settings as settings_file
from .account import Account
from .costs import Estimate
from .dry_run import DryRun, Stopped
from .settings import Settings

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="TOML over training/jobs/settings.toml, which lists what there is.")
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Print the exact requests as JSON and send nothing.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return once it has started.")]
ModelPlace = Annotated[
    str, typer.Option("--model", help="model.tar.gz, here or as s3://, or the folder of an artifact.")
]


@dataclass(frozen=True)
class Job:
    """What a command works with: its settings, the account, and where it tells people how it fares."""

    settings: Settings
    account: Account
    console: Console
    dry: bool

    def costs(self, estimated: Estimate) -> None:
        """Tell the cost before it arises."""
        self.console.print(f"Costs {estimated}.", highlight=False)


@contextmanager
def job(path: Path | None, *, dry: bool) -> Iterator[Job]:
    """The job that a command is about; a dry run ends in the requests that it would have sent."""
    settings, console = settings_file.load(path), Console(stderr=True)
    if not dry:
        yield Job(settings, Account(settings.aws, boto3.Session()), console, dry)
        return
    run = DryRun()
    with suppress(Stopped):
        yield Job(settings, Account(settings.aws, run.session), console, dry)
    uploads = [request.parameters for request in run.requests if request.operation == "PutObject"]
    if uploads:
        console.print(f"Files that would go to s3://{uploads[0]['Bucket']}: {len(uploads)}.", highlight=False)
    requests = [asdict(request) for request in run.requests if request.operation != "PutObject"]
    print(json.dumps(requests, indent=2, default=str))
