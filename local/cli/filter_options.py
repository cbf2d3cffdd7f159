"""The options that select checks and alerts. Help and completion show their valid values."""

from enum import StrEnum
from typing import Annotated

import typer


class SeverityChoice(StrEnum):
    """The severities of `inventory.verdict.Severity`."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class DirectionChoice(StrEnum):
    """The directions of `inventory.verdict.Direction`."""

    MISSING = "missing"
    EXTRA = "extra"


class KindChoice(StrEnum):
    """The kinds of alerts, as in `inventory.check.Kind`."""

    MISMATCH = "mismatch"
    REJECTED = "rejected"
    UNPAIRED = "unpaired"
    RESOLVED = "resolved"


SeverityOption = Annotated[list[SeverityChoice] | None, typer.Option("--severity", help="May be repeated.")]
DirectionOption = Annotated[list[DirectionChoice] | None, typer.Option("--direction")]
KindOption = Annotated[list[KindChoice] | None, typer.Option("--kind", help="May be repeated.")]
SiteOption = Annotated[list[str] | None, typer.Option("--site", metavar="SITE", help="Only this site.")]
