"""Losses over target distributions (n, labels), and the distribution that each one's outputs imply.

A target is a distribution, so that soft labels, label smoothing and mixed images work with every loss.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from model.calibration import soft_targets

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits, targets) to the loss of each image (n,), in nats."""
LossName = Literal["cross-entropy", "focal", "cumulative", "corn"]
FOCUS = 2.0  # gamma of the focal loss, as its authors chose


def targets_by_label(labels: int, soft_width: float, smoothing: float) -> Tensor:
    """Row k is the target (labels,) of label k: a Gaussian of `soft_width` labels (0: one-hot), then smoothed
    by `smoothing`, the share that is spread over all labels."""
    targets = torch.from_numpy(soft_targets(labels, soft_width)).float()
    return targets * (1 - smoothing) + smoothing / labels


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The usual: logits (n, labels)."""
    return -(targets * functional.log_softmax(logits, 1)).sum(1)


def focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Lin et al. (2017), "Focal Loss for Dense Object Detection": easy images count less."""
    log_shares = functional.log_softmax(logits, 1)
    return -(targets * (1 - log_shares.exp()) ** FOCUS * log_shares).sum(1)


def cumulative(logits: Tensor, targets: Tensor) -> Tensor:
    """Niu et al. (2016), "Ordinal Regression with Multiple Output CNN": one question "more than k?" per k < labels."""
    more = _more_than(targets)
    answers = logits[:, : more.shape[1]]
    return functional.binary_cross_entropy_with_logits(answers, more, reduction="none").sum(1)


def corn(logits: Tensor, targets: Tensor) -> Tensor:
    """Shi, Cao and Raschka (2021), "Deep Neural Networks for Rank-Consistent Ordinal Regression Based On Conditional
    Probabilities": "more than k?" is asked only of images that show at least k."""
    more = _more_than(targets)
    at_least = torch.cat((torch.ones_like(more[:, :1]), more[:, :-1]), 1)
    answers = logits[:, : more.shape[1]]
    yes, no = functional.logsigmoid(answers), functional.logsigmoid(-answers)
    return -(more * yes + (at_least - more) * no).sum(1)


def _more_than(targets: Tensor) -> Tensor:
    """P(count > k) for k = 0 .. labels - 2, from distributions over labels."""
    return targets.flip(1).cumsum(1).flip(1)[:, 1:].clamp(0, 1)


LOSSES: dict[str, Loss] = {"cross-entropy": cross_entropy, "focal": focal, "cumulative": cumulative, "corn": corn}


def label_logits(logits: Tensor, loss: str) -> Tensor:
    """A network's outputs, trained with `loss`, as logits (n, labels) whose softmax is the distribution of labels."""
    if loss in ("cross-entropy", "focal"):
        return logits
    answers = logits[:, :-1]
    if loss == "corn":
        yes, no = functional.logsigmoid(answers), functional.logsigmoid(-answers)
        reached = torch.cat((torch.zeros_like(yes[:, :1]), yes.cumsum(1)), 1)
        return reached + torch.cat((no, torch.zeros_like(no[:, :1])), 1)
    more = torch.sigmoid(answers)
    edges = torch.cat((torch.ones_like(more[:, :1]), more, torch.zeros_like(more[:, :1])), 1)
    return (edges[:, :-1] - edges[:, 1:]).clamp(min=1e-6).log()
