"""The `bincheck` command: its sub-commands and the handling of failures."""

import signal
import sys
from types import FrameType

import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError

from inventory.errors import RetryLater
from local.cli import (
    backfill,
    containers,
    dead_letters,
    demo,
    down,
    drop,
    endpoint,
    export_labels,
    mismatches,
    report,
    resolve,
    review,
    show,
    status,
    up,
    watch,
)
from local.cli.exits import EXPLAINED, FAILED
from local.cli.terminal import err
from local.errors import CommandFailed

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Does the photograph of a warehouse bin show as many objects as its record says?",
    epilog=EXPLAINED,
)
for command, panel in (
    (demo.demo, "See it work"),
    (up.up, "The embedded cloud"),
    (status.status, "The embedded cloud"),
    (down.down, "The embedded cloud"),
    (containers.containers, "The embedded cloud"),
    (drop.drop, "Bins, here or in AWS"),
    (watch.watch, "Bins, here or in AWS"),
    (mismatches.mismatches, "Bins, here or in AWS"),
    (show.show, "Bins, here or in AWS"),
    (review.review, "Bins, here or in AWS"),
    (resolve.resolve, "Bins, here or in AWS"),
    (export_labels.export_labels, "Bins, here or in AWS"),
    (report.report, "Bins, here or in AWS"),
    (backfill.backfill, "Bins, here or in AWS"),
    (dead_letters.dead_letters, "Bins, here or in AWS"),
    (endpoint.endpoint, "The model"),
):
    app.command(rich_help_panel=panel)(command)


def main() -> None:
    """Run the command line. An expected failure prints one line and sets its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except CommandFailed as error:
        _fail(str(error), error.exit_code)
    except NoCredentialsError:
        _fail("AWS credentials are missing: set AWS_PROFILE, or run `aws configure`", FAILED)
    except NoRegionError:
        _fail("the AWS region is missing: set AWS_DEFAULT_REGION, or the region of your profile", FAILED)
    except (BotoCoreError, ClientError, RetryLater) as error:
        _fail(str(error), FAILED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM like Ctrl-C, so that started processes are stopped and subscriptions removed."""
    raise KeyboardInterrupt


def _fail(message: str, code: int) -> None:
    err.error(message)
    sys.exit(code)


if __name__ == "__main__":
    main()
