"""A trained network that teaches another: what it says of a picture joins the picture's label and facts in the target.

Hinton et al. (2015), "Distilling the Knowledge in a Neural Network". Both look at the same varied picture, which Beyer
et al. (2022), "Knowledge distillation: A good teacher is patient and consistent", found to matter most.
"""

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from .loading import FactScale
from .losses import label_logits
from .networks import Counter


class Teacher:
    """Best.pt of another run, at `path`, for a run that tells `labels` labels apart and has its facts on `scale`."""

    def __init__(self, path: Path, labels: int, scale: FactScale, device: torch.device) -> None:
        """Read it. Raises ValueError when it cannot teach this run."""
        try:
            best = torch.load(path, map_location="cpu", weights_only=True)
            told, self.loss = best["labels"], best["loss"]
            own = FactScale(**best["facts"]) if best["facts"] else FactScale.untold()
        except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, KeyError ...
            raise ValueError(f"{path} cannot teach ({error}): name best.pt of a finished run with --teacher") from error
        if told != labels:
            raise ValueError(f"{path} tells {told} labels apart, not {labels}: train with --labels {told}")
        self.network = Counter.trained(best)
        self.network.to(device, memory_format=torch.channels_last).eval()
        self.own_scale, self.scale = own, scale
        self.digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12]

    @torch.no_grad()
    def answer(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """The probability (n, labels) of each label, and the facts (n, facts) on the student's scale, of pictures
        (n, 3, size, size) in 0..1; NaN where the teacher was not trained to tell facts."""
        counts, facts = self.network(self.network.normalise(pictures))
        shares = label_logits(counts.float(), self.loss).softmax(1)
        return shares, self.scale.of_logs(self.own_scale.logs(facts.float()))
