"""A trained network that teaches another: its answer for an image joins the image's label in the target.

Hinton et al. (2015), "Distilling the Knowledge in a Neural Network". Both see the same augmented image, which Beyer
et al. (2022), "Knowledge distillation: A good teacher is patient and consistent", found to matter most.
"""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from .counter import Counter
from .losses import label_logits


class Teacher:
    """The network of another run's best.pt, for a run with as many labels."""

    def __init__(self, path: Path, labels: int, device: torch.device) -> None:
        """Read best.pt at `path`. Raises ValueError when it is none, or when it does not have `labels` labels."""
        try:
            best = torch.load(path, map_location="cpu", weights_only=True)
            own_labels, self.loss = best["labels"], best["loss"]
        except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, KeyError ...
            raise ValueError(f"{path} cannot teach ({error}): name best.pt of a finished run with --teacher") from error
        if own_labels != labels:
            raise ValueError(f"{path} has {own_labels} labels, not {labels}: train with --labels {own_labels}")
        self.network = Counter.trained(best)
        self.network.to(device).to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]

    @torch.no_grad()
    def shares(self, images: Tensor) -> Tensor:
        """The probability (n, labels) of each label, of images (n, 3, size, size) in 0..1."""
        counts, _ = self.network(self.network.normalise(images))
        return label_logits(counts.float(), self.loss).softmax(1)
