"""What a network answers for labelled bins while it is trained, and how good that is."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from model.calibration import adjust_prior, deconvolve, merge_tail

from ..data.bins import LABELS, LabelledBin, counts_of
from ..data.sampling import weights_for
from ..measure.metrics import all_figures, log_loss
from ..network.losses import LOSSES, label_logits, targets_by_label
from .setup import Training

BATCH = 128


@torch.inference_mode()
def predict(training: Training, network: nn.Module, bins: Sequence[LabelledBin]) -> Tensor:
    """The count head's outputs (n, labels) for bins, in their order. Each process computes a share; all get the whole.

    A network that diverged answers NaN, which is taken as 0.
    """
    network.eval()
    group, options = training.processes, training.options
    mine = list(range(group.rank, len(bins), group.world))
    chunks = [[(index, index) for index in mine[start : start + BATCH]] for start in range(0, len(mine), BATCH)]
    parts = [torch.empty(0, options.network.labels)]
    for batch in training.images_of(bins).batches(chunks):
        images = training.network.normalise(batch.to(group.device).varied)
        with training.autocast():
            counts, _ = network(images)
        parts.append(counts.float().cpu())
    outputs = torch.empty(len(bins), options.network.labels)
    for rank, part in enumerate(group.gather(torch.cat(parts))):
        outputs[rank :: group.world] = part
    return outputs.nan_to_num()


def evaluate(
    training: Training, network: nn.Module, bins: Sequence[LabelledBin]
) -> tuple[dict[str, float], npt.NDArray[np.float64]]:
    """Figures of merit on bins, and the probabilities (n, labels served) that they are of. All processes call it.

    "loss" is what training minimises, on these bins; it and the log loss are means over the mix trained for. Labels
    that training does not have are given no probability.
    """
    options, outputs, labels = training.options, predict(training, network, bins), training.labels_of(bins)
    chosen = options.loss
    targets = targets_by_label(options.network.labels, chosen.soft_width, chosen.label_smoothing)[labels]
    weights = weights_for(labels, training.mix)
    loss = float(LOSSES[chosen.loss](outputs, targets).double() @ torch.from_numpy(weights))
    logits = label_logits(outputs, chosen.loss).double().numpy()
    possible = merge_tail(training.mix[None], len(LABELS))[0] > 0
    probabilities = adjust_prior(merge_tail(deconvolve(logits, chosen.soft_width), len(LABELS)) + 1e-12, possible)
    counts = counts_of(bins)
    figures = all_figures(probabilities, counts)
    return figures | {"log_loss": log_loss(probabilities, counts, weights), "loss": loss}, probabilities
