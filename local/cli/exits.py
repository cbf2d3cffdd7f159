"""The exit codes of `bincheck`."""

from typing import NoReturn

import typer

from local.cli.terminal import err
from local.errors import CommandFailed, NotAvailable

FAILED = CommandFailed.exit_code
NOT_AVAILABLE = NotAvailable.exit_code
INCOMPLETE = 4
INTERRUPTED = 130

EXPLAINED = """\
Exit codes: 0 done · 1 failed, the message says why · 2 wrong usage · 3 nothing is running or deployed there ·
4 not everything was checked in time · 130 interrupted.
"""


def fail(template: str, /, *, cause: Exception | None = None, **values: object) -> NoReturn:
    """Print a template with its values to standard error, in one line, and exit with code 1."""
    err.error(template, **values)
    raise typer.Exit(FAILED) from cause
