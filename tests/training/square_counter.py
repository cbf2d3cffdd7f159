"""An artifact that counts the squares of tests.training.builders by how bright the image is."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

BRIGHTNESS_OF_NONE = 39.5 / 255
BRIGHTNESS_OF_ONE = 49 / 32**2 * (220 - 39.5) / 255


def write_square_counter(folder: Path, *, outputs: int = 11, sureness: float = 4.0) -> Path:
    """Write counter.onnx and counter.json; the logit of k objects is -sureness * (k - objects)^2 plus a constant."""
    counts = np.arange(outputs, dtype=np.float32)
    constants = {
        "grey": np.full((1, 3, 1, 1), 1 / 3, np.float32),
        "slope": (2 * sureness * counts / BRIGHTNESS_OF_ONE).astype(np.float32)[None],
        "offset": -sureness * counts * (counts + 2 * np.float32(BRIGHTNESS_OF_NONE / BRIGHTNESS_OF_ONE)),
    }
    nodes = [
        helper.make_node("Conv", ["images", "grey"], ["greys"]),
        helper.make_node("GlobalAveragePool", ["greys"], ["means"]),
        helper.make_node("Flatten", ["means"], ["brightness"]),
        helper.make_node("Gemm", ["brightness", "slope", "offset"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", outputs])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()],
    )
    network = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(network, folder / "counter.onnx")
    about = {
        "name": "squares", "labels": ["0", "1", "2", "3", "4", "5", "6+"], "size": 32, "mean": [0] * 3, "std": [1] * 3,
        "soft_width": 0.0, "temperature": 1.0, "flip": False, "trained_prior": [1 / 7] * 7, "prior": [1 / 7] * 7,
    }  # fmt: skip
    (folder / "counter.json").write_text(json.dumps(about))
    return folder
