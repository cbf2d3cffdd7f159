"""What reaches the last layer of a served network, for networks that learn from it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from tqdm.contrib.concurrent import thread_map

from model.images import RejectedImage, decode, resize
from model.predictor import Predictor

from ..data.bins import LabelledBin, counts_of
from ..data.cache import cores
from .pair_network import Photographs


def photographs(predictor: Predictor, artifact: Path, bins: Sequence[LabelledBin]) -> Photographs:
    """The features, predicted means and volumes of `bins` by the network of `artifact`, which `predictor` has loaded.

    Raises ValueError when an image cannot be counted, or when the network's first output is of no linear layer.
    """
    session, name = _session(artifact)

    def run(one: LabelledBin) -> tuple[npt.NDArray[np.float32], float, float]:
        try:
            pixels = resize(decode(one.image.read_bytes()), predictor.size)
        except RejectedImage as error:
            raise ValueError(f"{one.image}: {error.reason}, or prepare the set again without it") from error
        logits, *volume, features = session.run(None, {name: predictor.preprocess(pixels)})
        shares = predictor.probabilities(np.asarray(logits, np.float64).mean(0))
        log_volume = float(volume[0].mean()) if volume else 0.0
        return features.mean(0), float(shares @ np.arange(len(shares))), log_volume

    seen = thread_map(run, bins, max_workers=cores(), desc="features", unit="bin", leave=False, disable=None)
    features, means, log_volumes = (np.array(column, np.float32) for column in zip(*seen, strict=True))
    return Photographs(features, means, log_volumes, counts_of(bins))


def _session(artifact: Path) -> tuple[onnxruntime.InferenceSession, str]:
    """The network with the input of its last layer as the last output, and the name of its input."""
    network = onnx.load(artifact / "counter.onnx")
    answer = network.graph.output[0].name
    layer = next((node for node in network.graph.node if answer in node.output), None)
    if layer is None or layer.op_type != "Gemm":
        raise ValueError(f"{artifact} has no linear last layer whose input could be read: name a float artifact")
    network.graph.output.append(onnx.helper.make_empty_tensor_value_info(layer.input[0]))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(network.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0].name
