"""The tables of an evaluation for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from ..measure.metrics import FIGURES
from .class_table import BENCHMARK_TEXT, class_rows
from .evaluation_page import words
from .terminal import print_tables

GROUP_FIGURES = ("bins", "accuracy_0_5", "standardised_accuracy", "standardised_rmse", "suspicion_auc")
"""What is printed of each group; JSON and page hold more."""


def show(report: Mapping[str, Any]) -> None:
    """Print the main figures."""
    print_tables(_served(report), _headline(report), _classes(report))
    print(BENCHMARK_TEXT)
    print_tables(_alerts(report["alert_quality"]))
    for column, groups in report["by"].items():
        table = Table(column, *map(words, GROUP_FIGURES))
        for group, values in groups.items():
            table.add_row(group, *(_shown(values[name]) for name in GROUP_FIGURES))
        print_tables(table)


def _served(report: Mapping[str, Any]) -> Table:
    mirrored = ", with the mirror image" if report.get("mirror") else ""
    title = f"{report['model']}{mirrored}, {report['split']}, {report['bins']} bins"
    table = Table("as served", "value", "95% interval", "natural mix", title=title)
    for name, figure in report["served"].items():
        natural = _shown(figure["natural_mix"])
        table.add_row(words(name), _shown(figure["value"]), _range(figure["interval"]), natural)
    return table


def _headline(report: Mapping[str, Any]) -> Table:
    table = Table("the network", "value", "95% interval")
    for name in FIGURES:
        figure = report["figures"][name]
        table.add_row(words(name), _shown(figure["value"]), _range(figure["interval"]))
    return table


def _classes(report: Mapping[str, Any]) -> Table:
    table = Table("true count", "bins")
    for figure in ("exact", "RMSE"):
        table.add_column(figure)
        table.add_column("95% interval")
        table.add_column("public", min_width=len("public"))
    for row in class_rows(report):
        exact = (_shown(row.exact), _range(row.exact_interval), _shown(row.published_exact))
        rmse = (_shown(row.rmse), _range(row.rmse_interval), _shown(row.published_rmse))
        table.add_row(row.name, str(row.bins), *exact, *rmse)
    return table


def _alerts(quality: Mapping[str, Any]) -> Table:
    table = Table("alerts", "suspicion", "95% interval", "naive rule")
    for name, interval in quality["suspicion_intervals"].items():
        suspicion, naive = (_shown(quality[rule][name]) for rule in ("suspicion", "naive_rule"))
        table.add_row(words(name), suspicion, _range(interval), naive)
    return table


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _range(interval: Sequence[float | None]) -> str:
    low, high = interval
    return f"{_shown(low)} to {_shown(high)}"
