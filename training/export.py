"""Turns trained weights into the artifact that the endpoint serves: calibrated, in ONNX, checked against torch.

    python -m training.export --run runs/first --data SET

The exported network is read back and must agree with torch on real val bins before the artifact counts as made. The
temperature is fitted on val.
"""

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from inventory.alert_text import one_line
from model.calibration import merge_tail, prior_ratio
from model.predictor import ARTIFACT, Predictor

from .calibrate import Array, fit, served_logits, write_description
from .data.augment import to_float
from .data.bins import LabelledBin, counts_of, digest, pixels_of, read_bins, served_labels, training_label
from .data.loading import FactScale
from .data.metadata import FACTS
from .data.sampling import mix_of, weights_for
from .measure.metrics import all_figures
from .network.counter import Counter
from .network.fixed_padding import with_fixed_padding
from .network.losses import label_logits

CODE = ("training/train.py", "training/data/*.py", "training/loop/*.py", "training/network/*.py", "model/*.py")
"""The code that makes the weights and reads images, as patterns."""
PARITY = 1e-3  # greatest difference between torch's and ONNX Runtime's logits
PARITY_BINS = 64
LEAST_VOLUMES = 50
NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""


class Served(nn.Module):
    """The served part of a trained network: pixels (n, 3, size, size) to label logits (n, labels).

    With a `scale`, as networks trained to estimate facts have, also to log(1 + cubic inches) of all objects (n, 1)."""

    def __init__(self, trained: Counter, loss: str, scale: FactScale | None) -> None:
        super().__init__()
        self.trained, self.loss, self.scale = trained, loss, scale

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        counts, facts = self.trained(pixels)
        logits = label_logits(counts, self.loss)
        if self.scale is None:
            return (logits,)
        place = FACTS.index("volume_in3")
        return logits, self.scale.logs(facts)[:, place, None]


def load_best(run: Path) -> tuple[dict[str, Any], Served]:
    """The content of a run's best.pt, and its network in eval mode. Raises ValueError when the file is missing."""
    path = run / "best.pt"
    if not path.exists():
        raise ValueError(f"{path} does not exist: train first with `python -m training.train --out {run}`")
    best: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return best, served(best)


def served(best: Mapping[str, Any]) -> Served:
    """The network, in eval mode, of the content of best.pt."""
    scale = FactScale(**best["facts"]) if best["facts"] else None
    return Served(Counter.trained(best), best["loss"], scale).eval()


def write_onnx(network: Served, size: int, path: Path) -> None:
    """Export for any batch size, by tracing: the batch norms are folded into the convolutions."""
    example = torch.zeros(2, 3, size, size)
    outputs = ["logits", "log_volume"] if network.scale else ["logits"]
    batch = {name: {0: "batch"} for name in ("images", *outputs)}
    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            with_fixed_padding(network), (example,), path, input_names=["images"], output_names=outputs,
            dynamic_axes=batch, opset_version=17, dynamo=False,
        )  # fmt: skip


@torch.inference_mode()
def check_parity(network: Served, predictor: Predictor, bins: Sequence[LabelledBin]) -> float:
    """The largest difference between torch's and the served logits. Raises RuntimeError when it exceeds PARITY."""
    pixels = torch.from_numpy(np.stack([pixels_of(one, predictor.size) for one in bins]))
    expected = network(network.trained.normalise(to_float(pixels)))[0].numpy()
    difference = float(np.abs(expected - served_logits(predictor, bins)).max())
    if not difference <= PARITY:  # NaN is no agreement either
        raise RuntimeError(f"ONNX and torch differ by {difference:.2g} on {len(bins)} bins, more than {PARITY}")
    return difference


def export(run: Path, data: Path, out: Path, mix: str = "natural", *, limit: int | None = None) -> dict[str, object]:
    """Write counter.onnx and counter.json under `out` from the best weights of `run`; returns the JSON.

    `mix` is the mix of counts that the answers assume: NATURAL_MIX, or the one trained on ("data"). Raises ValueError
    or FileNotFoundError when the run or the set is wrong, RuntimeError when ONNX and torch differ.
    """
    best, network = load_best(run)
    validation = read_bins(data, "val")[:limit]
    out.mkdir(parents=True, exist_ok=True)
    write_onnx(network, best["size"], out / "counter.onnx")
    served_as = served_labels(len(best["mix"]))
    trained_prior = merge_tail(np.array([best["mix"]]), len(served_as))[0]
    labels = training_label(counts_of(validation), len(served_as))
    prior = trained_prior if mix == "data" else mix_of(labels, len(served_as), mix, trained_prior > 0)
    about = _description(best, network, served_as, trained_prior, prior)
    write_description(out, about)
    predictor = Predictor(out, threads=2)
    difference = check_parity(network, predictor, validation[:PARITY_BINS])
    if network.scale and (error := volume_error(predictor, validation)):
        about["volume_error"] = error
    about |= _calibrated(predictor, validation, weights_for(labels, prior), prior_ratio(prior, trained_prior))
    about["metrics"]["onnx_parity"] = float(f"{difference:.2g}")
    about["data"] = {"train": best["data"]["train"], "val": digest(validation)}
    about["code"] = code_digest()
    write_description(out, about)
    return about


def _description(
    best: Mapping[str, Any], network: Served, labels: Sequence[str], trained_prior: Array, prior: Array
) -> dict[str, Any]:
    """The content of counter.json before calibration."""
    return {
        "name": f"{best['backbone'].removeprefix('tf_').replace('_', '-')}-{best['size']}",
        "labels": labels,
        "size": best["size"],
        "mean": network.trained.mean,
        "std": network.trained.std,
        "interpolation": "bicubic",
        "soft_width": best["soft_width"],
        "temperature": 1.0,
        "flip": False,
        "trained_prior": trained_prior.round(6).tolist(),
        "prior": prior.round(6).tolist(),
        "backbone": best["backbone"],
        "epoch": best["epoch"],
        "loss": best["loss"],
        "facts": best["facts"],
    }


def _calibrated(predictor: Predictor, bins: Sequence[LabelledBin], weights: Array, ratio: Array) -> dict[str, Any]:
    """The temperature and the figures on `bins`."""
    counts = counts_of(bins)
    calibration = fit(served_logits(predictor, bins), counts, predictor.soft_width, weights, ratio)
    figures = all_figures(calibration.after.probabilities, counts)
    rounded = {name: round(value, 4) for name, value in figures.items()}
    metrics = {"val": rounded, "val_calibration": calibration.figures()}
    return {"temperature": calibration.temperature, "metrics": metrics}


def volume_error(predictor: Predictor, bins: Sequence[LabelledBin]) -> float | None:
    """The standard deviation of log(1 + predicted volume) around the recorded one; None with too few records.

    It is that of a normal error with the same median absolute deviation, since a few records are far off.
    """
    recorded = np.array([one.facts[FACTS.index("volume_in3")] for one in bins])
    known = np.flatnonzero(recorded > 0)
    if len(known) < LEAST_VOLUMES:
        return None
    predicted = [predictor.infer(pixels_of(bins[index], predictor.size))[1] for index in known.tolist()]
    error = np.array(predicted) - np.log1p(recorded[known])
    return round(float(NORMAL_MAD * np.median(np.abs(error - np.median(error)))), 4)


def code_digest() -> str:
    """Twelve hex digits that change when the code that made the weights does."""
    root = Path(__file__).parent.parent
    sha = hashlib.sha256()
    for pattern in CODE:
        for path in sorted(root.glob(pattern)):
            sha.update(path.read_bytes())
    return sha.hexdigest()[:12]


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Make the artifact that the endpoint serves.")
    parser.add_argument("--run", type=Path, required=True, help="folder that training.train wrote")
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument("--out", type=Path, default=ARTIFACT)
    parser.add_argument("--mix", choices=("natural", "data"), default="natural", help="of counts, that answers assume")
    parser.add_argument("--limit", type=int, help="calibrate on the first so many bins of val: a quick try")
    options = parser.parse_args()
    try:
        about = export(options.run, options.data, options.out, options.mix, limit=options.limit)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"export: {one_line(error)}")
    print(json.dumps(about, indent=2))


if __name__ == "__main__":
    main()
