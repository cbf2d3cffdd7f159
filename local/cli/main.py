"""The `bincheck` command: its sub-commands and the handling of failures."""

import signal
import sys
from importlib.metadata import version
from types import FrameType
from typing import Annotated, Any

import typer
from botocore.exceptions import BotoCoreError, ClientError
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

from inventory.errors import RetryLater
from local.cli import (
    backfill,
    containers,
    count,
    dead_letters,
    demo,
    doctor,
    down,
    drop,
    endpoint,
    export_labels,
    logs,
    mismatches,
    report,
    resolve,
    review,
    show,
    smoke,
    status,
    up,
    watch,
)
from local.cli.exits import EXPLAINED, FAILED
from local.cli.failures import explain
from local.cli.terminal import err, out
from local.errors import CommandFailed


class Command(TyperCommand):
    """A command whose help names no type of a flag."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_flag_types(super().get_params(ctx))


class Group(TyperGroup):
    """Likewise the command with its sub-commands."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _without_flag_types(super().get_params(ctx))


def _without_flag_types(params: list[Any]) -> list[Any]:
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


app = typer.Typer(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
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
    (logs.logs, "Bins, here or in AWS"),
    (doctor.doctor, "A deployment"),
    (smoke.smoke, "A deployment"),
    (endpoint.endpoint, "The model"),
    (count.count, "The model"),
):
    app.command(cls=Command, rich_help_panel=panel)(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.say("bincheck {version}", version=version("bincheck"))
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Does the photograph of a warehouse bin show as many objects as its record says?"""


def main() -> None:
    """Run the command line. An expected failure prints one line and sets its exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(app(prog_name="bincheck", standalone_mode=False))
    except TyperException as error:
        _fail_usage(error)
    except CommandFailed as error:
        _fail(str(error), error.exit_code)
    except RetryLater as error:
        _fail(str(error), FAILED)
    except (BotoCoreError, ClientError, OSError) as error:
        _fail(explain(error), FAILED)
    except UnicodeEncodeError as error:  # a shell hands over bytes that are no UTF-8
        _fail(f"AWS takes no name that is not UTF-8: {error.object}", FAILED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """Handle SIGTERM like Ctrl-C, so that started processes are stopped and subscriptions removed."""
    raise KeyboardInterrupt


def _fail_usage(error: Any) -> None:
    """Wrong usage in one line. Without any argument, the help is printed already."""
    message = error.format_message().strip()
    command = error.ctx.command_path if error.ctx else "bincheck"
    if message:
        err.error(
            "{problem}. See `{command} -h`",
            problem=message.replace("Value error, ", "").removesuffix("."),
            command=command,
        )
    sys.exit(error.exit_code)


def _fail(message: str, code: int) -> None:
    err.error(message)
    sys.exit(code)


if __name__ == "__main__":
    main()
