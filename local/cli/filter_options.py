"""The options that select checks and alerts, and their valid values."""

from collections.abc import Mapping
from typing import Annotated

import typer

from inventory.verdict import SEVERITIES

SEVERITY_NAMES = tuple(name for _, name in reversed(SEVERITIES))
DIRECTIONS = ("missing", "extra")

Choices = list[str]
SeverityOption = Annotated[Choices | None, typer.Option("--severity", help="low, medium or high; may be repeated.")]
DirectionOption = Annotated[Choices | None, typer.Option("--direction", help="missing or extra.")]
SiteOption = Annotated[Choices | None, typer.Option("--site", help="Only this site.")]


def check_choices(requested: Mapping[str, Choices | None], valid: Mapping[str, tuple[str, ...]]) -> None:
    """Raises typer.BadParameter if an option has a value that is not valid. `requested` and `valid` are by option."""
    for name, values in requested.items():
        for value in values or ():
            if name in valid and value not in valid[name]:
                raise typer.BadParameter(f"--{name} {value}: one of {', '.join(valid[name])}")
