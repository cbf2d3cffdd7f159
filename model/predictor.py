"""Counts the objects in an image: loads the artifact, preprocesses the image as in training, runs the network.

The artifact is a folder with `counter.onnx` and `counter.json`. The JSON holds everything that differs between
networks, so a retrained one is served by replacing the folder:

    name          the model's name
    labels        of the answers: "0", "1", …; the last is open, as "10+", and has the network's further outputs, too
    size          side in pixels that images are resized to
    mean, std     of each channel, for images scaled to 0..1
    soft_width    width of the soft targets in training, in labels (model.calibration)
    temperature   divides the log probabilities to calibrate them
    flip          whether to average over the image and its mirror image
    trained_prior share of each label in training; a label of share 0 is never answered
    prior         share of each label that the answers assume
    volume_error  standard deviation of the logarithm of the predicted volume, if the network has a volume output
"""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from .calibration import calibrate, prior_ratio
from .estimate import Interval, median, shortest_interval
from .images import Pixels, decode, resize

ARTIFACT = Path(__file__).parent / "artifact"
MAX_LOG_VOLUME = 20.0  # the volume of a house; exp() of a larger output could overflow
GPU, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
THREADS_VARIABLE = "COUNTER_THREADS"  # threads for one image; 1 serves most images a second


@dataclass(frozen=True)
class Prediction:
    """The answer for one image: the median of the count (10 for "10+"), and the probability of each label.

    `interval` is that of `model.estimate`: the least and the greatest count, None for the greatest of an open label.
    `volume_in3` is the volume of all objects in cubic inches, `volume_error` the standard deviation of its natural
    logarithm. Both are None if the network has no volume output.
    """

    count: int
    interval: Interval
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    prior: tuple[float, ...]
    model: str
    volume_in3: float | None = None
    volume_error: float | None = None


class BrokenArtifactError(RuntimeError):
    """The artifact folder does not hold a network that can be served."""


class Predictor:
    """A loaded network. Safe to use from several threads at once."""

    def __init__(self, artifact: Path = ARTIFACT, threads: int | None = None) -> None:
        """Load the network of `artifact`. Each image runs on `threads` threads.

        Raises BrokenArtifactError if a file is missing, or the two files do not belong together.
        """
        try:
            network = (artifact / "counter.onnx").read_bytes()
            description = (artifact / "counter.json").read_bytes()
            about: Mapping[str, Any] = json.loads(description)
            self.labels = tuple(str(label) for label in about["labels"])
            self.prior = tuple(float(share) for share in about["prior"])
            self.trained_prior = np.array(about["trained_prior"], np.float64)
            self.ratio = prior_ratio(np.array(self.prior), self.trained_prior)
            self.size = int(about["size"])
            self.soft_width = float(about["soft_width"])
            self.temperature = float(about["temperature"])
            self.flip = bool(about["flip"])
            self.volume_error = float(about["volume_error"]) if "volume_error" in about else None
            mean, std = (np.array(about[key], np.float32) for key in ("mean", "std"))
            self.name = f"{about['name']}@{hashlib.sha256(network + description).hexdigest()[:12]}"
        except (OSError, KeyError, TypeError, ValueError) as error:
            reason = f"{artifact} is not a model artifact ({error!r}): make one with `python -m training.export`"
            raise BrokenArtifactError(reason) from error
        self._scale = (1 / (255 * std)).astype(np.float32)[:, None, None]
        self._offset = (-mean / std).astype(np.float32)[:, None, None]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or int(os.environ.get(THREADS_VARIABLE, "1"))
        options.inter_op_num_threads = 1
        on_gpu = GPU in onnxruntime.get_available_providers()
        if on_gpu:
            onnxruntime.preload_dlls()
        self._session = onnxruntime.InferenceSession(network, options, providers=[GPU, CPU] if on_gpu else [CPU])
        self._input = self._session.get_inputs()[0].name
        outputs = self._session.get_outputs()[0].shape[-1]
        has_volume = len(self._session.get_outputs()) > 1
        if self.volume_error is not None and not has_volume:
            reason = f"the network of {artifact} has no volume output, but its JSON has volume_error: export it again"
            raise BrokenArtifactError(reason)
        if not len(self.prior) == len(self.labels) <= outputs:
            sizes = f"{len(self.labels)} labels, {len(self.prior)} priors, {outputs} outputs"
            reason = f"the files of {artifact} belong to different networks ({sizes}): export it again"
            raise BrokenArtifactError(reason)

    def preprocess(self, pixels: Pixels) -> npt.NDArray[np.float32]:
        """The network's input (1 or 2, 3, size, size), float32, for resized pixels. The second is the mirror image."""
        image = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
        image *= self._scale  # in place: a fifth of the time that new arrays take
        image += self._offset
        return np.stack((image, image[..., ::-1])) if self.flip else image[None]

    def infer(self, pixels: Pixels) -> tuple[npt.NDArray[np.float64], float | None]:
        """Run the network on resized pixels (size, size, 3), 0 to 255: logits (outputs,) and log(1 + cubic inches).

        With `flip` both are means over the image and its mirror image. The second is None without a volume output.
        """
        logits, *further = self._session.run(None, {self._input: self.preprocess(pixels)})
        log_volume = float(np.mean(further[0])) if further else None
        return np.asarray(logits, np.float64).mean(0), log_volume

    def probabilities(self, logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The calibrated probability of each label, from logits (outputs,)."""
        shares: npt.NDArray[np.float64] = calibrate(logits[None], self.soft_width, self.temperature, self.ratio)[0]
        return shares

    def predict(self, data: bytes) -> Prediction:
        """Count the objects in the bytes of a JPEG or PNG.

        Raises model.images.RejectedImage if the bytes are not an image that can be counted.
        """
        logits, log_volume = self.infer(resize(decode(data), self.size))
        return self.answer(self.probabilities(logits), log_volume)

    def answer(self, shares: npt.NDArray[np.float64], log_volume: float | None) -> Prediction:
        """The answer for calibrated probabilities (labels,) and log(1 + cubic inches), None without a volume output."""
        probabilities = tuple(shares.tolist())
        volume_in3 = None
        if log_volume is not None and self.volume_error is not None:
            volume_in3 = max(0.0, math.expm1(min(log_volume, MAX_LOG_VOLUME)))
        return Prediction(
            median(probabilities),
            shortest_interval(probabilities, open_end=self.labels[-1].endswith("+")),
            self.labels,
            probabilities,
            self.prior,
            self.name,
            volume_in3,
            self.volume_error,
        )
