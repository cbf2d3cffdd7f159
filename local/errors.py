"""The exceptions that end a command with one line and an exit code. All others of `local/` derive from these."""

from typing import ClassVar


class CommandFailed(Exception):
    """A command cannot continue. The message says what to do. Each module defines its own subclasses."""

    exit_code: ClassVar[int] = 1


class NotAvailable(CommandFailed):
    """Nothing is running or deployed under the requested name."""

    exit_code: ClassVar[int] = 3
