"""The page of an evaluation: figures, reliability, alerts and the worst bins. It shows images: keep it private."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from inventory.alert_text import count_text
from inventory.prediction import Prediction

from ..data.bins import LABELS, LabelledBin, counts_of, training_label
from ..measure.alert_quality import Checks, precision_recall
from ..measure.metrics import Array, Band, Counts, compared, confidence_bands, reliability
from .class_table import BENCHMARK_TEXT, class_rows
from .pages import Page, Photo, Section, Table, write_page
from .plots import as_thumbnail, new_plot
from .reliability_diagram import reliability_diagram

WORST = 36
LEAST_RECALL = 0.01
"""The curves begin here: below it precision is that of a handful of checks."""
GROUP_COLUMNS = (
    "bins", "accuracy", "accuracy_0_5", "standardised_accuracy", "standardised_rmse", "log_loss", "calibration_error",
    "suspicion_auc",
)  # fmt: skip


def words(name: str) -> str:
    """A figure's name as a person reads it."""
    return name.replace("0_5", "0 to 5").replace("_", " ")


def write_evaluation_page(
    path: Path,
    report: Mapping[str, Any],
    bins: Sequence[LabelledBin],
    predictions: Sequence[Prediction],
    checks: Checks,
) -> None:
    """Write the `report` of training.evaluate and the bins behind it as one HTML file."""
    counts = counts_of(bins)
    probabilities = compared(np.array([prediction.probabilities for prediction in predictions]))
    sections = [
        _served(report["served"]),
        _headline(report),
        _classes(report),
        Section("Confusion", "Of the bins of each true count.", plots=[_heat_map(report["confusion"])]),
        _probabilities(probabilities, counts),
        _alerts(report["alert_quality"], checks),
        *(_groups(column, groups) for column, groups in report["by"].items()),
        _worst(bins, predictions),
    ]
    facts = {"model": report["model"], "bins": report["bins"], "of which 0 to 5": report["bins_0_5"]}
    if report.get("mirror"):
        facts["test-time augmentation"] = "mirror image"
    write_page(path, Page(f"Evaluation on {report['split']}", facts, sections))


def _served(figures: Mapping[str, Any]) -> Section:
    text = (
        "What a subscriber sees: the count to read, which is the median, its interval of 80%, and the right and the "
        "wrong records that are a mismatch. An open label is right about every count that it stands for."
    )
    rows = [
        (words(name), figure["value"], *figure["interval"], figure["natural_mix"]) for name, figure in figures.items()
    ]
    return Section("As served", text, tables=[Table(("", "value", "95% from", "to", "natural mix"), rows)])


def _headline(report: Mapping[str, Any]) -> Section:
    rows = [
        (words(name), figure["value"], *figure["interval"])
        for name, figure in report["figures"].items()
        if name == "rmse_0_5" or not name.startswith(("exact_", "rmse_"))
    ]
    text = (
        "By the likeliest label of 0 to 6+. Figures of 0 to 5 are over bins that truly hold 0 to 5, the model choosing "
        "among 0 to 5; standardised ones over 1 to 5 at the mix of the public 10,441-bin list. Errors are in objects, "
        "the log loss in nats."
    )
    return Section("The network", text, tables=[Table(("", "value", "95% from", "to"), rows)])


def _classes(report: Mapping[str, Any]) -> Section:
    present = [k for k in range(len(LABELS) - 1) if f"exact_{k}" in report["figures"]]
    plots = []
    for name, title, unit in (("exact", "Counted exactly", "share"), ("rmse", "Root mean square error", "objects")):
        figures = [report["figures"][f"{name}_{k}"] for k in present]
        values = np.array([figure["value"] for figure in figures])
        reach = np.abs(np.array([figure["interval"] for figure in figures]).reshape(-1, 2).T - values)
        plot, axes = new_plot(title, "true count", unit, width_in=4.6, height_in=3)
        axes.bar(present, values, yerr=reach, capsize=3, error_kw={"linewidth": 1})
        plots.append(plot)
    rows = [
        (row.name, row.bins, row.exact, *row.exact_interval, row.published_exact, row.rmse, *row.rmse_interval,
         row.published_rmse)
        for row in class_rows(report)
    ]  # fmt: skip
    columns = ("true count", "bins", "exact", "95% from", "to", "public", "RMSE", "95% from", "to", "public")
    text = f"Of bins that hold 0 to 5, with 95% intervals. {BENCHMARK_TEXT}"
    return Section("By true count", text, tables=[Table(columns, rows)], plots=plots)


def _heat_map(confusion: Sequence[Sequence[int]]) -> Figure:
    table = np.array(confusion)
    shares = table / np.maximum(table.sum(1, keepdims=True), 1)
    figure, axes = new_plot("Share and number of bins", "predicted", "true", width_in=4.6, height_in=4.2)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xticks=range(len(LABELS)), yticks=range(len(LABELS)), xticklabels=LABELS, yticklabels=LABELS)
    axes.grid(visible=False)
    for (true, predicted), share in np.ndenumerate(shares):
        colour = "white" if share > 0.5 else "black"
        axes.text(
            predicted,
            true,
            f"{share:.0%}\n{table[true, predicted]}",
            ha="center",
            va="center",
            color=colour,
            fontsize=7,
        )
    return figure


def _probabilities(probabilities: Array, counts: Counts) -> Section:
    truth = np.eye(len(LABELS))[training_label(counts, len(LABELS))]
    lines = {
        "the likeliest count": confidence_bands(probabilities, counts),
        "every count": reliability(probabilities.ravel(), truth.ravel()),
    }
    text = "Of the counts that the model gives 30%, 30% should be right. Dots grow with their share."
    return Section("Are the probabilities calibrated?", text, plots=[reliability_diagram("Counts", lines)])


def _alerts(quality: Mapping[str, Any], checks: Checks) -> Section:
    figures = Table(
        ("", "suspicion", "95% from", "to", "naive rule"),
        [
            (words(name), quality["suspicion"][name], *interval, quality["naive_rule"][name])
            for name, interval in quality["suspicion_intervals"].items()
        ],
    )
    subsets = Table(
        ("AUC of", "suspicion", "naive rule"),
        [(words(name), auc["suspicion"], auc["naive_rule"]) for name, auc in quality["auc_of_subsets"].items()],
    )
    text = (
        f"{quality['mismatch_rate']:.0%} of records are wrong, each by a slip as the verdict assumes. The naive rule "
        "alerts whenever the served count differs from the record, as it does for "
        f"{quality['right_records_that_differ']:.1%} of right ones. Recall and precision are those of the most "
        f"suspicious share of all checks. Suspicion has a calibration error of {quality['calibration_error']:.2%}."
    )
    bands = [Band(**band) for band in quality["reliability"]]
    diagram = reliability_diagram("Suspicion, in bands of equally many checks", {"suspicion": bands}, log=True)
    return Section("Alerts", text, tables=[figures, subsets], plots=[_curves(checks), diagram, _histogram(checks)])


def _curves(checks: Checks) -> Figure:
    figure, axes = new_plot("Alerts above a falling threshold", "recall", "precision", width_in=4.6)
    for name, score in (("suspicion", checks.suspicion), ("naive rule", checks.differs)):
        recall, precision = precision_recall(score, checks)
        shown = np.append(LEAST_RECALL, recall[recall > LEAST_RECALL])
        axes.plot(shown, np.interp(shown, recall, precision), label=name)
    axes.set(yscale="log")
    axes.legend()
    return figure


def _histogram(checks: Checks) -> Figure:
    figure, axes = new_plot("How suspicious records are", "suspicion", "share of them", width_in=4.6)
    edges = np.geomspace(1e-4, 1, 41)
    for name, chosen in (("right", ~checks.wrong), ("wrong", checks.wrong)):
        part = checks.where(chosen)
        scores = np.clip(part.suspicion, edges[0], edges[-1])
        axes.hist(scores, edges.tolist(), weights=part.weight / part.weight.sum(), alpha=0.6, label=f"{name} records")
    axes.set(xscale="log")
    axes.legend()
    return figure


def _groups(column: str, groups: Mapping[str, Mapping[str, Any]]) -> Section:
    rows = [(group, *(figures[name] for name in GROUP_COLUMNS)) for group, figures in groups.items()]
    heads = (column, *map(words, GROUP_COLUMNS))
    return Section(f"By {column}", "None where no bin has the figure.", tables=[Table(heads, rows)])


def _worst(bins: Sequence[LabelledBin], predictions: Sequence[Prediction]) -> Section:
    probabilities = np.array([prediction.probabilities for prediction in predictions])
    labels = training_label(counts_of(bins), probabilities.shape[1])
    of_true = probabilities[np.arange(len(bins)), labels]
    images = []
    for index in np.argsort(of_true, kind="stable")[:WORST]:
        one = predictions[index]
        seen = count_text(one.count, one.labels, one.interval)
        truth = f"{bins[index].id}: holds {bins[index].count} ({of_true[index]:.1%})"
        with Image.open(io.BytesIO(bins[index].image.read_bytes())) as image:
            url = as_thumbnail(image)
        images.append(Photo(url, f"{truth}, seen {seen}"))
    text = "The bins whose true count the model finds least likely: hard images, and wrong labels."
    return Section("Worst bins", text, images=images)
