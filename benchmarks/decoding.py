"""Times how the bytes of a photograph become the network's pixels, and what other decoders take, in one run.

python -m benchmarks.decoding --images bins/bin-images --json

Without a folder it takes the samples. The ways take turns on each image, so that other programs on the machine slow all
of them alike. A figure is the median of CPU time; the ratio is to plain Pillow. All but "bincheck decodes" resize, too.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import simplejpeg
from PIL import Image

from model.images import Pixels, decode, resize

SAMPLES = Path(__file__).parents[1] / "samples"
SIZE = 240


def pillow(data: bytes) -> Pixels:
    return resize(Image.open(io.BytesIO(data)).convert("RGB"), SIZE)


def pillow_draft(data: bytes) -> Pixels:
    """Lets libjpeg scale by a half, a quarter or an eighth while it decodes, if that leaves enough pixels."""
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (SIZE, SIZE))
    return resize(image.convert("RGB"), SIZE)


def turbo(data: bytes) -> Pixels:
    return resize(Image.fromarray(simplejpeg.decode_jpeg(data, strict=False)), SIZE)


def bincheck(data: bytes) -> Pixels:
    return resize(decode(data), SIZE)


WAYS: dict[str, Callable[[bytes], object]] = {
    "Pillow": pillow,
    "Pillow, draft": pillow_draft,
    "simplejpeg": turbo,
    "bincheck decodes": decode,
    "bincheck": bincheck,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoding", description=__doc__)
    parser.add_argument("--images", type=Path, default=SAMPLES, help="folder of JPEGs, searched through")
    parser.add_argument("--limit", type=int, default=200, help="only the first so many images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args()
    images = [path.read_bytes() for path in sorted(options.images.rglob("*.jpg"))[: options.limit]]
    if not images:
        parser.error(f"{options.images} holds no .jpg")
    medians = measure(images, options.rounds)
    ratios = {way: ms / medians["Pillow"] for way, ms in medians.items()}
    if options.json:
        print(json.dumps({"images": len(images), "ms": medians, "ratio": ratios}))
        return
    print(f"{len(images)} images, {options.rounds} rounds, to {SIZE}x{SIZE}\n{'':<18}{'ms':>8}{'ratio':>8}")
    for way, ms in medians.items():
        print(f"{way:<18}{ms:>8.2f}{ratios[way]:>8.2f}")


def measure(images: list[bytes], rounds: int) -> dict[str, float]:
    """Milliseconds of CPU time for an image, of each way: the median of all images and rounds after a first one."""
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for turn in range(rounds + 1):
        for data in images:
            for way, run in WAYS.items():
                began = time.process_time_ns()
                run(data)
                if turn:
                    times[way].append((time.process_time_ns() - began) / 1e6)
    return {way: statistics.median(taken) for way, taken in times.items()}


if __name__ == "__main__":
    main()
