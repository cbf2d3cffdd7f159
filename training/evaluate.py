"""Measures the artifact as it is served: image bytes go through model.predictor, and what comes out is judged.

    python -m training.evaluate --data FOLDER --split val --out runs/first/val.json --page runs/first/val.html
    python -m training.evaluate --data ORIGINALS                                     (no index: every pair there)
    python -m training.evaluate --data FOLDER --split test --answers FOLDER          (answers of a batch transform)

Figures come with 95% bootstrap intervals. Look at test once, when nothing is left to choose.
"""

import argparse
import csv
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from tqdm.contrib.concurrent import thread_map

from inventory.prediction import Prediction
from model.calibration import adjust_prior, prior_ratio
from model.images import RejectedImage
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .data.bins import SPLITS, WHOLE, LabelledBin, counts_of, read_bins, training_label
from .data.metadata import object_volumes
from .measure.alert_quality import Checks, alert_quality, check_all, figures_of
from .measure.metrics import FIGURES, all_figures, bootstrap_intervals, class_figures, confusion
from .report.evaluation_page import words, write_evaluation_page

SMALL_GROUP = 20
"""Groups of fewer bins are judged together: their figures would say nothing."""
OTHERS = "(smaller groups)"
GROUP_FIGURES = ("bins", "accuracy_0_5", "standardised_accuracy", "standardised_rmse", "suspicion_auc")
"""What is printed of each group; JSON and page hold more."""


def predict_all(predictor: Predictor, bins: Sequence[LabelledBin]) -> list[Prediction]:
    """What the endpoint answers for each bin. Raises ValueError when an image cannot be counted."""

    def predict(one: LabelledBin) -> Prediction:
        try:
            return Prediction(**asdict(predictor.predict(one.image.read_bytes())))
        except RejectedImage as error:
            raise ValueError(f"{one.image}: {error.reason}, or prepare the set again without it") from error

    return thread_map(predict, bins, max_workers=os.cpu_count(), desc="served", unit="bin", leave=False)


def read_answers(folder: Path, bins: Sequence[LabelledBin]) -> list[Prediction]:
    """What an endpoint's container answered for each bin in a batch transform: <image>.out, anywhere in the folder.

    Raises ValueError when an answer is missing or is none.
    """
    answers = {path.name: path for path in folder.rglob("*.out")}
    return [_read_answer(answers.get(f"{one.image.name}.out"), folder, one) for one in bins]


def _read_answer(path: Path | None, folder: Path, one: LabelledBin) -> Prediction:
    if path is None:
        raise ValueError(f"{folder} has no {one.image.name}.out: transform all images of the split")
    try:
        answer = json.loads(path.read_text())
        shares = {name: tuple(answer[name]) for name in ("labels", "probabilities", "prior")}
        return Prediction(**answer | shares)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no answer of the counter ({error!r})") from error


def shifted_to_own_mix(predictions: Sequence[Prediction], counts: npt.NDArray[np.int64]) -> list[Prediction]:
    """The predictions as a site sees them that knows its own mix of counts, here that of `counts` (n,).

    A label that the predictions never have stays at 0.
    """
    labels = predictions[0].labels
    prior = np.array(predictions[0].prior)
    own = np.bincount(training_label(counts, len(labels)), minlength=len(labels)) * (prior > 0)
    own = own / own.sum()
    shares = adjust_prior(np.array([one.probabilities for one in predictions]), prior_ratio(own, prior))
    return [
        replace(one, count=int(row.argmax()), probabilities=tuple(row.tolist()), prior=tuple(own.tolist()))
        for one, row in zip(predictions, shares, strict=True)
    ]


def evaluate(
    bins: Sequence[LabelledBin],
    predictions: Sequence[Prediction],
    checks: Checks,
    split: str = WHOLE,
    by: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Every figure of the predictions for `bins` and of the `checks` made with them, ready for JSON.

    `by` breaks the main figures down: for each column, the value of each bin.
    """
    counts = counts_of(bins)
    probabilities = np.array([prediction.probabilities for prediction in predictions])
    intervals = bootstrap_intervals(probabilities, counts)
    values = all_figures(probabilities, counts) | class_figures(probabilities, counts)
    report = {
        "model": predictions[0].model,
        "split": split,
        "bins": len(bins),
        "bins_0_5": int(np.sum(counts <= 5)),
        "figures": {name: {"value": value, "interval": intervals[name]} for name, value in values.items()},
        "confusion": confusion(probabilities, counts).tolist(),
        "alert_quality": alert_quality(checks),
        "by": {column: _by_group(bins, predictions, checks, groups) for column, groups in (by or {}).items()},
    }
    return _for_json(report)


def _by_group(
    bins: Sequence[LabelledBin], predictions: Sequence[Prediction], checks: Checks, groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    size = Counter(groups)
    named = np.array([group if size[group] >= SMALL_GROUP else OTHERS for group in groups])
    figures = {}
    for group, _ in Counter(named.tolist()).most_common():
        chosen = np.flatnonzero(named == group)
        counts = counts_of([bins[index] for index in chosen])
        answers = [predictions[index] for index in chosen]
        of_group = checks.where(np.isin(checks.bin, chosen))
        figures[group] = {
            "bins": len(chosen),
            **all_figures(np.array([answer.probabilities for answer in answers]), counts),
            "suspicion_auc": figures_of(of_group.suspicion, of_group)["auc"],
        }
    return figures


def _for_json(value: Any) -> Any:
    """The same with floats to four digits, and None for what could not be measured."""
    if isinstance(value, dict):
        return {key: _for_json(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_for_json(content) for content in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value


def read_column(table: Path, column: str, bins: Sequence[LabelledBin]) -> list[str]:
    """What a CSV keyed by `id` says of each bin; "unknown" where it does not list one.

    Raises FileNotFoundError when there is no such file, ValueError when it lacks the column.
    """
    if not table.is_file():
        raise FileNotFoundError(f"{table} is missing: name a CSV with the columns id and {column} with --table")
    with table.open(newline="") as file:
        rows = csv.DictReader(file)
        if missing := {"id", column} - set(rows.fieldnames or ()):
            raise ValueError(f"{table} has no column {missing.pop()!r}: it has {', '.join(rows.fieldnames or ())}")
        known = {row["id"]: row[column] for row in rows}
    return [known.get(one.id) or "unknown" for one in bins]


def show(report: Mapping[str, Any]) -> None:
    """Print the figures that matter most."""
    console, figures, quality = Console(), report["figures"], report["alert_quality"]
    table = Table("", "value", "95% interval", title=f"{report['model']}, {report['split']}, {report['bins']} bins")
    for name in FIGURES:
        table.add_row(words(name), _shown(figures[name]["value"]), _range(figures[name]["interval"]))
    console.print(table)
    classes = Table("true count", "exact", "95% interval", "RMSE", "95% interval")
    for k in range(6):
        if f"exact_{k}" in figures:
            both = (figures[f"exact_{k}"], figures[f"rmse_{k}"])
            cells = (cell for one in both for cell in (_shown(one["value"]), _range(one["interval"])))
            classes.add_row(str(k), *cells)
    console.print(classes)
    alerts = Table("alerts", "suspicion", "95% interval", "naive rule")
    for name, interval in quality["suspicion_intervals"].items():
        suspicion, naive = (_shown(quality[rule][name]) for rule in ("suspicion", "naive_rule"))
        alerts.add_row(words(name), suspicion, _range(interval), naive)
    console.print(alerts)
    for column, groups in report["by"].items():
        table = Table(column, *map(words, GROUP_FIGURES))
        for group, values in groups.items():
            table.add_row(group, *(_shown(values[name]) for name in GROUP_FIGURES))
        console.print(table)


def _shown(value: float | None) -> str:
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _range(interval: Sequence[float]) -> str:
    low, high = interval
    return f"{_shown(low)} to {_shown(high)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring; `arguments` instead of the process's own."""
    parser = argparse.ArgumentParser(description="Measure the artifact as it is served.")
    parser.add_argument("--data", type=Path, required=True, help="folder with bin images")
    parser.add_argument(
        "--split",
        default=WHOLE,
        help=f"of its index.csv ({', '.join(SPLITS)}); {WHOLE!r} takes every pair, labelled by metadata",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--artifact", type=Path, default=ARTIFACT)
    source.add_argument("--answers", type=Path, help="folder with what a batch transform answered, instead of asking")
    parser.add_argument("--limit", type=int, help="only the first so many bins: a quick try")
    parser.add_argument(
        "--own-mix",
        action="store_true",
        help="judge the answers as a site does that shifts them to its own mix of counts",
    )
    parser.add_argument("--by", metavar="COLUMN", action="append", default=[], help="break the main figures down by it")
    parser.add_argument("--table", type=Path, help="CSV with id and the columns of --by; the set's index.csv without")
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    parser.add_argument("--page", type=Path, help="also write plots and the worst bins here, as HTML")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args(arguments)
    try:
        bins = read_bins(options.data, options.split)[: options.limit]
        by = {column: read_column(options.table or options.data / "index.csv", column, bins) for column in options.by}
        if options.answers:
            predictions = read_answers(options.answers, bins)
        else:
            predictions = predict_all(Predictor(options.artifact), bins)
    except (BrokenArtifactError, FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    if options.own_mix:
        predictions = shifted_to_own_mix(predictions, counts_of(bins))
    volumes = [object_volumes(one.metadata.read_bytes()) if one.metadata else None for one in bins]
    checks = check_all(predictions, counts_of(bins), volumes)
    report = evaluate(bins, predictions, checks, options.split, by)
    text = json.dumps(report, indent=2) + "\n"
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    if options.page:
        write_evaluation_page(options.page, report, bins, predictions, checks)
    if options.json:
        print(text, end="")
    else:
        show(report)


if __name__ == "__main__":
    main()
