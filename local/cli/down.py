"""`bincheck down`: stop the embedded cloud."""

from typing import Annotated

import typer
from rich.console import Console

from local.cli.stack_option import embedded

console = Console(highlight=False, soft_wrap=True)


def down(
    forget: Annotated[bool, typer.Option("--forget", help="Delete its bins, checks and logs.")] = False,
) -> None:
    """Stop the embedded cloud and the endpoint. Bins and checks are stored, and the next `up` continues with them."""
    stopped = embedded().down(forget=forget)
    console.print(("Stopped." if stopped else "Nothing was running.") + (" Everything forgotten." if forget else ""))
