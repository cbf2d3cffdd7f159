"""What reaches the last layer of a served network, for networks that learn from it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import torch
from tqdm.contrib.concurrent import thread_map

from model.images import Pixels, RejectedImage, decode, resize
from model.predictor import Predictor

from ..data.augment import augment, draw
from ..data.bins import LabelledBin, counts_of
from ..data.cache import cores
from .pair_network import Photographs


def photographs(
    predictor: Predictor, artifact: Path, bins: Sequence[LabelledBin], *, varied: bool = False
) -> Photographs:
    """What the network of `artifact`, which `predictor` has loaded, says of the photographs of `bins`.

    With `varied` each is a variation of the photograph, as in other light by another camera, always the same one.

    Raises ValueError when an image cannot be counted, or when the network's first output is of no linear layer.
    """
    session, name = _session(artifact)

    def run(place: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], float]:
        image = bins[place].image
        try:
            pixels = resize(decode(image.read_bytes()), predictor.size)
        except RejectedImage as error:
            raise ValueError(f"{image}: {error.reason}, or prepare the set again without it") from error
        shown = _vary(pixels, place) if varied else pixels
        logits, *volume, features = session.run(None, {name: predictor.preprocess(shown)})
        log_volume = float(volume[0].mean()) if volume else 0.0
        return features.mean(0), predictor.probabilities(np.asarray(logits, np.float64).mean(0)), log_volume

    what = "variations" if varied else "features"
    places = range(len(bins))
    seen = thread_map(run, places, max_workers=cores(), desc=what, unit="bin", leave=False, disable=None)
    features, probabilities, log_volumes = map(np.array, zip(*seen, strict=True))
    return Photographs(features, probabilities, log_volumes.astype(np.float32), counts_of(bins))


def _vary(pixels: Pixels, seed: int) -> Pixels:
    images = torch.from_numpy(np.ascontiguousarray(pixels))[None]
    shown = augment(images, draw("camera", [(seed,)]), pixels.shape[0])[0]
    return (shown * 255).round().byte().permute(1, 2, 0).numpy()


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
