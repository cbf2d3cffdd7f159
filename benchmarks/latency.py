"""Times one image on one core, step by step: decode, resize, infer.

python -m benchmarks.latency samples/bin-images --rounds 20
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.images import RejectedImage, decode, resize
from model.predictor import Predictor


def timed(step: Callable[[], Any]) -> tuple[Any, float]:
    """The step's result and its duration in milliseconds."""
    started = time.perf_counter()
    result = step()
    return result, (time.perf_counter() - started) * 1000


def measure(predictor: Predictor, images: list[bytes], rounds: int) -> dict[str, dict[str, float]]:
    """Median and 95th percentile in milliseconds of each step and of the whole."""
    predictor.predict(images[0])
    steps: dict[str, list[float]] = {"decode": [], "resize": [], "infer": [], "whole": []}
    for data in images * rounds:
        image, decode_ms = timed(lambda data=data: decode(data))
        pixels, resize_ms = timed(lambda image=image: resize(image, predictor.size))
        _, infer_ms = timed(lambda pixels=pixels: predictor.probabilities(predictor.infer(pixels)[0]))
        for step, duration_ms in zip(
            steps, (decode_ms, resize_ms, infer_ms, decode_ms + resize_ms + infer_ms), strict=True
        ):
            steps[step].append(duration_ms)
    return {
        step: {
            "median_ms": round(statistics.median(times), 2),
            "p95_ms": round(statistics.quantiles(times, n=20)[-1], 2),
        }
        for step, times in steps.items()
    }


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Time the counter on one core.")
    parser.add_argument("folder", type=Path, help="images")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    predictor = Predictor(threads=1)
    images = []
    for path in sorted(options.folder.glob("*.*")):
        content = path.read_bytes()
        try:
            decode(content)
        except RejectedImage:
            continue
        images.append(content)
    print(json.dumps({"model": predictor.name, "flip": predictor.flip, "images": len(images) * options.rounds}))
    print(json.dumps(measure(predictor, images, options.rounds), indent=2))


if __name__ == "__main__":
    main()
