"""Times how images reach a network: as revision 2666b74 loads them, as training.data.loading does, and as torchvision's
ImageFolder with Pillow does, as the published ways had it; in one run.

python -m benchmarks.loader --prepared runs/bins/train --originals bins/bin-images --json

Without folders it takes the samples. A figure is images a second of one core: CPU time of all threads, so that other
programs on the machine do not count. "first epoch" decodes; "later epochs" read what is held in memory. "on the device"
is the work that a GPU does in training, here timed on a core. The share of time that a GPU would be busy is that of a
step which only takes its time; it needs a machine that does nothing else. No GPU is used, and what copying to one costs
is not in it. As beside a GPU, a thread makes the batches ahead.
"""

import argparse
import importlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import Compose, Normalize, Resize, ToTensor

from model.images import RejectedImage, decode, resize
from training.data.bins import LabelledBin
from training.data.cache import Cache, cores
from training.data.decoding import exact_pixels, fast_pixels
from training.data.loading import BATCHES_AHEAD, Batch, ImageLoader
from training.loop import cpu

BEFORE = "2666b74"
PLAIN = "ImageFolder"
ROOT = Path(__file__).parents[1]
SIZE, BATCH = 224, 64
Plan = list[list[tuple[int, int]]]


def landed(folder: Path) -> ModuleType:
    """`training` of revision BEFORE, under another name. Exits when the repository does not hold the revision."""
    packed = subprocess.run(["git", "archive", BEFORE, "training"], cwd=ROOT, capture_output=True, check=False)  # noqa: S603, S607
    if packed.returncode:
        sys.exit(f"revision {BEFORE} is not in this clone: git fetch --unshallow")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    (folder / "training").rename(folder / "landed")
    sys.path.insert(0, str(folder))
    return importlib.import_module("landed.data.loading")


def bins_of(folder: Path, number: int) -> list[LabelledBin]:
    """Some of the images below a folder, drawn at random."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})
    random.Random(0).shuffle(paths)  # noqa: S311
    return [LabelledBin(path.stem, 0, path) for path in paths[:number] if readable(path)]


def readable(path: Path) -> bool:
    """Whether serving would take the image; one of the samples is broken on purpose."""
    try:
        decode(path.read_bytes())
    except RejectedImage:
        return False
    return True


def prepared_samples(folder: Path) -> Path:
    """The samples as training.prepare --size leaves them."""
    for path in (ROOT / "samples/bin-images").glob("r0[01]*.jpg"):  # all of these are whole
        Image.fromarray(resize(decode(path.read_bytes()), SIZE)).save(folder / path.name, quality=92)
    return folder


def plain(bins: list[LabelledBin], folder: Path) -> DataLoader[Any]:
    """The images by ImageFolder, a DataLoader in this process, and Pillow."""
    (folder / "class").mkdir()
    for place, one in enumerate(bins):
        (folder / "class" / f"{place:05}.jpg").symlink_to(Path(str(one.image)).resolve())
    steps = [Resize((SIZE, SIZE)), ToTensor(), Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))]
    return DataLoader(ImageFolder(str(folder), Compose(steps)), BATCH)


def per_core(batches: Iterable[Any], images: int) -> float:
    """Images a second of CPU time."""
    started = time.process_time()
    for _ in batches:
        pass
    return images / (time.process_time() - started)


def speeds(bins: list[LabelledBin], before: ModuleType, rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Images a second of a core, by what is done and by how; medians of rounds that take turns.

    `folder` is empty; links to the images are put there.
    """
    as_published = plain(bins, folder)
    images = len(bins) // BATCH * BATCH
    plan: Plan = [[(place, place) for place in range(start, start + BATCH)] for start in range(0, images, BATCH)]
    streamed = ImageLoader(bins, SIZE, decode=fast_pixels, workers=0)
    held = ImageLoader(bins, SIZE, decode=fast_pixels, workers=0, cache="memory")
    batch = next(held.batches(plan, (0, 0)))
    landed_batch = next(before.load(before.Images(bins, SIZE, (0, 0)), plan, 0))
    landed_augment = importlib.import_module("landed.data.augment").augment
    measures: dict[str, dict[str, Callable[[], float]]] = {
        "all that a camera may change": {
            BEFORE: lambda: per_core(before.load(before.Images(bins, SIZE, (0, 0)), plan, 0), images),
            "first epoch": lambda: per_core(streamed.batches(plan, (0, 0)), images),
            "later epochs": lambda: per_core(held.batches(plan, (0, 0)), images),
        },
        "no variation": {
            BEFORE: lambda: per_core(before.load(before.Images(bins, SIZE), plan, 0), images),
            PLAIN: lambda: per_core(as_published, len(bins)),
            "first epoch": lambda: per_core(streamed.batches(plan), images),
            "later epochs": lambda: per_core(held.batches(plan), images),
        },
        "on the device, here on a core": {
            BEFORE: lambda: per_core(
                (landed_augment(landed_batch.images, landed_batch.variation, SIZE) for _ in range(3)), 3 * BATCH
            ),
            "now": lambda: per_core((replace(batch).varied for _ in range(3)), 3 * BATCH),
        },
    }
    return {
        name: {how: statistics.median(column) for how, column in zip(ways, _rounds(ways, rounds), strict=True)}
        for name, ways in measures.items()
    }


def _rounds(ways: dict[str, Callable[[], float]], rounds: int) -> list[tuple[float, ...]]:
    """What each way takes in each round."""
    return list(zip(*([measure() for measure in ways.values()] for _ in range(rounds)), strict=True))


def busy_share(batches: Iterator[Batch], step_s: float) -> float:
    """Share of the time in which a device would compute that takes `step_s` for each batch."""
    next(batches)  # workers have started
    started, steps = time.perf_counter(), 0
    for _ in batches:
        time.sleep(step_s)
        steps += 1
    return steps * step_s / (time.perf_counter() - started)


def made_ahead(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The batches as a loader for a GPU makes them: by a thread, a few before the loop asks."""
    with ThreadPoolExecutor(1) as thread:
        waiting = deque(thread.submit(next, batches, None) for _ in range(BATCHES_AHEAD))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(next, batches, None))
            yield batch


def busy_shares(bins: list[LabelledBin], before: ModuleType, step_s: float, workers: int) -> dict[str, float]:
    """How busy a device is kept by what was loaded before and is now."""
    plan: Plan = [[(place, place % len(bins)) for place in range(s, s + BATCH)] for s in range(0, 60 * BATCH, BATCH)]

    def now(workers: int, cache: Cache) -> Iterator[Batch]:
        loader = ImageLoader(bins, SIZE, decode=fast_pixels, workers=workers, cache=cache)
        return made_ahead(loader.batches(plan, (0, 0)))

    ways: dict[str, Callable[[], Iterable[Any]]] = {
        f"{BEFORE}, as it is by default": lambda: before.load(before.Images(bins, SIZE, (0, 0)), plan, 0),
        f"{BEFORE}, {workers} workers": lambda: before.load(before.Images(bins, SIZE, (0, 0)), plan, workers),
        f"no cache, {workers} workers": lambda: now(workers, "none"),
        "held in memory": lambda: now(0, "memory"),
    }
    return {name: busy_share(iter(way()), step_s) for name, way in ways.items()}


def difference(bins: list[LabelledBin]) -> float:
    """The mean difference, of 255, between pixels decoded for training and those that serving sees."""
    apart = [(fast_pixels(one, SIZE).float() - exact_pixels(one, SIZE).float()).abs().mean() for one in bins]
    return float(torch.stack(apart).mean())


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Time how images reach a network.")
    parser.add_argument("--prepared", type=Path, help=f"folder of images of {SIZE} pixels a side; unless set, samples")
    parser.add_argument("--originals", type=Path, default=ROOT / "samples/bin-images", help="folder of images as taken")
    parser.add_argument("--images", type=int, default=512, help="at most so many of each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--step-ms", type=float, default=25, help=f"what a GPU takes for {BATCH} images")
    parser.add_argument("--workers", type=int, default=cores())
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cpu.keep_freed_memory()
    with tempfile.TemporaryDirectory() as temporary:
        before = landed(Path(temporary))
        folder = options.prepared or prepared_samples(Path(temporary))
        sets = {f"files of {SIZE} pixels": folder, "originals": options.originals}
        sources = {name: filled(bins_of(source, options.images)) for name, source in sets.items()}
        report = {
            "cores": os.cpu_count(),
            "load_average_before": os.getloadavg()[0],
            "images_per_second_per_core": {
                name: speeds(bins, before, options.rounds, Path(tempfile.mkdtemp(dir=temporary)))
                for name, bins in sources.items()
            },
            "mean_pixel_difference_from_serving": {name: difference(bins) for name, bins in sources.items()},
            "busy_share_of_a_fake_device": {
                name: busy_shares(bins, before, options.step_ms / 1000, options.workers)
                for name, bins in sources.items()
            },
            "step_ms": options.step_ms,
        }
    print(json.dumps(report, indent=2) if options.json else text(report))


def filled(bins: list[LabelledBin]) -> list[LabelledBin]:
    """The bins, repeated to at least one batch."""
    return bins * -(-BATCH // len(bins))


def text(report: dict[str, Any]) -> str:
    """The report for a person: ratios first."""
    lines = []
    for source, figures in report["images_per_second_per_core"].items():
        lines.append(f"{source} ({report['mean_pixel_difference_from_serving'][source]:.3f} of 255 from serving)")
        for name, speed in figures.items():
            ratios = (f"{how} x{value / speed[BEFORE]:.1f}" for how, value in speed.items() if how != BEFORE)
            values = (f"{how} {value:,.0f}" for how, value in speed.items())
            lines.append(f"  {name}: {', '.join(ratios)}  (images/s per core: {', '.join(values)})")
        shares = (f"{how} {share:.0%}" for how, share in report["busy_share_of_a_fake_device"][source].items())
        lines.append(f"  busy at {report['step_ms']:g} ms for {BATCH} images: {', '.join(shares)}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
