"""How many images a second one core serves, and how long each takes, beside other ways to count.

    python -m benchmarks.serving --images bins/bin-images --json

The endpoint runs on one core; clients call it by HTTP from the others. What it is compared with runs on that same core
in loops without HTTP, which favours them:

    ResNet-50, eager         the published way: Pillow, torchvision's Resize, ToTensor, Normalize, and eager torch
    our network, eager       the endpoint's decoding and resizing, then our network in eager torch
    onnxruntime alone        our network as it is served, on inputs that are made beforehand

The same network in 8 bits (`model/artifact-fast`) is served beside them. All take turns. Images a second are of CPU
time, so other programs on the machine change them little; milliseconds are those of the clock, and other programs are
in them. Without torch the first two are left out. Weights do not change how long a network takes, so theirs are random.
"""

import importlib.util
import io
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import psutil
from PIL import Image

from benchmarks.load import CORES, Served, closed_loop, endpoint, pin, quantile
from benchmarks.pictures import options_of, pictures
from model.images import decode, resize
from model.predictor import ARTIFACT, Predictor

CLIENTS = (1, 4, 16)
FAST_ARTIFACT = ARTIFACT.parent / "artifact-fast"
FAST = f"bincheck in 8 bits, {CLIENTS[1]} clients"
RESNET_SIZE, RESNET_LABELS = 224, 5
BACKBONE = "tf_efficientnet_lite2"
Count = Callable[[bytes], object]


def published() -> Count:
    import torch
    from torchvision import models, transforms

    torch.set_num_threads(1)
    network = models.resnet50(num_classes=RESNET_LABELS).eval()
    steps = transforms.Compose(
        [
            transforms.Resize((RESNET_SIZE, RESNET_SIZE)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )

    def count(data: bytes) -> object:
        with torch.inference_mode():
            return network(steps(Image.open(io.BytesIO(data)).convert("RGB"))[None]).softmax(1)

    return count


def eager() -> Count:
    import torch

    from training.network.counter import Counter

    torch.set_num_threads(1)
    predictor = Predictor(threads=1)
    network = Counter(BACKBONE, labels=len(predictor.labels)).eval()

    def count(data: bytes) -> object:
        pixels = torch.from_numpy(resize(decode(data), predictor.size)).permute(2, 0, 1)[None]
        with torch.inference_mode():
            return network(network.normalise(pixels / 255))[0].softmax(1)

    return count


def bare() -> Count:
    predictor = Predictor(threads=1)
    inputs: dict[bytes, Any] = {}

    def count(data: bytes) -> object:
        if data not in inputs:
            inputs[data] = predictor.preprocess(resize(decode(data), predictor.size))
        return predictor._session.run(None, {predictor._input: inputs[data]})

    return count


LOOPS: dict[str, Callable[[], Count]] = {
    "ResNet-50, eager": published,
    "our network, eager": eager,
    "onnxruntime alone": bare,
}
NEED_TORCH = ("ResNet-50, eager", "our network, eager")


def serve_loop(way: str, images: Sequence[bytes], orders: Connection) -> None:
    """In a process of its own: count as many images as is ordered, and say what each took and the CPU time of all."""
    pin(psutil.Process(), CORES[-1:])
    count = LOOPS[way]()
    for image in images:
        count(image)
    while number := orders.recv():
        took, used = [], time.process_time()
        for place in range(number):
            started = time.perf_counter()
            count(images[place % len(images)])
            took.append(time.perf_counter() - started)
        orders.send((took, time.process_time() - used))


class Loop:
    """A process that counts when it is told to."""

    def __init__(self, way: str, images: Sequence[bytes]) -> None:
        self._orders, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("spawn").Process(
            target=serve_loop, args=(way, images, theirs), daemon=True
        )
        process.start()

    def run(self, number: int) -> tuple[list[float], float]:
        self._orders.send(number)
        took, cpu_s = self._orders.recv()
        return took, cpu_s

    def stop(self) -> None:
        self._orders.send(0)


def call(served: Served, images: Sequence[bytes], clients: int, number: int) -> tuple[list[float], float]:
    """Seconds until each answer, and the CPU time of the endpoint for all."""
    used = served.cpu_s
    answers = closed_loop(served.url, images, clients, number)
    if refused := [answer.status for answer in answers if answer.status != 200]:
        raise SystemExit(f"the endpoint answered {refused[0]}")
    return [answer.took_s for answer in answers], served.cpu_s - used


def measure(images: Sequence[bytes], rounds: int, number: int, ways: Sequence[str]) -> dict[str, dict[str, float]]:
    """Images a second of CPU time (median, lowest, highest of the rounds) and milliseconds, by way."""
    pin(psutil.Process(), CORES[:-1])
    loops = {way: Loop(way, images[:20]) for way in ways}
    with endpoint(1) as served, endpoint(1, artifact=FAST_ARTIFACT) as fast:
        for each in (served, fast):
            call(each, images, 4, 20)
        runs: dict[str, Callable[[], tuple[list[float], float]]] = {
            f"bincheck, {clients} client{'s' * (clients > 1)}": lambda clients=clients: call(
                served, images, clients, number
            )
            for clients in CLIENTS
        }
        runs[FAST] = lambda: call(fast, images, CLIENTS[1], number)
        slow = max(1, number // 5)
        runs |= {way: lambda way=way: loops[way].run(slow if way in NEED_TORCH else number) for way in loops}
        rates: dict[str, list[float]] = {way: [] for way in runs}
        times: dict[str, list[float]] = {way: [] for way in runs}
        for turn in range(rounds + 1):
            for way, run in runs.items():
                took, cpu_s = run()
                if turn:  # the first warms up
                    rates[way].append(len(took) / cpu_s)
                    times[way] += took
    for loop in loops.values():
        loop.stop()
    return {
        way: {
            "images_per_cpu_second": statistics.median(rates[way]),
            "lowest": min(rates[way]),
            "highest": max(rates[way]),
            "p50_ms": quantile(times[way], 0.5) * 1000,
            "p99_ms": quantile(times[way], 0.99) * 1000,
        }
        for way in runs
    }


def main() -> None:
    """Command line: see the module's docstring."""
    parser = options_of("Time the endpoint beside other ways to count.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=100, help="of each round and way")
    options = parser.parse_args()
    has_torch = importlib.util.find_spec("torch") is not None
    ways = [way for way in LOOPS if has_torch or way not in NEED_TORCH]
    measured = measure(pictures(options.images), options.rounds, options.requests, ways)
    served = measured[f"bincheck, {CLIENTS[1]} clients"]["images_per_cpu_second"]
    ratios = {way: served / measured[way]["images_per_cpu_second"] for way in (*ways, FAST)}
    if options.json:
        print(json.dumps({"ways": measured, "bincheck_times_as_fast_as": ratios}))
        return
    for way, ratio in ratios.items():
        print(f"bincheck serves {ratio:.2f} times as many images as {way}")
    for way, row in measured.items():
        print(
            f"{way:22}{row['images_per_cpu_second']:7.1f}/s ({row['lowest']:.1f} to {row['highest']:.1f})"
            f"  p50 {row['p50_ms']:.0f} ms, p99 {row['p99_ms']:.0f} ms"
        )


if __name__ == "__main__":
    main()
