"""The loss of a batch: of the counts, and of the facts about the items that are known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..data.metadata import FACTS
from ..network.losses import LOSSES, targets_by_label
from .setup import Training

MIXUP_ALPHA = 0.4


class Criterion:
    """The loss of images of a training's bins, by their indices."""

    def __init__(self, training: Training) -> None:
        options, device = training.options, training.processes.device
        labels, number = training.labels_of(training.bins), training.options.network.labels
        rarity = torch.from_numpy(1 / np.maximum(np.bincount(labels, minlength=number), 1)).float()
        targets = targets_by_label(number, options.loss.soft_width, options.loss.label_smoothing)
        self.options = options.loss
        self.loss = LOSSES[options.loss.loss]
        self.targets = targets[labels].to(device)
        self.facts = training.scale.targets(training.bins).to(device)
        self.weights = (rarity / rarity[labels].mean())[labels].to(device) if options.loss.class_weights else None
        self.normalise = training.network.normalise
        self.teachers = training.teachers

    def __call__(
        self, indices: Tensor, images: Tensor, rng: np.random.Generator, network: Callable[[Tensor], Any]
    ) -> tuple[Tensor, Tensor]:
        """(what is minimised, the loss of the counts alone) of varied images (n, 3, size, size) in 0..1."""
        goals = torch.cat((self.targets[indices], self.facts[indices]), 1)
        weights = self.weights[indices] if self.weights is not None else None
        if rng.random() < self.options.mixup:
            images, goals = mixup(images, goals, rng)
            weights = None
        targets, facts = goals[:, : -len(FACTS)], goals[:, -len(FACTS) :]
        if self.teachers:
            answers = torch.stack([teacher.shares(images) for teacher in self.teachers]).mean(0)
            targets = (1 - self.options.teacher_share) * targets + self.options.teacher_share * answers
        counts, outputs = network(self.normalise(images))
        losses = self.loss(counts.float(), targets)
        loss = losses.mean() if weights is None else (losses * weights).mean()
        return loss + self.options.fact_weight * _fact_loss(outputs.float(), facts), loss.detach()


def mixup(images: Tensor, goals: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization": each image and its goal, with another's."""
    share, other = float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA)), torch.from_numpy(rng.permutation(len(images)))
    other = other.to(images.device)
    return share * images + (1 - share) * images[other], share * goals + (1 - share) * goals[other]


def _fact_loss(outputs: Tensor, facts: Tensor) -> Tensor:
    """The mean loss of the facts that are known; 0 when none is."""
    known = facts.isfinite()
    total = functional.smooth_l1_loss(outputs[known], facts[known], reduction="sum")
    return total / max(1, int(known.sum()))
