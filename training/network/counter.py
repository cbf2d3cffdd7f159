"""The network: a backbone of timm's by its name, and on it a head for counts and one for facts about the items."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import Tensor, nn

from ..data.metadata import FACTS
from .weights import imagenet_weights, load_by_name, read_weights


class Counter(nn.Module):
    """Maps pixels (n, 3, size, size), normalised with `mean` and `std`, to logits (n, labels) and facts (n, facts).

    The facts are standardised logarithms (see training.data.loading); only training uses them.
    """

    def __init__(
        self, backbone: str, labels: int, *, dropout: float = 0.0, drop_path: float = 0.0, frozen_stages: int = 0
    ) -> None:
        """Build with random weights. The stem and the stages after it count as `frozen_stages`; -1 freezes all.

        Raises ValueError when timm has no such backbone.
        """
        super().__init__()
        if not timm.is_model(backbone):
            close = ", ".join(timm.list_models(f"*{backbone[:6]}*")[:5]) or "see timm.list_models()"
            raise ValueError(f"timm has no network {backbone!r}: name one of its models ({close})")
        self.backbone_name = backbone
        self.backbone: Any = _create(backbone, drop_path)
        self.mean, self.std = self.backbone.pretrained_cfg["mean"], self.backbone.pretrained_cfg["std"]
        self.dropout = nn.Dropout(dropout)
        self.count_head = nn.Linear(self.backbone.head_hidden_size, labels)
        self.fact_head = nn.Linear(self.backbone.head_hidden_size, len(FACTS))
        self._freeze(frozen_stages)

    def _freeze(self, stages: int) -> None:
        named = dict(self.backbone.named_parameters())
        groups = group_parameters(self.backbone, self.backbone.group_matcher(coarse=True))
        for stage, names in groups.items():
            for name in names:
                named[name].requires_grad = not (stages < 0 or stage < stages)

    def train(self, mode: bool = True) -> "Counter":
        """Set the mode as torch does, but frozen normalisation layers keep their statistics."""
        super().train(mode)
        for module in self.backbone.modules():
            own = list(module.parameters(recurse=False))
            if own and not any(parameter.requires_grad for parameter in own):
                module.eval()
        return self

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        features = self.dropout(self.backbone(pixels))
        return self.count_head(features), self.fact_head(features)

    @classmethod
    def trained(cls, best: Mapping[str, Any]) -> "Counter":
        """The network of a run's best.pt, as `torch.load` reads it."""
        network = cls(best["backbone"], best["labels"])
        network.load_state_dict(best["network"])
        return network

    def normalise(self, images: Tensor) -> Tensor:
        """Images (n, 3, size, size) in 0..1, as the pretrained weights expect them."""
        mean, std = (torch.tensor(one, device=images.device).view(1, 3, 1, 1) for one in (self.mean, self.std))
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)

    def load(self, weights: str) -> list[str]:
        """Start from "imagenet" (a package's weights or timm's download), from "none" (random weights), or from a file:
        best.pt of another run, or a backbone's state dict (.safetensors, .pth, .bin).

        Returns the names of the tensors that are not used, which are those of the backbone's classifier. Raises
        ValueError when the weights are of another architecture, or when they cannot be had.
        """
        if weights == "none":
            return []
        config = self.backbone.pretrained_cfg
        if weights == "imagenet":
            state, whole = imagenet_weights(self.backbone_name, config), False
        else:
            state, whole = read_weights(Path(weights))
        classifier = config.get("classifier") or ()
        layers = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        try:
            return load_by_name(self if whole else self.backbone, state, () if whole else layers)
        except ValueError as error:
            raise ValueError(
                f"{weights} does not hold the weights of {self.backbone_name} ({error}): name those of its ImageNet "
                "training, or best.pt of a run with the same --backbone and --labels"
            ) from error


def _create(backbone: str, drop_path: float) -> Any:
    if not drop_path:
        return timm.create_model(backbone, num_classes=0)
    try:
        return timm.create_model(backbone, num_classes=0, drop_path_rate=drop_path)
    except TypeError as error:
        raise ValueError(f"{backbone} knows no stochastic depth: leave --drop-path at 0") from error
