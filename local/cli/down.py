"""`bincheck down`: stop the embedded cloud."""

from typing import Annotated

import typer

from local.cli.stack_option import embedded
from local.cli.terminal import out


def down(
    forget: Annotated[bool, typer.Option("--forget", help="Delete its bins, checks and logs.")] = False,
) -> None:
    """Stop the embedded cloud and the endpoint. Bins and checks are stored, and the next `up` continues with them."""
    stopped = embedded().down(forget=forget)
    out.say("Stopped." if stopped else "Nothing was running.")
    if forget:
        out.say("Everything forgotten.")
