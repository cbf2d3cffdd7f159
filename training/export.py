"""Turns trained weights into the artifact that the endpoint serves: calibrated, in ONNX, checked against torch.

    python -m training.export --run runs/first --data FOLDER

The temperature is fitted on val for log likelihood. The exported network is read back first and has to agree with
torch on real val bins before the artifact counts as made.
"""

import argparse
import hashlib
import json
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from tqdm import tqdm

from model.calibration import sharpened, tempered
from model.predictor import ARTIFACT, Predictor

from .data import LABELS, Bins, digest, load_bins
from .metrics import all_figures, log_loss
from .networks import MEAN, STD, build_network
from .train import normalise

NAME = "efficientnet-lite0-224"
CODE = ("data.py", "networks.py", "augment.py", "train.py")
PARITY = 1e-3  # greatest difference between torch's and ONNX Runtime's logits


def fit_temperature(shares: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> float:
    """The temperature, from 0.25 to 4, under which the true labels are likeliest."""
    candidates = np.geomspace(0.25, 4, 401)
    losses = [log_loss(tempered(shares, candidate), counts) for candidate in candidates]
    return round(float(candidates[int(np.argmin(losses))]), 4)


def code_digest() -> str:
    """Twelve hex digits that change when the code that made the weights does."""
    sha = hashlib.sha256()
    for name in CODE:
        sha.update((Path(__file__).parent / name).read_bytes())
    return sha.hexdigest()[:12]


def write_onnx(network: nn.Module, size: int, path: Path) -> None:
    """Export for any batch size, by tracing: the batch norms are folded into the convolutions."""
    network.eval()
    example = torch.zeros(2, 3, size, size)
    batch = {"pictures": {0: "batch"}, "logits": {0: "batch"}}
    with warnings.catch_warnings(category=DeprecationWarning, action="ignore"):
        torch.onnx.export(
            network, (example,), path, input_names=["pictures"], output_names=["logits"], dynamic_axes=batch,
            opset_version=17, dynamo=False,
        )  # fmt: skip


def served_logits(predictor: Predictor, bins: Bins) -> npt.NDArray[np.float64]:
    """What the served network says of each bin, (n, labels)."""
    return np.stack([predictor.logits(pixels) for pixels in tqdm(bins.pixels, "served", unit="bin", leave=False)])


def check_parity(network: nn.Module, predictor: Predictor, bins: Bins) -> float:
    """The greatest difference between torch and the served network. Raises RuntimeError when it matters."""
    with torch.inference_mode():
        pixels = torch.from_numpy(bins.pixels).permute(0, 3, 1, 2).float() / 255
        expected = network(normalise(pixels))
        if predictor.flip:
            expected = (expected + network(normalise(pixels.flip(3)))) / 2
    difference = float(np.abs(expected.numpy() - served_logits(predictor, bins)).max())
    if difference > PARITY:
        raise RuntimeError(f"ONNX and torch differ by {difference:.2g} on {len(bins)} bins, more than {PARITY}")
    return difference


def export(run: Path, data: Path, out: Path, *, flip: bool, limit: int | None = None) -> dict[str, object]:
    """Write counter.onnx and counter.json under `out` from the best weights of `run`; returns the JSON."""
    best = run / "best.pt"
    if not best.exists():
        raise SystemExit(f"{best} does not exist: train first with `python -m training.train --out {run}`")
    kept = torch.load(best, map_location="cpu", weights_only=True)
    soft_width = json.loads((run / "options.json").read_text())["soft_width"]
    network = build_network()
    network.load_state_dict(kept["network"])
    network.eval()
    out.mkdir(parents=True, exist_ok=True)
    write_onnx(network, kept["size"], out / "counter.onnx")
    about: dict[str, object] = {
        "name": NAME,
        "labels": LABELS,
        "size": kept["size"],
        "mean": MEAN,
        "std": STD,
        "interpolation": "bicubic",
        "soft_width": soft_width,
        "temperature": 1.0,
        "flip": flip,
        "prior": [round(share, 6) for share in kept["prior"]],
        "backbone": kept["backbone"],
        "epoch": kept["epoch"],
    }
    write_json(out, about)
    predictor = Predictor(out, threads=2)
    validation = load_bins(data, "val", kept["size"], limit)
    few = Bins(validation.ids[:64], validation.pixels[:64], validation.counts[:64])
    difference = check_parity(network, predictor, few)
    logits = served_logits(predictor, validation)
    shares = sharpened(logits, soft_width)
    temperature = fit_temperature(shares, validation.counts)
    figures = all_figures(tempered(shares, temperature), validation.counts)
    before = all_figures(sharpened(logits, width=0), validation.counts)
    about["temperature"] = temperature
    about["metrics"] = {
        "val": {name: round(value, 4) for name, value in figures.items()},
        "val_calibration_error_before": round(before["calibration_error"], 4),
        "onnx_parity": float(f"{difference:.2g}"),
    }
    about["data"] = {"train": kept["data"], "val": digest(validation)}
    about["code"] = code_digest()
    write_json(out, about)
    return about


def write_json(out: Path, about: dict[str, object]) -> None:
    """Write counter.json."""
    (out / "counter.json").write_text(json.dumps(about, indent=2) + "\n")


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Make the artifact that the endpoint serves.")
    parser.add_argument("--run", type=Path, required=True, help="folder that training.train wrote")
    parser.add_argument("--data", type=Path, required=True, help="folder with bin pictures and index.csv")
    parser.add_argument("--out", type=Path, default=ARTIFACT)
    parser.add_argument("--flip", action="store_true", help="average over the mirror image: twice the time a picture")
    parser.add_argument("--limit", type=int, help="calibrate on the first so many bins of val: a quick try")
    options = parser.parse_args()
    print(json.dumps(export(options.run, options.data, options.out, flip=options.flip, limit=options.limit), indent=2))


if __name__ == "__main__":
    main()
