"""CSV files that people open in a spreadsheet: no text of other people becomes a formula. Pure code.

A spreadsheet reads a cell that starts with `=`, `+`, `-`, `@` (also in full width), a tab or a line break as a formula.
An apostrophe before it makes it text. `from_cell` takes it away, so the files are read back without loss.
"""

import csv
import re
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

_FORMULA = re.compile(r"'*\s*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_GUARDED = re.compile(rf"'{_FORMULA.pattern}")


def to_cell(value: object) -> Any:
    """The value of a cell. Numbers and None stay as they are; text that would be a formula gets an apostrophe."""
    if isinstance(value, str) and _FORMULA.match(value):
        return f"'{value}"
    return value


def from_cell(cell: str) -> str:
    """The text that `to_cell` made a cell of."""
    return cell[1:] if _GUARDED.match(cell) else cell


def write_rows(file: TextIO, columns: Iterable[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Write a CSV file with a header: the named columns of each row."""
    names = list(columns)
    writer = csv.writer(file)
    writer.writerow(names)
    for row in rows:
        writer.writerow([to_cell(row.get(name)) for name in names])
