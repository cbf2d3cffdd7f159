"""The family of exceptions that end a command with one line and an exit code."""

from typing import ClassVar


class CommandFailed(Exception):
    """A command cannot go on, and the message says what to do. Each module defines its own kinds of this."""

    exit_code: ClassVar[int] = 1


class NotAvailable(CommandFailed):
    """Nothing is running or deployed at the place that was asked for."""

    exit_code: ClassVar[int] = 3
