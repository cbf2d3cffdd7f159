"""The option `--since`: a span of time, or a date."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_since(text: str) -> datetime:
    """The time of a span before now, or of a date.

    Raises:
        typer.BadParameter: the text is neither.
    """
    ago = re.fullmatch(r"([0-9]{1,5})([mhdw])", text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{UNITS[ago[2]]: int(ago[1])})
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise typer.BadParameter(f"{text!r} is neither like 30m, 12h, 7d, 4w nor a date like 2026-11-21") from error


Since = Annotated[datetime, typer.Option(parser=parse_since, metavar="AGO", help="30m, 12h, 7d, 4w or a date.")]
