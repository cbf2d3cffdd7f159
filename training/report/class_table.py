"""The table by true count, beside the published benchmark's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..measure.published import BENCHMARK

BENCHMARK_TEXT = (
    f"Public: the benchmark of {BENCHMARK.source}, {BENCHMARK.data}. Its network chooses among 0 to 5, as here. Its "
    "split is random, so neighbouring ids, which are often one bin twice, lie on both sides."
)
Interval = Sequence[float | None]


@dataclass(frozen=True)
class ClassRow:
    """Figures of the bins of one true count, or of several: exact shares and root mean square errors in objects."""

    name: str
    bins: int
    exact: float | None
    exact_interval: Interval
    published_exact: float | None
    rmse: float | None
    rmse_interval: Interval
    published_rmse: float | None


def class_rows(report: Mapping[str, Any]) -> list[ClassRow]:
    """A row for each true count from 0 to 5 that occurs, one for 0 to 5, and one standardised over 1 to 5.

    `report` is what training.evaluate computes.
    """
    bins = {count: sum(row) for count, row in enumerate(report["confusion"][:6])}
    rows = [
        _row(
            report, str(count), bins[count], (f"exact_{count}", BENCHMARK.exact[count]),
            (f"rmse_{count}", BENCHMARK.rmse_of_class[count]),
        )
        for count in bins
        if f"exact_{count}" in report["figures"]
    ]  # fmt: skip
    whole = _row(
        report, "0 to 5", sum(bins.values()), ("accuracy_0_5", BENCHMARK.accuracy), ("rmse_0_5", BENCHMARK.rmse)
    )
    standardised = _row(
        report, "1 to 5, standardised", sum(bins.values()) - bins[0],
        ("standardised_accuracy", BENCHMARK.standardised_accuracy), ("standardised_rmse", BENCHMARK.standardised_rmse),
    )  # fmt: skip
    return [*rows, whole, standardised]


def _row(
    report: Mapping[str, Any], name: str, bins: int, exact: tuple[str, float | None], rmse: tuple[str, float | None]
) -> ClassRow:
    share, error = report["figures"][exact[0]], report["figures"][rmse[0]]
    return ClassRow(name, bins, share["value"], share["interval"], exact[1], error["value"], error["interval"], rmse[1])
