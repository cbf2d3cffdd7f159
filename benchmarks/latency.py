"""Times one picture on one core, step by step: decode, squash, infer.

python -m benchmarks.latency samples/bin-images --rounds 20
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model.pictures import RejectedImage, decode, squash
from model.predictor import Predictor


def timed(step: Callable[[], Any]) -> tuple[Any, float]:
    """The step's result and its duration in milliseconds."""
    started = time.perf_counter()
    result = step()
    return result, (time.perf_counter() - started) * 1000


def measure(predictor: Predictor, pictures: list[bytes], rounds: int) -> dict[str, dict[str, float]]:
    """Median and 95th percentile in milliseconds of each step and of the whole."""
    predictor.predict(pictures[0])
    steps: dict[str, list[float]] = {"decode": [], "squash": [], "infer": [], "whole": []}
    for picture in pictures * rounds:
        image, decode_ms = timed(lambda picture=picture: decode(picture))
        pixels, squash_ms = timed(lambda image=image: squash(image, predictor.size))
        _, infer_ms = timed(lambda pixels=pixels: predictor.probabilities(predictor.look(pixels)[0]))
        for step, duration_ms in zip(
            steps, (decode_ms, squash_ms, infer_ms, decode_ms + squash_ms + infer_ms), strict=True
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
    parser.add_argument("folder", type=Path, help="pictures")
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    predictor = Predictor(threads=1)
    pictures = []
    for path in sorted(options.folder.glob("*.*")):
        content = path.read_bytes()
        try:
            decode(content)
        except RejectedImage:
            continue
        pictures.append(content)
    print(json.dumps({"model": predictor.name, "flip": predictor.flip, "pictures": len(pictures) * options.rounds}))
    print(json.dumps(measure(predictor, pictures, options.rounds), indent=2))


if __name__ == "__main__":
    main()
