"""Tables that people keep: CSV files as spreadsheets and other tools save them.

The separator is sniffed from the header. The encoding is one of Unicode's, with or without a byte-order mark. Anything
else is read as Windows-1252: detectors guess wrongly on tables of a few words, and an id that is misread by it matches
no bin, which `matching` reports.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from inventory.spreadsheets import from_cell

SEPARATORS = ",;\t|"
SEPARATOR_LINE = "sep="
"""Some spreadsheets say so in a first line which separator follows."""

WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""How the files of spreadsheets themselves begin: .xlsx and .ods, and .xls."""

_UNSEEN = "".join(
    map(
        chr,
        (
            *(*range(0x21), 0x85, 0xA0, 0xAD, 0x1680, 0x3000, 0xFEFF),
            *(*range(0x2000, 0x2010), *range(0x2028, 0x2030), *range(0x205F, 0x2070)),
        ),
    )
)
"""Controls, blanks of every width, and marks of Unicode that show nothing."""
_DECIMALS = re.compile(r"(-?\d+),(0{1,2})", re.ASCII)
"""A whole number with a decimal comma. Three zeros may be thousands."""


@dataclass(frozen=True)
class Row:
    """A row of a table: the file and line that it ends in, and its cells by column, as they are.

    `surplus` are cells beyond the columns that hold something.
    """

    place: str
    cells: Mapping[str, str]
    surplus: tuple[str, ...] = ()


def read_table(path: Path, columns: Sequence[str]) -> list[Row]:
    """The rows of a CSV that has these columns and perhaps others; empty rows are left out.

    Columns are found by their names without regard to case and to blanks around them.
    Raises FileNotFoundError when there is no such file; ValueError when it is a workbook or no CSV, lacks one of the
    columns or has two of a name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: name a CSV with the columns {', '.join(columns)}")
    data = path.read_bytes()
    if data.startswith(WORKBOOKS):
        raise ValueError(f"{path} is a workbook, not a CSV: save its sheet as CSV (UTF-8)")
    lines = io.StringIO(_decode(data), newline="")
    rows: list[Row] = []
    names: list[str] = []
    try:
        separator, skipped = _separator(lines)
        reader = csv.reader(lines, delimiter=separator, strict=True)
        for cells in reader:
            if not any(map(bare, cells)):
                continue
            if not names:
                names = [column_name(cell) for cell in cells]
                _require(names, columns, path)
                continue
            surplus = tuple(cell for cell in cells[len(names) :] if cell.strip())
            known = dict(zip_longest(names, map(from_cell, cells[: len(names)]), fillvalue=""))
            rows.append(Row(f"{path} line {reader.line_num + skipped}", known, surplus))
    except csv.Error as error:
        raise ValueError(
            f"{path} line {reader.line_num + skipped} is no row of a CSV ({error}): save the list again"
        ) from error
    if not names:
        _require(names, columns, path)
    return rows


def column_name(text: str) -> str:
    """The name of a column, as the cells of a Row have it."""
    return bare(text).casefold()


def bare(cell: str) -> str:
    """A cell without what nobody sees around it: blanks, byte-order marks, marks of the writing direction, NULs."""
    return cell.strip(_UNSEEN)


def value_of(cell: str) -> Any:
    """The JSON value that a cell of a table stands for: a number if it can be one, else a text."""
    text = re.sub(r"^0+(?=\d)", "", cell.strip())
    if decimal := _DECIMALS.fullmatch(text):
        text = ".".join(decimal.groups())
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return cell


def _decode(data: bytes) -> str:
    try:
        return data.decode(json.detect_encoding(data))  # by the mark or the zeros of the first, ASCII, characters
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _separator(lines: io.StringIO) -> tuple[str, int]:
    """The separator of the header, and how many lines to skip: `lines` are left after the one that names it, if any."""
    first = header = lines.readline()
    if first.casefold().startswith(SEPARATOR_LINE) and len(first.rstrip("\r\n")) == len(SEPARATOR_LINE) + 1:
        return first[len(SEPARATOR_LINE)], 1
    while header and not header.strip(f"{SEPARATORS}\r\n "):
        header = lines.readline()
    lines.seek(0)
    try:
        return csv.Sniffer().sniff(header, SEPARATORS).delimiter, 0
    except csv.Error:  # a single column
        return ",", 0


def _require(names: Sequence[str], columns: Sequence[str], path: Path) -> None:
    missing = (f"has no column {column!r}" for column in map(column_name, columns) if column not in names)
    repeated = (f"has two columns {name!r}" for name in names if name and names.count(name) > 1)
    if fault := next(chain(missing, repeated), None):
        raise ValueError(f"{path} {fault}: its columns are {', '.join(filter(None, names)) or 'none'}")
