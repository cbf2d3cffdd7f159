"""Figures of a run's best weights on labelled bins, in torch: before export, and without a fitted temperature."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.calibration import calibrate, merge_tail

from ..data.augment import to_float
from ..data.bins import LABELS, LabelledBin, counts_of, pixels_of
from ..network.counter import Counter
from ..network.losses import label_logits
from .metrics import Array, all_figures, class_figures

BATCH = 64


@torch.inference_mode()
def figures_of_run(run: Path, bins: Sequence[LabelledBin]) -> dict[str, float]:
    """Every figure of `run`'s best.pt on `bins`. Labels that training did not have are given no probability."""
    best: dict[str, Any] = torch.load(run / "best.pt", map_location="cpu", weights_only=True)
    network = Counter.trained(best).eval()
    logits = []
    for start in range(0, len(bins), BATCH):
        pixels = np.stack([pixels_of(one, best["size"]) for one in bins[start : start + BATCH]])
        counts, _ = network(network.normalise(to_float(torch.from_numpy(pixels))))
        logits.append(label_logits(counts, best["loss"]).double().numpy())
    possible = merge_tail(np.array([best["mix"]]), len(LABELS))[0] > 0
    return figures_of(calibrate(np.concatenate(logits), best["soft_width"], 1.0, possible.astype(float)), bins)


def figures_of(probabilities: Array, bins: Sequence[LabelledBin]) -> dict[str, float]:
    """Every figure of probabilities (n, labels served), those of each true count included."""
    counts = counts_of(bins)
    return all_figures(probabilities, counts) | class_figures(probabilities, counts)
