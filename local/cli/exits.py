"""The exit codes of `bincheck`."""

from typing import NoReturn

import typer
from rich.console import Console

from local.errors import CommandFailed, NotAvailable

FAILED = CommandFailed.exit_code
NOT_AVAILABLE = NotAvailable.exit_code
INCOMPLETE = 4

EXPLAINED = """\
Exit codes: 0 done · 1 failed, the message says why · 2 wrong usage · 3 nothing is running or deployed there ·
4 not everything was checked in time.
"""


def fail(message: str) -> NoReturn:
    """Print a message to standard error, and exit with code 1."""
    Console(stderr=True).print(message, highlight=False)
    raise typer.Exit(FAILED)
