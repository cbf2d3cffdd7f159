"""Rounds the weights of a quantised network anew, so that the outputs of its layers change as little as they can.

Frantar et al. (2022), "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers": a weight
that is rounded leaves an error, which the weights that are rounded after it take up, as far as their inputs vary
together. What remains on average goes into the bias.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

Array = npt.NDArray[np.float64]
PLACES = 256
"""Places of an image at which the inputs of a layer are looked at."""
DAMPING = 0.01


@dataclass
class Moments:
    """Of a layer's inputs (groups, inputs): how many were seen, their sum and the sum of their products."""

    number: int
    sums: Array
    products: Array

    @property
    def mean(self) -> Array:
        return self.sums / self.number

    @property
    def covariance(self) -> Array:
        return self.products / self.number - self.mean[:, :, None] * self.mean[:, None]


def round_again(network: Path, quantised: Path, inputs: Iterable[Mapping[str, npt.NDArray[np.float32]]]) -> None:
    """Replace weights and biases in the file `quantised`, which was made from `network`; scales stay as they are."""
    exact, rounded = onnx.load(network), onnx.load(quantised)
    weights = {one.name: one for one in exact.graph.initializer}
    codes = {one.name: one for one in rounded.graph.initializer}
    layers = [node for node in exact.graph.node if node.op_type == "Conv" and f"{node.input[1]}_quantized" in codes]
    for layer, moments in _moments(exact, layers, inputs).items():
        _, weight, *bias = next(node.input for node in layers if node.name == layer)
        values = onnx.numpy_helper.to_array(weights[weight]).astype(np.float64)
        old = onnx.numpy_helper.to_array(codes[f"{weight}_quantized"])
        scales = np.broadcast_to(onnx.numpy_helper.to_array(codes[f"{weight}_scale"]).astype(np.float64), len(values))
        rows = values.reshape(len(moments.sums), -1, moments.sums.shape[1])
        steps = scales.reshape(rows.shape[:2])
        new = round_rows(rows / steps[..., None], moments.covariance, int(np.abs(old.astype(int)).max()))
        _set(codes[f"{weight}_quantized"], new.reshape(old.shape).astype(old.dtype))
        if bias:
            lost = ((rows - new * steps[..., None]) * moments.mean[:, None]).sum(2).ravel()
            was = onnx.numpy_helper.to_array(codes[f"{bias[0]}_quantized"])
            step = onnx.numpy_helper.to_array(codes[f"{bias[0]}_quantized_scale"])
            _set(codes[f"{bias[0]}_quantized"], (was + np.round(lost / step)).astype(was.dtype))
    onnx.save(rounded, quantised)


def round_rows(rows: Array, covariance: Array, limit: int) -> Array:
    """Whole numbers from -limit to limit for rows (groups, outputs, inputs) with inputs of that covariance."""
    size = rows.shape[2]
    damping = DAMPING * np.trace(covariance, axis1=1, axis2=2) / size + 1e-12
    inverse = np.linalg.inv(covariance + np.eye(size) * damping[:, None, None])
    upper = np.linalg.cholesky((inverse + inverse.transpose(0, 2, 1)) / 2).transpose(0, 2, 1)
    left, whole = rows.copy(), np.empty_like(rows)
    for place in range(size):
        whole[..., place] = np.clip(np.round(left[..., place]), -limit, limit)
        error = (left[..., place] - whole[..., place]) / upper[:, None, place, place]
        left[..., place + 1 :] -= error[..., None] * upper[:, None, place, place + 1 :]
    return whole


def _moments(
    network: onnx.ModelProto,
    layers: Iterable[onnx.NodeProto],
    inputs: Iterable[Mapping[str, npt.NDArray[np.float32]]],
) -> dict[str, Moments]:
    """The moments of what reaches each layer, by its name."""
    layers = list(layers)
    shapes = {one.name: tuple(one.dims) for one in network.graph.initializer}
    watched = onnx.ModelProto()
    watched.CopyFrom(network)
    known = {one.name for one in (*network.graph.input, *network.graph.output)}
    for name in dict.fromkeys(layer.input[0] for layer in layers if layer.input[0] not in known):
        watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    session = onnxruntime.InferenceSession(watched.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    rng = np.random.default_rng(0)
    found: dict[str, Moments] = {}
    for one in inputs:
        values = dict(zip(names, session.run(None, dict(one)), strict=True)) | dict(one)
        for layer in layers:
            seen = _patches(values[layer.input[0]][0], shapes[layer.input[1]], layer, rng)
            sums, products = seen.sum(2), seen @ seen.transpose(0, 2, 1)
            moments = found.setdefault(layer.name, Moments(0, np.zeros_like(sums), np.zeros_like(products)))
            moments.number += seen.shape[2]
            moments.sums += sums
            moments.products += products
    return found


def _patches(
    image: npt.NDArray[np.float32], shape: tuple[int, ...], layer: onnx.NodeProto, rng: np.random.Generator
) -> Array:
    """What a convolution sees of (channels, height, width) at some places: (groups, inputs, places)."""
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in layer.attribute}
    top, left, bottom, right = attributes.get("pads", [0, 0, 0, 0])
    padded = np.pad(image, ((0, 0), (top, bottom), (left, right))).astype(np.float64)
    down, across = attributes.get("strides", [1, 1])
    height, width = (padded.shape[1] - shape[2]) // down + 1, (padded.shape[2] - shape[3]) // across + 1
    places = rng.choice(height * width, min(PLACES, height * width), replace=False)
    rows, columns = places // width * down, places % width * across
    seen = [padded[:, rows + row, columns + column] for row in range(shape[2]) for column in range(shape[3])]
    return np.stack(seen, 1).reshape(attributes.get("group", 1), -1, len(places))


def _set(tensor: onnx.TensorProto, values: npt.NDArray[np.generic]) -> None:
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
