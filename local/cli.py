"""The `bincheck` command."""

import signal
import sys
from types import FrameType

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from rich.console import Console

from local.aws import NotDeployed
from local.backfill import CannotBackfill
from local.captured import NoCapture
from local.cloud import NotRunning
from local.commands import (
    backfill,
    bins,
    checks,
    cloud,
    containers,
    dead_letters,
    demo,
    endpoint,
    report,
    reviewing,
    watching,
)
from local.containers import NoContainers
from local.dropping import NothingToDrop
from local.exits import EXPLAINED, FAILED, NOTHING_THERE
from local.queues import QueueFailed
from local.sam import SamFailed
from local.service import ServiceFailed

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Does the photograph of a warehouse bin show as many objects as its record says?",
    epilog=EXPLAINED,
)
for command, panel in (
    (demo.demo, "See it work"),
    (cloud.up, "The embedded cloud"),
    (cloud.status, "The embedded cloud"),
    (cloud.down, "The embedded cloud"),
    (containers.containers, "The embedded cloud"),
    (bins.drop, "Bins, here or in AWS"),
    (watching.watch, "Bins, here or in AWS"),
    (checks.mismatches, "Bins, here or in AWS"),
    (checks.show, "Bins, here or in AWS"),
    (reviewing.resolve, "Bins, here or in AWS"),
    (reviewing.export_labels, "Bins, here or in AWS"),
    (report.report, "Bins, here or in AWS"),
    (backfill.backfill, "Bins, here or in AWS"),
    (dead_letters.dead_letters, "Bins, here or in AWS"),
    (endpoint.endpoint, "The model"),
):
    app.command(rich_help_panel=panel)(command)


def main() -> None:
    """Run the command line; faults that a user can mend end in one line and their exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except (NotRunning, NotDeployed) as error:
        _fail(str(error), NOTHING_THERE)
    except (ServiceFailed, SamFailed, NoCapture, NoContainers, NothingToDrop, CannotBackfill, QueueFailed) as error:
        _fail(str(error), FAILED)
    except NoCredentialsError:
        _fail("AWS credentials are missing: set AWS_PROFILE, or run `aws configure`", FAILED)
    except NoRegionError:
        _fail("the AWS region is missing: set AWS_DEFAULT_REGION, or the region of your profile", FAILED)
    except (BotoCoreError, ClientError) as error:
        _fail(str(error), FAILED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """End like Ctrl-C does, so that what was started is stopped and what was subscribed is removed."""
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
    Console(stderr=True).print(f"[red]bincheck:[/] {message}", highlight=False, soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
