"""Counts the objects in a picture: loads the artifact, prepares the picture as training did, runs the network.

The artifact is a folder with `counter.onnx` and `counter.json`. The JSON says all that differs between networks, so
that a retrained one is served by replacing the folder:

    name          what to call the model
    labels        what is answered; the last is open: "6+" is six or more, whatever further outputs the network has
    size          side in pixels that pictures are squashed to
    mean, std     per channel, of pictures scaled to 0..1
    soft_width    of the targets that the network was trained on, in labels (model.calibration)
    temperature   divides the log probabilities, so that they mean what they say
    flip          whether to average over the picture and its mirror image
    prior         share of each label among the bins that the network was trained on
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from .calibration import sharpened, tempered
from .pictures import Pixels, decode, squash

ARTIFACT = Path(__file__).parent / "artifact"
THREADS_VARIABLE = "COUNTER_THREADS"  # threads for one picture; 1 serves most pictures a second


@dataclass(frozen=True)
class Prediction:
    """How many objects a picture shows: the likeliest count (6 for "6+"), and how likely each label is."""

    count: int
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    prior: tuple[float, ...]
    model: str


class BrokenArtifactError(RuntimeError):
    """The artifact folder does not hold a network that can be served."""


class Predictor:
    """A loaded network. Safe to use from several threads at once."""

    def __init__(self, artifact: Path = ARTIFACT, threads: int | None = None) -> None:
        """Load the network of `artifact`, running each picture on `threads` threads.

        Raises BrokenArtifactError when a file is missing or does not fit the other.
        """
        try:
            network = (artifact / "counter.onnx").read_bytes()
            description = (artifact / "counter.json").read_bytes()
            about: Mapping[str, Any] = json.loads(description)
            self.labels = tuple(str(label) for label in about["labels"])
            self.prior = tuple(float(share) for share in about["prior"])
            self.size = int(about["size"])
            self.soft_width = float(about["soft_width"])
            self.temperature = float(about["temperature"])
            self.flip = bool(about["flip"])
            mean, std = (np.array(about[key], np.float32) for key in ("mean", "std"))
            self.name = f"{about['name']}@{hashlib.sha256(network + description).hexdigest()[:12]}"
        except (OSError, KeyError, TypeError, ValueError) as error:
            reason = f"{artifact} is no model artifact ({error!r}): make one with `python -m training.export`"
            raise BrokenArtifactError(reason) from error
        self._scale = (1 / (255 * std)).astype(np.float32)
        self._offset = (-mean / std).astype(np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or int(os.environ.get(THREADS_VARIABLE, "1"))
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        outputs = self._session.get_outputs()[0].shape[-1]
        if not len(self.prior) == len(self.labels) <= outputs:
            sizes = f"{len(self.labels)} labels, {len(self.prior)} priors, {outputs} outputs"
            reason = f"the files of {artifact} are of different networks ({sizes}): export it again"
            raise BrokenArtifactError(reason)

    def prepare(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """The network's input (1 or 2, 3, size, size) for squashed pixels; the second is the mirror image."""
        picture = (pixels * self._scale + self._offset).transpose(2, 0, 1)
        return np.stack((picture, picture[..., ::-1])) if self.flip else np.ascontiguousarray(picture[None])

    def logits(self, pixels: Pixels) -> npt.NDArray[np.float64]:
        """What the network says of squashed pixels, (outputs,), averaged over the mirror image if set so."""
        (outputs,) = self._session.run(None, {self._input: self.prepare(pixels)})
        mean: npt.NDArray[np.float64] = np.asarray(outputs, np.float64).mean(0)
        return mean

    def probabilities(self, pixels: Pixels) -> npt.NDArray[np.float64]:
        """The calibrated probability of each label for squashed pixels (size, size, 3), 0..255."""
        shares = tempered(sharpened(self.logits(pixels)[None], self.soft_width), self.temperature)[0]
        labelled: npt.NDArray[np.float64] = np.add.reduceat(shares, np.arange(len(self.labels)))  # the rest is open
        return labelled

    def predict(self, data: bytes) -> Prediction:
        """Count the objects in the bytes of a JPEG or PNG.

        Raises model.pictures.RejectedImage when the bytes are no picture that can be counted.
        """
        probabilities = self.probabilities(squash(decode(data), self.size))
        count = int(self.labels[int(probabilities.argmax())].rstrip("+"))
        return Prediction(count, self.labels, tuple(probabilities.tolist()), self.prior, self.name)
