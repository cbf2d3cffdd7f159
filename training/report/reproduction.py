"""The published figures beside those measured here: as a table for a terminal and as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table as RichTable

from ..measure.published import Published
from .pages import Page, Section, Table, write_page
from .terminal import print_tables

COUNTS = range(6)
COLUMNS = (
    *("way", "figures", "epochs", "bins", "accuracy", "RMSE", "std. accuracy", "std. RMSE"),
    *(f"exact {count}" for count in COUNTS),
    *("time", "cost"),
)
TEXT = (
    "Accuracy and RMSE are over bins that hold 0 to 5, each set at its own mix. Standardised (std.) figures are over 1 "
    "to 5 at the mix of the public 10,441-image list. Exact k is the share of bins of k that are counted exactly. "
    "Published splits are random and of other bins; here related bins are in one split."
)
WIDTH = 190


@dataclass(frozen=True)
class Reproduced:
    """A published way and the result `here`: figures by split, epochs and bins of how many, minutes; or why skipped.

    `differs` is what is done otherwise than by its authors.
    """

    name: str
    published: Published
    differs: str
    here: Mapping[str, Any]


def rows_of(one: Reproduced, split: str) -> list[tuple[str, ...]]:
    """The published row of COLUMNS, and the row of what was measured here on a split (val where it is all there is)."""
    known = one.published
    bins = "" if known.bins is None else f"{known.bins:,}"
    first = (
        one.name, "published", known.epochs, bins, _share(known.accuracy), _number(known.rmse),
        _share(known.standardised_accuracy), _number(known.standardised_rmse),
        *(_share(known.exact.get(count)) for count in COUNTS), known.time, known.cost,
    )  # fmt: skip
    return [first, _here(one.here, split)]


def _here(here: Mapping[str, Any], split: str) -> tuple[str, ...]:
    if "skipped" in here:
        return ("", "here: not run", *[""] * (len(COLUMNS) - 2))
    split = split if split in here["figures"] else "val"
    figures = here["figures"][split]
    standard = ("accuracy_0_5", "rmse_0_5", "standardised_accuracy", "standardised_rmse")
    accuracy, rmse, standardised_accuracy, standardised_rmse = (figures[name] for name in standard)
    return (
        "", f"here, {split}", _cut(here, "epochs"), _cut(here, "bins"), _share(accuracy), _number(rmse),
        _share(standardised_accuracy), _number(standardised_rmse),
        *(_share(figures.get(f"exact_{count}")) for count in COUNTS),
        f"{here['minutes']:.0f} min" if "minutes" in here else "", f"{here['usd']} USD" if "usd" in here else "",
    )  # fmt: skip


def _cut(here: Mapping[str, Any], what: str) -> str:
    return f"{here[what]:,} of {here[f'of_{what}']:,}" if what in here else ""


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _notes(results: Sequence[Reproduced]) -> str:
    return "\n".join(map(_note, results))


def _note(one: Reproduced) -> str:
    parts = [f"{one.name}: {one.published.name}. {one.published.source}; {one.published.data}"]
    if one.differs:
        parts.append(f"Differs: {one.differs}")
    if one.here.get("more"):
        parts.append(f"Run here with {' '.join(one.here['more'])}")
    if "skipped" in one.here:
        parts.append(f"Not run: {one.here['skipped']}")
    return ". ".join(parts) + "."


def show(results: Sequence[Reproduced], split: str) -> None:
    """Print the table and its notes."""
    table = RichTable()
    for column in COLUMNS:
        wide = column in ("way", "bins")
        table.add_column(column, overflow="fold", min_width=16 if wide else None)
    for one in results:
        for row in rows_of(one, split):
            table.add_row(*row)
        table.add_section()
    print_tables(table, width=WIDTH)
    print(TEXT)
    print(_notes(results))


def write_reproduction_page(path: Path, results: Sequence[Reproduced], split: str) -> None:
    """Write the table and its notes as one HTML file."""
    rows = [row for one in results for row in rows_of(one, split)]
    sections = [Section("Figures", TEXT, tables=[Table(COLUMNS, rows)]), Section("Ways", _notes(results))]
    write_page(path, Page("Published figures, reproduced", sections=sections))
