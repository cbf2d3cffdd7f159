"""Makes an artifact of 8-bit integers from one of 32-bit floats, and measures what that saves and costs.

    python -m training.quantise --artifact model/artifact --data FOLDER --out runs/int8

The ranges of the activations come from val images, and the temperature is fitted again: a rounded network is right
less often and has to be less sure. Weights have 7 bits. Processors without VNNI add two products of 8 bits in a signed
16-bit integer, which 8-bit weights overflow (255 * 127 * 2 > 32767) and 7-bit weights do not (255 * 64 * 2 < 32767), so
the answers do not depend on the processor. `training.network.rounding` makes up for the eighth bit.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from rich.table import Table
from tqdm import tqdm

from inventory.alert_text import one_line
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .calibrate import fit, served_logits, write_description
from .data.bins import LabelledBin, counts_of, pixels_of, read_bins, training_label
from .data.sampling import weights_for
from .measure.metrics import all_figures
from .network.rounding import round_again
from .report.evaluation_page import words
from .report.terminal import print_tables

CALIBRATION_IMAGES = 200
SHOWN = ("accuracy", "accuracy_0_5", "standardised_accuracy", "standardised_rmse", "log_loss", "calibration_error")


class Inputs(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    """The images from which the ranges of the activations are taken, as the endpoint prepares them."""

    def __init__(self, predictor: Predictor, bins: Sequence[LabelledBin], name: str) -> None:
        self._inputs = ({name: predictor.preprocess(pixels_of(one, predictor.size))} for one in bins)

    def __iter__(self) -> Iterator[dict[str, npt.NDArray[np.float32]]]:
        return self._inputs

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        return next(self._inputs, None)


@dataclass(frozen=True)
class Measured:
    """An artifact on labelled bins: its size, its time for an image (median, one thread's own) and its figures."""

    size_mb: float
    milliseconds: float
    counts: npt.NDArray[np.int64]
    figures: Mapping[str, float]


def quantise(artifact: Path, bins: Sequence[LabelledBin], out: Path) -> None:
    """Write the 8-bit artifact under `out`, its ranges from some of `bins`, its temperature from all of them.

    Raises model.predictor.BrokenArtifactError when `artifact` cannot be served; ValueError when `out` is `artifact`
    or an image cannot be counted.
    """
    if out.resolve() == artifact.resolve():
        raise ValueError(f"{out} holds the network to be quantised: name another folder with --out")
    predictor = Predictor(artifact)
    name = onnx.load(artifact / "counter.onnx").graph.input[0].name
    chosen = np.linspace(0, len(bins) - 1, min(len(bins), CALIBRATION_IMAGES)).astype(int)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        quant_pre_process(artifact / "counter.onnx", folded, skip_symbolic_shape=True)
        quantize_static(
            folded,
            out / "counter.onnx",
            Inputs(predictor, [bins[index] for index in chosen], name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            reduce_range=True,  # 7 bits: see the module's docstring
        )
        round_again(folded, out / "counter.onnx", Inputs(predictor, [bins[index] for index in chosen[::3]], name))
    about = json.loads((artifact / "counter.json").read_text())
    about["name"] += "-int8"
    about["quantised"] = {"from": predictor.name, "pictures": len(chosen)}
    about.pop("metrics", None)  # they were the other network's
    write_description(out, about)
    counts = counts_of(bins)
    weights = weights_for(training_label(counts, len(predictor.labels)), np.array(predictor.prior))
    calibration = fit(served_logits(Predictor(out), bins), counts, predictor.soft_width, weights, predictor.ratio)
    write_description(out, about | {"temperature": calibration.temperature})


def measure(artifact: Path, bins: Sequence[LabelledBin]) -> Measured:
    """Serve every bin on one thread. The time is the processor's, so that a busy machine does not distort it."""
    predictor = Predictor(artifact, threads=1)
    answers, times_s = [], []
    for one in tqdm(bins, predictor.name, unit="bin", leave=False, disable=None):
        data = one.image.read_bytes()
        started = time.thread_time()
        answers.append(predictor.predict(data))
        times_s.append(time.thread_time() - started)
    return Measured(
        (artifact / "counter.onnx").stat().st_size / 1e6,
        statistics.median(times_s) * 1000,
        np.array([answer.count for answer in answers]),
        all_figures(np.array([answer.probabilities for answer in answers]), counts_of(bins)),
    )


def show(float32: Measured, int8: Measured) -> None:
    """Print both side by side."""
    table = Table("", "float32", "int8", title=f"{len(int8.counts)} bins")
    table.add_row("size (MB)", f"{float32.size_mb:.2f}", f"{int8.size_mb:.2f}")
    table.add_row("one image on one core (ms)", f"{float32.milliseconds:.1f}", f"{int8.milliseconds:.1f}")
    for name in SHOWN:
        table.add_row(words(name), f"{float32.figures[name]:.4f}", f"{int8.figures[name]:.4f}")
    table.add_row("same count", "", f"{np.mean(float32.counts == int8.counts):.1%}")
    print_tables(table)


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Quantise an artifact to 8 bits and measure it.")
    parser.add_argument("--artifact", type=Path, default=ARTIFACT, help="folder of counter.onnx and counter.json")
    parser.add_argument("--data", type=Path, required=True, help="folder with bin images and index.csv")
    parser.add_argument("--split", default="val", help="of its index.csv, for the ranges and for the comparison")
    parser.add_argument("--out", type=Path, required=True, help="folder for the 8-bit artifact")
    parser.add_argument("--limit", type=int, help="only the first so many bins: a quick try")
    options = parser.parse_args()
    try:
        bins = read_bins(options.data, options.split)[: options.limit]
        quantise(options.artifact, bins, options.out)
        show(measure(options.artifact, bins), measure(options.out, bins))
    except (BrokenArtifactError, FileNotFoundError, ValueError) as error:
        raise SystemExit(one_line(error)) from error


if __name__ == "__main__":
    main()
