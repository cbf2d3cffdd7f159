"""Measures the artifact as it is served: image bytes go through model.predictor, and its answers are judged.

    python -m training.evaluate --data FOLDER --split val --out runs/first/val.json --page runs/first/val.html
    python -m training.evaluate --data ORIGINALS                                     (no index: every pair there)
    python -m training.evaluate --data FOLDER --split test --answers FOLDER          (answers of a batch transform)

Figures come with 95% bootstrap intervals, those by true count beside the published benchmark's. --mirror averages each
image with its mirror image (test-time augmentation). Read test once, when nothing remains to be chosen.
"""

import argparse
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm.contrib.concurrent import thread_map

from inventory.alert_text import one_line
from inventory.prediction import Prediction, estimated
from model.calibration import adjust_prior, prior_ratio
from model.images import RejectedImage
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .data.bins import SPLITS, WHOLE, LabelledBin, counts_of, training_label, usable_bins
from .data.matching import match_ids
from .data.metadata import object_volumes
from .data.tables import column_name, read_table
from .measure.alert_quality import Checks, alert_quality, check_all, figures_of
from .measure.metrics import all_figures, bootstrap_intervals, class_figures, confusion
from .measure.published import BENCHMARK
from .measure.served_figures import served_figures
from .report.evaluation_page import write_evaluation_page
from .report.evaluation_text import show

SMALL_GROUP = 20
"""Groups of fewer bins are evaluated together: their own figures would be noise."""
SKIPPED_NAMED = 5
OTHERS = "(smaller groups)"


Answered = tuple[list[LabelledBin], list[Prediction], dict[str, str]]
"""The bins that have an answer, the answer for each, and by id why the others have none."""


def predict_all(predictor: Predictor, bins: Sequence[LabelledBin]) -> list[Prediction]:
    """The endpoint's answer for each bin. Raises ValueError when an image cannot be counted."""
    _, answers, skipped = predict_usable(predictor, bins)
    if skipped:
        raise ValueError(f"{next(iter(skipped.values()))}, or prepare the set again without it")
    return answers


def predict_usable(predictor: Predictor, bins: Sequence[LabelledBin]) -> Answered:
    """The bins whose image can be counted, the endpoint's answer for each, and by id why the others cannot.

    Raises ValueError when no image can be counted.
    """

    def predict(one: LabelledBin) -> Prediction | str:
        try:
            return Prediction(**asdict(predictor.predict(one.image.read_bytes())))
        except RejectedImage as error:
            return f"{one.image}: {error.reason}"
        except OSError as error:
            return f"{one.image}: the file cannot be read ({error})"

    outcomes = thread_map(
        predict, bins, max_workers=os.cpu_count(), desc="served", unit="bin", leave=False, disable=None
    )
    return _answered(bins, outcomes)


def _answered(bins: Sequence[LabelledBin], outcomes: Sequence[Prediction | str]) -> Answered:
    """Parts the outcomes, each an answer or the reason why there is none. Raises ValueError when there is no answer."""
    pairs = list(zip(bins, outcomes, strict=True))
    skipped = {one.id: reason for one, reason in pairs if isinstance(reason, str)}
    answers = [answer for answer in outcomes if isinstance(answer, Prediction)]
    if not answers:
        raise ValueError(f"none of {len(bins)} images can be counted: {next(iter(skipped.values()))}")
    return [one for one in bins if one.id not in skipped], answers, skipped


def read_answers(folder: Path, bins: Sequence[LabelledBin]) -> Answered:
    """The answers of a batch transform: <image>.out, anywhere in the folder. Others are missing or malformed.

    Raises ValueError when no bin has an answer.
    """
    answers = {path.name: path for path in folder.rglob("*.out")}
    return _answered(bins, [_read_answer(answers.get(f"{one.image.name}.out"), folder, one) for one in bins])


def _read_answer(path: Path | None, folder: Path, one: LabelledBin) -> Prediction | str:
    """The answer, or the reason why there is none."""
    if path is None:
        return f"{folder} has no {one.image.name}.out: transform all images of the split"
    try:
        answer = json.loads(path.read_text())
        shares = {name: tuple(answer[name]) for name in ("labels", "probabilities", "prior")}
        shares |= {"interval": tuple(answer["interval"])} if answer.get("interval") else {}
        return Prediction(**answer | shares)
    except (KeyError, TypeError, ValueError) as error:
        return f"{path} is no answer of the counter ({error!r})"


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
        estimated(replace(one, probabilities=tuple(row.tolist()), prior=tuple(own.tolist())))
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
        "served": served_figures(predictions, counts, checks),
        "figures": {name: {"value": value, "interval": intervals[name]} for name, value in values.items()},
        "confusion": confusion(probabilities, counts).tolist(),
        "published": asdict(BENCHMARK),
        "alert_quality": alert_quality(checks),
        "by": {column: _by_group(bins, predictions, checks, groups) for column, groups in (by or {}).items()},
    }
    return dict(_for_json(report))


def _by_group(
    bins: Sequence[LabelledBin], predictions: Sequence[Prediction], checks: Checks, groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    size = Counter(groups)
    named = np.array([group if size[group] >= SMALL_GROUP else OTHERS for group in groups])
    figures = {}
    for group, _ in Counter(named.tolist()).most_common():
        chosen = np.flatnonzero(named == group)
        counts = counts_of([bins[index] for index in chosen.tolist()])
        answers = [predictions[index] for index in chosen.tolist()]
        of_group = checks.where(np.isin(checks.bin, chosen))
        figures[group] = {
            "bins": len(chosen),
            **all_figures(np.array([answer.probabilities for answer in answers]), counts),
            "suspicion_auc": figures_of(of_group.suspicion, of_group)["auc"],
        }
    return figures


def _for_json(value: Any) -> Any:
    """The same value with floats to four digits, and None for NaN."""
    if isinstance(value, dict):
        return {key: _for_json(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [_for_json(content) for content in value]
    if isinstance(value, float):
        return None if math.isnan(value) else round(value, 4)
    return value


def read_column(table: Path, column: str, bins: Sequence[LabelledBin]) -> list[str]:
    """The value of a CSV's column for each bin, by `id`; "unknown" where the CSV does not list it.

    Raises FileNotFoundError when there is no such file, ValueError when it lacks the column or lists none of the bins.
    """
    column = column_name(column)
    rows = read_table(table, ("id", column))
    matches = match_ids((row.cells["id"] for row in rows), [one.id for one in bins])
    if not matches.found:
        raise ValueError(f"{table} lists none of the {len(bins)} bins: {matches.advice() or 'it has no rows'}")
    known = {matches.found.get(row.cells["id"]): row.cells[column] for row in rows}
    return [known.get(one.id) or "unknown" for one in bins]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure the artifact as it is served.")
    parser.add_argument("--data", type=Path, required=True, help="folder with bin images")
    parser.add_argument(
        "--split",
        default=WHOLE,
        help=f"of its index.csv ({', '.join(SPLITS)}); {WHOLE!r} takes every pair, labelled by metadata",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--artifact", type=Path, default=ARTIFACT)
    source.add_argument("--answers", type=Path, help="folder with the answers of a batch transform, instead of asking")
    parser.add_argument("--limit", type=int, help="only the first so many bins: a quick try")
    parser.add_argument(
        "--mirror", action="store_true", help="average each image with its mirror image, whatever the artifact does"
    )
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
    return parser


def _predictions(bins: list[LabelledBin], artifact: Path, answers: Path | None, *, mirror: bool) -> Answered:
    """What `predict_usable` returns, of a batch transform in `answers`, or of the artifact."""
    if answers:
        return read_answers(answers, bins)
    predictor = Predictor(artifact)
    predictor.flip |= mirror
    return predict_usable(predictor, bins)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring; `arguments` instead of the process's own."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.mirror and options.answers:
        parser.error("--mirror asks the artifact again, --answers does not: name one of them")
    try:
        bins, skipped = usable_bins(options.data, options.split)
        bins, predictions, rejected = _predictions(
            bins[: options.limit], options.artifact, options.answers, mirror=options.mirror
        )
        skipped |= rejected
        by = {column: read_column(options.table or options.data / "index.csv", column, bins) for column in options.by}
    except (BrokenArtifactError, FileNotFoundError, ValueError) as error:
        raise SystemExit(one_line(error)) from error
    if options.own_mix:
        predictions = shifted_to_own_mix(predictions, counts_of(bins))
    volumes = [object_volumes(one.metadata.read_bytes()) if one.metadata else None for one in bins]
    checks = check_all(predictions, counts_of(bins), volumes)
    report = evaluate(bins, predictions, checks, options.split, by) | {"mirror": options.mirror}
    report["skipped"] = skipped
    for id, reason in list(skipped.items())[:SKIPPED_NAMED]:
        print(f"warning: {one_line(id)} is left out: {one_line(reason)}", file=sys.stderr)
    if skipped:
        print(f"warning: {len(skipped)} of {len(skipped) + len(bins)} bins are left out", file=sys.stderr)
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
