"""The context of a command: its settings, the account and the console."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import boto3
from rich.console import Console

from costs.job_costs import Estimate
from training.jobs import settings as settings_file
from training.jobs.aws.account import Account
from training.jobs.aws.dry_run import DryRun, Stopped
from training.jobs.settings import Settings


@dataclass(frozen=True)
class JobContext:
    """The settings and the account of a command, and the console that shows its progress."""

    settings: Settings
    account: Account
    console: Console
    dry: bool

    def print_costs(self, estimate: Estimate, step: str = "") -> None:
        """Print the cost of a command, or of one of its steps, before it starts."""
        self.console.print(f"{step or 'It'} costs {estimate}.", highlight=False, soft_wrap=True)

    def print_started(self, name: str) -> None:
        """Print that something has started; a dry run starts nothing, and its end lists what it would send."""
        if not self.dry:
            self.console.print(f"{name} has started.", highlight=False, soft_wrap=True)


@contextmanager
def job_context(path: Path | None, *, dry: bool, recipe: str = "") -> Iterator[JobContext]:
    """The context of one command; at its end a dry run prints the requests that it would send."""
    settings, console = settings_file.load(path, recipe), Console(stderr=True)
    if not dry:
        yield JobContext(settings, Account(settings.aws, boto3.Session()), console, dry)
        return
    run = DryRun()
    with suppress(Stopped):
        yield JobContext(settings, Account(settings.aws, run.session), console, dry)
    uploads = [request.parameters for request in run.requests if request.operation == "PutObject"]
    if uploads:
        console.print(f"Files that would go to s3://{uploads[0]['Bucket']}: {len(uploads)}.", highlight=False)
    requests = [asdict(request) for request in run.requests if request.operation != "PutObject"]
    operations = ", ".join(request["operation"] for request in requests)
    console.print(f"It would send {operations}. Nothing was sent.", highlight=False, soft_wrap=True)
    print(json.dumps(requests, indent=2, default=str))
