"""A network whose padding is fixed answers as before, and in ONNX nothing of the reckoning is left."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

import onnx  # noqa: E402
import timm  # noqa: E402
from onnxruntime import InferenceSession  # noqa: E402

from training.network.fixed_padding import with_fixed_padding  # noqa: E402


@pytest.mark.parametrize("size", [64, 60])  # halves evenly, and does not: 60, 30, 15, 8, 4, 2
def test_fixed_padding_is_the_same_and_part_of_the_convolutions(tmp_path: Path, size: int) -> None:
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", num_classes=3).eval()
    fixed, images = with_fixed_padding(network), torch.randn(2, 3, size, size)
    with torch.inference_mode():
        expected = network(images)
        assert torch.allclose(fixed(images), expected, atol=1e-5)
    path = tmp_path / "network.onnx"
    torch.onnx.export(fixed, (images,), path, dynamo=False, input_names=["images"])
    assert not {"Pad", "Shape"} & {node.op_type for node in onnx.load(path).graph.node}
    (answered,) = InferenceSession(path).run(None, {"images": images.numpy()})
    assert answered == pytest.approx(expected.numpy(), abs=1e-4)
