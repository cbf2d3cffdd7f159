"""Faster on a CPU, and nothing else."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from timm.layers import create_conv2d  # noqa: E402
from torch import nn  # noqa: E402

from training.loop.cpu import slow_convolutions_in_float32  # noqa: E402


def learnt(network):
    """The output's type, and what one step under autocast leaves as gradients."""
    with torch.autocast("cpu", torch.bfloat16):
        said = network(torch.linspace(-1, 1, 2 * 8 * 12 * 12).view(2, 8, 12, 12))
    said.float().square().mean().backward()
    return said.dtype, {name: parameter.grad for name, parameter in network.named_parameters()}


@pytest.mark.parametrize(
    ("options", "slow"),
    [
        ({"kernel_size": 5, "depthwise": True}, True),
        ({"kernel_size": 3, "stride": 2, "depthwise": True, "padding": "same"}, True),
        ({"kernel_size": 3, "depthwise": True}, False),
        ({"kernel_size": 5}, False),
    ],
)
def test_only_slow_convolutions_compute_in_float32_and_learn_the_same(options, slow):
    torch.manual_seed(0)
    plain = nn.Sequential(create_conv2d(8, 8, **options))
    fast = copy.deepcopy(plain)
    slow_convolutions_in_float32(fast)
    fast = copy.deepcopy(fast)  # as the moving average does
    assert fast.state_dict().keys() == plain.state_dict().keys()
    (before, expected), (after, found) = learnt(plain), learnt(fast)
    assert (before, after) == (torch.bfloat16, torch.float32 if slow else torch.bfloat16)
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0.03, atol=3e-3)
