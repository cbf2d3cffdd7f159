"""The terminal: the only module of the command line that prints. A test forbids every other way.

Names of bins, keys, reasons and file names come from other people. Nothing here reads markup, and each value is printed
in one line, with a replacement character for each control character, bidirectional override and zero-width character.
"""

import json
import sys
from collections.abc import Iterable
from string import Formatter
from typing import Any

import typer
from rich.console import Console, ConsoleDimensions, JustifyMethod, RenderableType
from rich.text import Text

from inventory.alert_text import one_line, visible
from inventory.spreadsheets import write_rows

PIPE_COLUMNS = 10_000
"""The width for a pipe or a file, so that a row of a table is one line."""


class Terminal(Console):
    """A rich console without markup, highlighting and emoji codes."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)

    @property  # type: ignore[misc]  # nobody sets it
    def size(self) -> ConsoleDimensions:
        size = super().size
        return size if self.is_terminal else ConsoleDimensions(PIPE_COLUMNS, size.height)

    def render_str(self, text: str, **options: Any) -> Text:
        """A string is never markup: rich calls this for each string of a table and of a message."""
        return Text(one_line(text), style=options.get("style", ""), justify=options.get("justify"))

    def say(self, template: str, /, *, style: str = "", **values: object) -> None:
        """Print a template, a literal of the program, with its `{name}` fields replaced by other people's values."""
        self.print(Text(_Quoting().vformat(template, (), values), style), soft_wrap=True)

    def show(self, *renderables: RenderableType) -> None:
        """Print tables and texts. Rows wrap on a terminal, and take one line elsewhere."""
        for each in renderables:
            self.print(each, soft_wrap=isinstance(each, Text))

    def error(self, message: str, **values: object) -> None:
        """Print one line that says why a command ends; `message` is a template only if there are `values`."""
        text = _Quoting().vformat(message, (), values) if values else message
        self.print(Text(f"bincheck: {one_line(' '.join(text.split()), limit=4_000)}", "red"), soft_wrap=True)


class _Quoting(Formatter):
    """`str.format` that quotes each value."""

    def format_field(self, value: Any, format_spec: str) -> str:
        return one_line(super().format_field(value, format_spec))


out = Terminal()
err = Terminal(stderr=True)


def quoted(value: object, style: str = "", justify: JustifyMethod | None = None) -> Text:
    """Other people's text for a cell or a line, in one line."""
    return Text(one_line(value), style, justify=justify)


def quoted_lines(values: Iterable[object]) -> Text:
    """A cell with one line for each value."""
    return Text("\n").join(quoted(value) for value in values)


def print_json(value: object) -> None:
    """One line of JSON in ASCII, with the values as they are: each control character is escaped."""
    typer.echo(json.dumps(value).replace("\x7f", "\\u007f"))


def print_csv(rows: Iterable[dict[str, object]], columns: Iterable[str]) -> None:
    """A table for a spreadsheet, in which no text is a formula. `print_json` has the values as they are."""
    visible_rows = ({name: visible(v) if isinstance(v, str) else v for name, v in row.items()} for row in rows)
    write_rows(sys.stdout, columns, visible_rows)
