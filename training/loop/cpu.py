"""What makes training on a CPU faster and changes nothing else (figures: docs/training.md)."""

import ctypes
from typing import Any

import torch
from torch import Tensor, nn

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def keep_freed_memory() -> None:
    """Make glibc keep the memory that tensors free. The kernel clears each page that is returned and requested again.

    Other C libraries go on as they do.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, -1)  # never


def slow_convolutions_in_float32(network: nn.Module) -> None:
    """Let depthwise convolutions that are strided or wider than 3 compute in float32 under autocast, in place.

    oneDNN's gradients of these take 2 to 5 times as long in bfloat16. Parameters and their names stay.
    """
    for module in network.modules():
        if not isinstance(module, nn.Conv2d) or not module.groups == module.in_channels > 1:
            continue
        if max(module.kernel_size) > 3 or module.stride != (1, 1):
            module.__class__ = type(f"{type(module).__name__}InFloat32", (_InFloat32, type(module)), {})


class _InFloat32:
    def forward(self, features: Tensor) -> Any:
        with torch.autocast(features.device.type, enabled=False):
            return super().forward(features.float())  # type: ignore[misc]
