"""Calibrates probabilities: finds the temperature that fits held-out bins best.

    python -m training.calibrate --artifact DIR --labels REVIEWED [--dry-run]
    python -m training.calibrate --artifact DIR --data FOLDER --split val [--dry-run]

The command calibrates an artifact again. REVIEWED is what `bincheck export-labels` wrote: alerts, which are harder than
other bins, and the audit. So each label has the weight of the checks that it stands for. Temperature and prior go into
counter.json if the labels show by cross-validation that they gain something. The command also prints the parameters
MismatchRate and Slips that the labels suggest.

The bins of --data should be a random sample. Temperature, prior and the figures before and after go into counter.json,
and the reliability diagrams into a page.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.table import Table
from scipy.optimize import minimize_scalar
from tqdm.contrib.concurrent import thread_map

from inventory.alert_text import one_line
from inventory.reports.audit import effective_size, suggested_parameters
from inventory.reports.intervals import Interval, Z
from model.calibration import calibrate, prior_ratio
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .data.bins import SPLITS, WHOLE, LabelledBin, counts_of, digest, pixels_of, read_bins, training_label
from .data.reviews import Review, read_reviews, unseen
from .data.sampling import mix_of, weights_for
from .measure.metrics import Band, all_figures, confidence_bands, gap, log_loss, losses
from .report.pages import Page, Section, write_page
from .report.reliability_diagram import reliability_diagram
from .report.terminal import print_tables

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
TEMPERATURES = (0.25, 4.0)
LEAST_EFFECTIVE = 50
"""Random labels. docs/flywheel.md has the share of draws that were worse than before, for this number and others."""
PAGE = Path("runs/calibration.html")
PRIOR_WEIGHT = 20
"""Labels."""
FOLDS = 5


@dataclass(frozen=True)
class Fit:
    """How well probabilities (n, labels) fit the true counts: log loss in nats, ECE from 0 to 1 and its bands."""

    probabilities: Array
    log_loss: float
    calibration_error: float
    bands: list[Band]


@dataclass(frozen=True)
class SiteCalibration:
    """What the labels of a site say of an artifact.

    `prior` (labels,) are the shares of the counts. `effective` is the number of random labels that would say as much.
    `gain` is the fall of the log loss, in nats a check, with its 95% interval: each label is judged by the calibration
    of the others.
    """

    temperature: float
    prior: Array
    labels: int
    effective: float
    gain: Interval

    @property
    def shown(self) -> bool:
        """Whether the labels show that the calibration gains something."""
        return self.gain.low > 0


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
    logits: Array, counts: Counts, soft_width: float, weights: Array | None = None, ratio: Array | None = None
) -> Calibration:
    """The temperature under which the served labels of `counts` (n,) are likeliest, from logits (n, outputs).

    `soft_width` is that of the targets in training, `weights` (n,) are those of the bins, and `ratio` (labels,) is how
    many times as frequent as in training each label is assumed, as often by default. "Before" is the softmax with the
    prior adjusted only.
    """
    ratio = np.ones(logits.shape[1]) if ratio is None else ratio
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


def site_prior(counts: Counts, weights: Array, prior: Array) -> Array:
    """The share (labels,) of each label at a site, from counts (n,) that stand for `weights` (n,) checks.

    PRIOR_WEIGHT further labels are assumed to be as `prior` (labels,) says, so that a count that nobody met stays
    possible.
    """
    shares = np.bincount(training_label(counts, len(prior)), weights, len(prior)) / weights.sum()
    effective = effective_size(weights.tolist())
    return np.asarray((effective * shares + PRIOR_WEIGHT * prior) / (effective + PRIOR_WEIGHT), np.float64)


def fit_site(
    logits: Array, counts: Counts, weights: Array, soft_width: float, trained_prior: Array, prior: Array
) -> tuple[float, Array]:
    """The temperature and the prior (labels,) for labels (n,) that stand for `weights` (n,) checks.

    `trained_prior` and `prior` (labels,) are those of the artifact. Raises ValueError for a label that training did not
    have.
    """
    adjusted = site_prior(counts, weights, prior)
    return fit(logits, counts, soft_width, weights, prior_ratio(adjusted, trained_prior)).temperature, adjusted


def cross_validated_gain(predictor: Predictor, logits: Array, counts: Counts, weights: Array) -> Interval:
    """How far the log loss falls, in nats, with the 95% interval: each label is judged by the fit to the others."""
    before = calibrate(logits, predictor.soft_width, predictor.temperature, predictor.ratio)
    after = np.empty_like(before)
    fold = np.random.default_rng(0).permutation(len(counts)) % FOLDS
    known = (predictor.soft_width, predictor.trained_prior, np.array(predictor.prior))
    for left_out in (fold == number for number in range(FOLDS)):
        temperature, prior = fit_site(logits[~left_out], counts[~left_out], weights[~left_out], *known)
        ratio = prior_ratio(prior, predictor.trained_prior)
        after[left_out] = calibrate(logits[left_out], predictor.soft_width, temperature, ratio)
    gains = losses(before, counts) - losses(after, counts)
    mean = float(np.average(gains, weights=weights))
    half = Z * float(np.sqrt(np.sum((weights * (gains - mean)) ** 2))) / float(weights.sum())
    return Interval(mean, mean - half, mean + half)


def calibrate_site(predictor: Predictor, logits: Array, counts: Counts, weights: Array) -> SiteCalibration:
    """What labels (n,) that stand for `weights` (n,) checks say of an artifact that gives their images `logits`.

    Raises ValueError when the labels are too few, or have a count that training did not have.
    """
    effective = effective_size(weights.tolist())
    require_effective(effective, len(weights))
    known = (predictor.soft_width, predictor.trained_prior, np.array(predictor.prior))
    temperature, prior = fit_site(logits, counts, weights, *known)
    gain = cross_validated_gain(predictor, logits, counts, weights)
    return SiteCalibration(temperature, prior, len(weights), effective, gain)


def require_effective(effective: float, labels: int) -> None:
    """Raise ValueError when labels say less about all checks than LEAST_EFFECTIVE random ones."""
    if effective < LEAST_EFFECTIVE:
        raise ValueError(
            f"too few labels: {labels} say as much about all checks as {effective:.0f} random ones would, and "
            f"{LEAST_EFFECTIVE} are needed, because a calibration on fewer is often worse than none. Review more "
            "of the audit: alerts say little about the other checks"
        )


def recalibrate_site(artifact: Path, reviews: Sequence[Review], *, dry_run: bool = False) -> SiteCalibration:
    """Fit the artifact's temperature and prior to the labels of a site, and write them if that gains something.

    Raises model.predictor.BrokenArtifactError when the artifact cannot be served, ValueError when fewer than
    LEAST_EFFECTIVE labels are of the audit, and what calibrate_site raises.
    """
    audited = sum(one.check.audited for one in reviews)
    if audited < LEAST_EFFECTIVE:
        raise ValueError(
            f"{audited or 'none'} of the {len(reviews)} labels {'are' if audited > 1 else 'is'} of the audit, and "
            f"{LEAST_EFFECTIVE} are needed: alerts alone do not tell what the other checks are like. Review more of "
            "the audit (AuditShare), and export the labels again"
        )
    bins, weights = [one.bin for one in reviews], np.array([one.weight for one in reviews])
    require_effective(effective_size(weights.tolist()), len(bins))
    predictor = Predictor(artifact)
    found = calibrate_site(predictor, served_logits(predictor, bins), counts_of(bins), weights)
    if found.shown and not dry_run:
        about = json.loads((artifact / "counter.json").read_text())
        about |= {"temperature": found.temperature, "prior": found.prior.round(6).tolist()}
        site = {"labels": len(bins), "effective": round(found.effective, 1), "gain": round(found.gain.estimate, 4)}
        about.setdefault("metrics", {})["site"] = site
        about.setdefault("data", {})["site"] = digest(bins)
        write_description(artifact, about)
    return found


def _judged(probabilities: Array, counts: Counts, weights: Array | None) -> Fit:
    bands = confidence_bands(probabilities, counts, weights)
    return Fit(probabilities, log_loss(probabilities, counts, weights), gap(bands), bands)


def served_logits(predictor: Predictor, bins: Sequence[LabelledBin]) -> Array:
    """The served network's logits (n, outputs) of each image.

    Raises ValueError when an image cannot be counted.
    """

    def infer(one: LabelledBin) -> Array:
        return predictor.infer(pixels_of(one, predictor.size))[0]

    return np.stack(
        thread_map(infer, bins, max_workers=os.cpu_count(), desc="logits", unit="bin", leave=False, disable=None)
    )


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
    labels = training_label(counts, len(predictor.labels))
    prior = mix_of(labels, len(predictor.labels), mix, predictor.trained_prior > 0)
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


def print_site(artifact: Path, site: SiteCalibration) -> None:
    """Print what the labels of a site say, and what to do next."""
    table = Table("", "value", title=f"{artifact} on {site.labels} reviewed bins", show_header=False)
    table.add_row("as many random labels", f"{site.effective:.0f}")
    table.add_row("temperature", f"{site.temperature:.3f}")
    table.add_row(f"prior of 0 to {len(site.prior) - 1}+", " ".join(f"{share:.1%}" for share in site.prior))
    gain = site.gain
    table.add_row("fall of the log loss (nats)", f"{gain.estimate:.3f} (95%: {gain.low:.3f} to {gain.high:.3f})")
    print_tables(table)
    if not site.shown:
        print("These labels do not show that temperature and prior gain anything: counter.json is unchanged.")


def print_parameters(reviews: Sequence[Review]) -> None:
    """Print MismatchRate and Slips as the labels suggest them."""
    parameters = suggested_parameters([one.check for one in reviews], [one.weight for one in reviews])
    if parameters:
        print("sam deploy --parameter-overrides", *(f"{name}={value}" for name, value in parameters.items()))
    else:
        print("No label is of the audit, so MismatchRate and Slips cannot be told.")


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Calibrate an artifact on labelled bins.")
    parser.add_argument("--artifact", type=Path, default=ARTIFACT, help="folder of counter.onnx and counter.json")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--labels", type=Path, help="folder that `bincheck export-labels` wrote")
    where.add_argument("--data", type=Path, help="folder with bin images, a random sample")
    parser.add_argument(
        "--split",
        help=f"of its index.csv ({', '.join(SPLITS)}; default: val); {WHOLE!r} takes every pair. With "
        "--labels: val takes only the labels that training does not see",
    )
    parser.add_argument(
        "--mix",
        choices=("data", "natural"),
        help="counts as frequent as here, the default, or as in a warehouse",
    )
    parser.add_argument("--limit", type=int, help="only the first so many bins: a quick try")
    parser.add_argument("--page", type=Path, help=f"where the diagrams go, by default {PAGE}")
    parser.add_argument("--dry-run", action="store_true", help="do not change the artifact")
    options = parser.parse_args()
    if options.labels and (unused := [name for name in ("mix", "limit", "page") if getattr(options, name) is not None]):
        parser.error(f"--{unused[0]} belongs to --data, not to --labels")
    page = options.page or PAGE

    try:
        if options.labels:
            reviews = read_reviews(options.labels)
            judges = unseen(reviews) if options.split == "val" else reviews
            print_site(options.artifact, recalibrate_site(options.artifact, judges, dry_run=options.dry_run))
            print_parameters(reviews)
            return
        bins = read_bins(options.data, options.split or "val")[: options.limit]
        was = Predictor(options.artifact).temperature
        calibration = recalibrate(options.artifact, bins, options.mix or "data", dry_run=options.dry_run)
    except (BrokenArtifactError, FileNotFoundError, ValueError) as error:
        raise SystemExit(one_line(error)) from error
    table = Table("", "before", "after", title=f"{options.artifact} on {len(bins)} bins")
    before, after = calibration.before, calibration.after
    table.add_row("temperature", f"{was:.3f}", f"{calibration.temperature:.3f}")
    table.add_row("log loss (nats)", f"{before.log_loss:.4f}", f"{after.log_loss:.4f}")
    table.add_row("calibration error", f"{before.calibration_error:.1%}", f"{after.calibration_error:.1%}")
    print_tables(table)
    write_calibration_page(page, f"Calibration of {options.artifact}", calibration)
    print(f"diagrams: {page}" + ("; the artifact is unchanged" if options.dry_run else ""))


if __name__ == "__main__":
    main()
