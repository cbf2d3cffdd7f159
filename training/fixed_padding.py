"""Padding that is worked out once, for networks that will only see pictures of one size.

timm's "same" padding depends on the picture's size, and in ONNX stays a dozen small steps before each strided
convolution. Fixed, it is part of the convolution.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from timm.layers import Conv2dSame, get_same_padding
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
        weight, bias = (*weights, None)[:2]
        return functional.conv2d(padded, weight, bias, stride, 0, dilation, groups)

    @staticmethod
    def symbolic(g: Any, pads: list[int], stride: list[int], dilation: list[int], groups: int, *inputs: Any) -> Any:
        return g.op("Conv", *inputs, pads_i=pads, strides_i=stride, dilations_i=dilation, group_i=groups)


class _Fixed(nn.Module):
    """A convolution with "same" padding, for inputs of (height, width) `size`."""

    def __init__(self, convolution: Conv2dSame, size: Sequence[int]) -> None:
        super().__init__()
        self.convolution = convolution
        totals = [*map(get_same_padding, size, convolution.kernel_size, convolution.stride, convolution.dilation)]
        self.pads = [total // 2 for total in totals] + [total - total // 2 for total in totals]

    def forward(self, features: Tensor) -> Any:
        one = self.convolution
        weights = [one.weight] if one.bias is None else [one.weight, one.bias]
        return _Convolution.apply(self.pads, [*one.stride], [*one.dilation], one.groups, features, *weights)


def with_fixed_padding(network: nn.Module, size: int) -> nn.Module:
    """A copy of the network that answers the same for pictures (n, 3, size, size), and only for those."""
    fixed = deepcopy(network)
    convolutions = {name: module for name, module in fixed.named_modules() if isinstance(module, Conv2dSame)}
    seen: dict[nn.Module, Sequence[int]] = {}
    hooks = [
        module.register_forward_pre_hook(lambda module, inputs: seen.update({module: inputs[0].shape[-2:]}))
        for module in convolutions.values()
    ]
    with torch.no_grad():
        fixed(torch.zeros(1, 3, size, size))
    for hook in hooks:
        hook.remove()
    for name, module in convolutions.items():
        fixed.set_submodule(name, _Fixed(module, seen[module]))
    return fixed
