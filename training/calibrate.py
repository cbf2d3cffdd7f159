"""Calibrates probabilities: finds the temperature that fits held-out bins best.

    python -m training.calibrate --artifact model/artifact --data FOLDER --split val [--dry-run]

The command calibrates an artifact again, for example on a site's own reviewed bins. It writes temperature, prior and
the figures before and after into counter.json, and a page with the reliability diagrams. The bins should be a random
sample: bins that raised alerts are harder than the rest, and a temperature fitted on them alone makes the counter too
unsure.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from scipy.optimize import minimize_scalar
from tqdm.contrib.concurrent import thread_map

from model.calibration import calibrate, prior_ratio
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .data.bins import LABELS, SPLITS, WHOLE, LabelledBin, counts_of, digest, pixels_of, read_bins, training_label
from .data.sampling import mix_of, weights_for
from .measure.metrics import Band, all_figures, confidence_bands, gap, log_loss
from .report.pages import Page, Section, write_page
from .report.reliability_diagram import reliability_diagram

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
TEMPERATURES = (0.25, 4.0)
UNSHIFTED = np.ones(len(LABELS))


@dataclass(frozen=True)
class Fit:
    """How well probabilities (n, labels) fit the true counts: log loss in nats, ECE from 0 to 1 and its bands."""

    probabilities: Array
    log_loss: float
    calibration_error: float
    bands: list[Band]


@dataclass(frozen=True)
class Calibration:
    """The temperature that was fitted, and the fit before and after."""

    temperature: float
    before: Fit
    after: Fit

    def figures(self) -> dict[str, dict[str, float]]:
        """Log loss and calibration error, "before" and "after", rounded for counter.json."""
        return {
            name: {"log_loss": round(fit.log_loss, 4), "calibration_error": round(fit.calibration_error, 4)}
            for name, fit in {"before": self.before, "after": self.after}.items()
        }


def fit(
    logits: Array, counts: Counts, soft_width: float, weights: Array | None = None, ratio: Array = UNSHIFTED
) -> Calibration:
    """The temperature under which the served labels of `counts` (n,) are likeliest, from logits (n, outputs).

    `soft_width` is that of the targets in training, `weights` (n,) are those of the bins, and `ratio` (labels,) is how
    many times as frequent as in training each label is assumed. "Before" is the softmax with the prior adjusted only.
    """
    search = minimize_scalar(
        lambda log_t: log_loss(calibrate(logits, soft_width, float(np.exp(log_t)), ratio), counts, weights),
        bounds=np.log(TEMPERATURES),
        method="bounded",
    )
    temperature = round(float(np.exp(search.x)), 4)
    return Calibration(
        temperature,
        before=_judged(calibrate(logits, 0, 1, ratio), counts, weights),
        after=_judged(calibrate(logits, soft_width, temperature, ratio), counts, weights),
    )


def _judged(probabilities: Array, counts: Counts, weights: Array | None) -> Fit:
    bands = confidence_bands(probabilities, counts, weights)
    return Fit(probabilities, log_loss(probabilities, counts, weights), gap(bands), bands)


def served_logits(predictor: Predictor, bins: Sequence[LabelledBin]) -> Array:
    """The served network's logits (n, outputs) of each image.

    Raises ValueError when an image cannot be counted.
    """

    def infer(one: LabelledBin) -> Array:
        return predictor.infer(pixels_of(one, predictor.size))[0]

    return np.stack(thread_map(infer, bins, max_workers=os.cpu_count(), desc="logits", unit="bin", leave=False))


def recalibrate(
    artifact: Path, bins: Sequence[LabelledBin], mix: str = "data", *, dry_run: bool = False
) -> Calibration:
    """Fit the artifact's temperature to labelled bins and write it, with the bins' prior, into its counter.json.

    `mix` is the assumed frequency of each count: as among the bins ("data"), or training.data.sampling.NATURAL_MIX
    ("natural"). "Before" is the artifact as it was. Raises model.predictor.BrokenArtifactError when it cannot be
    served, ValueError when the bins have a label that training did not have, or "data" lacks one that it had.
    """
    predictor = Predictor(artifact)
    counts = counts_of(bins)
    labels = training_label(counts, len(LABELS))
    prior = mix_of(labels, len(LABELS), mix, predictor.trained_prior > 0)
    weights = weights_for(labels, prior)
    logits = served_logits(predictor, bins)
    was = calibrate(logits, predictor.soft_width, predictor.temperature, predictor.ratio)
    ratio = prior_ratio(prior, predictor.trained_prior)
    calibration = fit(logits, counts, predictor.soft_width, weights, ratio)
    calibration = replace(calibration, before=_judged(was, counts, weights))
    if not dry_run:
        about = json.loads((artifact / "counter.json").read_text())
        about["temperature"] = calibration.temperature
        about["prior"] = prior.round(6).tolist()
        figures = all_figures(calibration.after.probabilities, counts)
        about.setdefault("metrics", {}).update(
            val={name: round(value, 4) for name, value in figures.items()}, val_calibration=calibration.figures()
        )
        about.setdefault("data", {})["val"] = digest(bins)
        write_description(artifact, about)
    return calibration


def write_description(artifact: Path, about: Mapping[str, object]) -> None:
    """Write counter.json."""
    (artifact / "counter.json").write_text(json.dumps(about, indent=2) + "\n")


def write_calibration_page(path: Path, title: str, calibration: Calibration) -> None:
    """Write the reliability diagram, before and after, as one HTML file."""
    fits = {"before": calibration.before, "after": calibration.after}
    diagram = reliability_diagram("The likeliest count", {name: fit.bands for name, fit in fits.items()})
    facts: dict[str, object] = {"temperature": calibration.temperature}
    for name, fit in fits.items():
        facts |= {f"log loss {name} (nats)": fit.log_loss, f"calibration error {name}": fit.calibration_error}
    write_page(path, Page(title, facts, [Section("Reliability", plots=[diagram])]))


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Calibrate an artifact on labelled bins.")
    parser.add_argument("--artifact", type=Path, default=ARTIFACT, help="folder of counter.onnx and counter.json")
    parser.add_argument("--data", type=Path, required=True, help="folder with bin images")
    parser.add_argument(
        "--split", default="val", help=f"of its index.csv ({', '.join(SPLITS)}); {WHOLE!r} takes every pair"
    )
    parser.add_argument(
        "--mix",
        choices=("data", "natural"),
        default="data",
        help="counts as frequent as here, or as in a warehouse",
    )
    parser.add_argument("--limit", type=int, help="only the first so many bins: a quick try")
    parser.add_argument("--page", type=Path, default=Path("runs/calibration.html"), help="where the diagrams go")
    parser.add_argument("--dry-run", action="store_true", help="do not change the artifact")
    options = parser.parse_args()

    try:
        bins = read_bins(options.data, options.split)[: options.limit]
        was = Predictor(options.artifact).temperature
        calibration = recalibrate(options.artifact, bins, options.mix, dry_run=options.dry_run)
    except (BrokenArtifactError, FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    table = Table("", "before", "after", title=f"{options.artifact} on {len(bins)} bins")
    before, after = calibration.before, calibration.after
    table.add_row("temperature", f"{was:.3f}", f"{calibration.temperature:.3f}")
    table.add_row("log loss (nats)", f"{before.log_loss:.4f}", f"{after.log_loss:.4f}")
    table.add_row("calibration error", f"{before.calibration_error:.1%}", f"{after.calibration_error:.1%}")
    Console().print(table)
    write_calibration_page(options.page, f"Calibration of {options.artifact}", calibration)
    print(f"diagrams: {options.page}" + ("; the artifact is unchanged" if options.dry_run else ""))


if __name__ == "__main__":
    main()
