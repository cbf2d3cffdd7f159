"""Padding that is worked out once, for networks that will only see images of one size.

timm's "same" padding depends on the image's size, and in ONNX stays a dozen small steps before each strided
convolution. Fixed, it is part of the convolution.
"""

from copy import deepcopy
from typing import Any

import torch
from timm.layers.conv2d_same import Conv2dSame
from timm.layers.padding import get_same_padding
from torch import Tensor, nn
from torch.nn import functional


class _Convolution(torch.autograd.Function):
    """torch pads before it convolves where the sides differ; ONNX's Conv does both."""

    @staticmethod
    def forward(
        _: Any, pads: list[int], stride: list[int], dilation: list[int], groups: int, features: Tensor, *weights: Tensor
    ) -> Tensor:
        top, left, bottom, right = pads
        padded = functional.pad(features, (left, right, top, bottom))
        return functional.conv2d(
            padded, weights[0], weights[1] if len(weights) > 1 else None, stride, 0, dilation, groups
        )

    @staticmethod
    def symbolic(g: Any, pads: list[int], stride: list[int], dilation: list[int], groups: int, *inputs: Any) -> Any:
        return g.op("Conv", *inputs, pads_i=pads, strides_i=stride, dilations_i=dilation, group_i=groups)


class _FixedPadding(Conv2dSame):
    def forward(self, features: Tensor) -> Any:
        size = map(int, features.shape[-2:])  # of the example when traced, for good
        totals = [*map(get_same_padding, size, self.kernel_size, self.stride, self.dilation)]
        pads = [total // 2 for total in totals] + [total - total // 2 for total in totals]
        weights = [self.weight] if self.bias is None else [self.weight, self.bias]
        return _Convolution.apply(pads, [*self.stride], [*self.dilation], self.groups, features, *weights)  # type: ignore[no-untyped-call]


def with_fixed_padding(network: nn.Module) -> nn.Module:
    """A copy of the network that answers the same, and once traced only for images of the example's size."""
    fixed = deepcopy(network)
    for module in fixed.modules():
        if isinstance(module, Conv2dSame):
            module.__class__ = _FixedPadding
    return fixed
