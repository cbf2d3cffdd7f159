"""The loss of a batch: of the counts, and of the facts about the items that are known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from ..network.losses import LOSSES, targets_by_label
from .setup import Training

MIXUP_ALPHA = 0.4
CUTMIX = v2.CutMix()


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
        weights = (rarity / rarity[labels].mean())[labels] if options.loss.class_weights else torch.ones(len(labels))
        self.weights = weights[:, None].to(device)
        self.normalise = training.network.normalise
        self.teachers = training.teachers

    def __call__(
        self, indices: Tensor, images: Tensor, rng: np.random.Generator, network: Callable[[Tensor], Any]
    ) -> tuple[Tensor, Tensor]:
        """(what is minimised, the loss of the counts alone) of varied images (n, 3, size, size) in 0..1."""
        goals = torch.cat((self.targets[indices], self.facts[indices], self.weights[indices]), 1)
        draw = rng.random()
        if draw < self.options.mixup:
            images, goals = mixup(images, goals, rng)
        elif draw < self.options.mixup + self.options.cutmix:
            images, goals = cutmix(images, goals)
        targets, facts, weights = goals.tensor_split((self.targets.shape[1], goals.shape[1] - 1), 1)
        if self.teachers:
            answers = torch.stack([teacher.shares(images) for teacher in self.teachers]).mean(0)
            targets = (1 - self.options.teacher_share) * targets + self.options.teacher_share * answers
        counts, outputs = network(self.normalise(images))
        losses = self.loss(counts.float(), targets)
        loss = (losses * weights[:, 0]).mean()
        return loss + self.options.fact_weight * _fact_loss(outputs.float(), facts), loss.detach()


def mixup(images: Tensor, goals: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization": each image and its goal, with another's."""
    share, other = float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA)), torch.from_numpy(rng.permutation(len(images)))
    other = other.to(images.device)
    return share * images + (1 - share) * images[other], share * goals + (1 - share) * goals[other]


def cutmix(images: Tensor, goals: Tensor) -> tuple[Tensor, Tensor]:
    """Yun et al. (2019), "CutMix": each image gets a rectangle of another, and that share of its goal."""
    mixed: tuple[Tensor, Tensor] = CUTMIX(images, goals)
    return mixed


def _fact_loss(outputs: Tensor, facts: Tensor) -> Tensor:
    """The mean loss of the facts that are known; 0 when none is."""
    known = facts.isfinite()
    total = functional.smooth_l1_loss(outputs[known], facts[known], reduction="sum")
    return total / max(1, int(known.sum()))
