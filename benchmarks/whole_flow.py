"""The whole flow in the embedded cloud: checks a second, and the time from an upload to its alert.

    python -m benchmarks.whole_flow --images bins/bin-images --pairs 200 --json

Every record is one that its image disputes, so that every pair alerts, and each pair has a site of its own. First a
pair a second is uploaded, for the delay in peace; then all pairs at once, for the throughput. The time of a pair runs
from the moment when its second file is stored until a subscriber of the topic receives the alert.

The floor is the same flow with an endpoint that answers at once: what the emulator and the functions take. Beside both,
ten clients call the endpoint alone. The runs take turns, and all processes share this machine's cores. CPU time says
who uses them.
"""

import json
import multiprocessing
import re
import socket
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from benchmarks.batch import COUNT_AT_ONCE, server
from benchmarks.load import closed_loop, quantile
from benchmarks.memory import high_water_mb
from benchmarks.pictures import options_of, pictures
from inventory.metadata import Record
from inventory.prediction import Prediction
from inventory.verdict import judge
from local.embedded.cloud import EmbeddedCloud
from local.stack.deployed_stack import Stack
from local.stack.subscription import subscribed
from model.predictor import Predictor
from tests.builders import metadata, prediction
from tests.template import template

UPLOADERS = 8
CALM_PAIRS, CALM_PAUSE_S = 20, 1.0
TIMEOUT_S = 600
MISMATCH_RATE = float(template()["Parameters"]["MismatchRate"]["Default"])


class Picture(NamedTuple):
    """An image, and a count that both the model and the endpoint that answers at once dispute."""

    image: bytes
    disputed: int


def with_disputed_counts(images: Sequence[bytes]) -> list[Picture]:
    """Each image with the count that the model and the endpoint that answers at once dispute most."""
    predictor, at_once = Predictor(), prediction(COUNT_AT_ONCE)
    seen = [Prediction(**asdict(predictor.predict(image))) for image in images]
    return [Picture(image, most_disputed((one, at_once))) for image, one in zip(images, seen, strict=True)]


def most_disputed(predictions: Sequence[Prediction]) -> int:
    """The recorded count that is a mismatch for all predictions, and that none of them finds likely.

    Ends when there is none.
    """
    suspicions = {}
    for count in range(20):
        verdicts = [judge(one, Record(count), MISMATCH_RATE) for one in predictions]
        if all(one.status == "mismatch" for one in verdicts):
            suspicions[count] = min(one.suspicion for one in verdicts)
    if not suspicions:
        raise SystemExit("an image could hold any number of objects, so no record of it alerts: name other --images")
    return max(suspicions, key=suspicions.__getitem__)


def run(
    stack: Stack, images: Sequence[Picture], name: str, pairs: int, pause_s: float = 0
) -> tuple[float, list[float]]:
    """Upload pairs. Returns seconds from the first upload to the last alert, and those of each pair."""
    stored: dict[str, float] = {}
    took: dict[str, float] = {}
    s3 = stack.cloud.s3()

    def put(number: int) -> None:
        bin = f"{name}-{number}"
        image, recorded = images[number % len(images)]
        image += bin.encode()  # what follows an image's end makes its contents new
        s3.put_object(Bucket=stack.inbox_bucket, Key=f"{bin}/bin-images/1.jpg", Body=image)
        s3.put_object(Bucket=stack.inbox_bucket, Key=f"{bin}/metadata/1.json", Body=metadata(recorded))
        stored[f"{bin}/1"] = time.perf_counter()

    def receive() -> None:
        while len(took) < pairs and time.perf_counter() - started < TIMEOUT_S:
            for alert in subscription.receive(wait_s=1):
                took.setdefault(alert["bin"], time.perf_counter())

    with subscribed(stack) as subscription, ThreadPoolExecutor(UPLOADERS) as threads:
        started = time.perf_counter()
        receiving = threads.submit(receive)
        uploads = []
        for number in range(pairs):
            uploads.append(threads.submit(put, number))
            time.sleep(pause_s)
        for upload in uploads:
            upload.result()
        receiving.result()
    if len(took) < pairs:
        raise SystemExit(f"{pairs - len(took)} of {pairs} alerts did not come within {TIMEOUT_S} s")
    return max(took.values()) - started, [took[bin] - stored[bin] for bin in stored]


def figures(runs: Sequence[tuple[float, list[float]]], calm: Sequence[tuple[float, list[float]]]) -> dict[str, Any]:
    """Medians of the runs, and milliseconds of all their pairs."""
    rates = [len(took) / seconds for seconds, took in runs]
    all_at_once, in_peace = ([s * 1000 for _, took in each for s in took] for each in (runs, calm))
    return {
        "checks_per_second": statistics.median(rates),
        "lowest": min(rates),
        "highest": max(rates),
        "p50_ms": quantile(all_at_once, 0.5),
        "p99_ms": quantile(all_at_once, 0.99),
        "calm_p50_ms": quantile(in_peace, 0.5),
        "calm_p99_ms": quantile(in_peace, 0.99),
    }


def processes(folder: Path) -> dict[int, tuple[str, psutil.Process]]:
    """The emulator, the functions and the endpoint of a cloud, by process, with their names."""
    found = {}
    for record in folder.glob("*.json"):
        if pid := json.loads(record.read_text() or "{}").get("pid"):
            service = psutil.Process(pid)
            found[pid] = ("emulator" if record.stem == "cloud" else record.stem, service)
            for child in service.children(recursive=True):
                if function := re.search(r"-lambda-bincheck-(\w+?)-", " ".join(child.cmdline())):
                    found[child.pid] = (function[1], child)
    return found


def cpu_s(folder: Path) -> Counter[str]:
    """CPU seconds so far, by what used them."""
    used: Counter[str] = Counter()
    for name, process in processes(folder).values():
        times = process.cpu_times()
        used[name] += times.user + times.system
    return used


def measure(images: Sequence[Picture], pairs: int, rounds: int) -> dict[str, Any]:
    """The flow with the model and with an endpoint that answers at once, and the endpoint alone."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stub = multiprocessing.get_context("spawn").Process(target=server, args=(port, 0), daemon=True)
    stub.start()
    with tempfile.TemporaryDirectory() as folder:
        folders = {way: Path(folder) / way.replace(" ", "-") for way in ("with the model", "floor")}
        clouds = {
            "with the model": EmbeddedCloud(folders["with the model"]),
            "floor": EmbeddedCloud(folders["floor"], f"http://127.0.0.1:{port}"),
        }
        try:
            stacks = {way: cloud.up() for way, cloud in clouds.items()}
            url = f"{clouds['with the model'].status().endpoint_url}/endpoints/bincheck-counter/invocations"
            bursts: dict[str, list[Any]] = {way: [] for way in clouds}
            calm: dict[str, list[Any]] = {way: [] for way in clouds}
            used: dict[str, list[Counter[str]]] = {way: [] for way in clouds}
            alone = []
            for stack in stacks.values():
                run(stack, images, "warm", 10)
            for turn in range(rounds):
                for way, stack in stacks.items():
                    calm[way].append(run(stack, images, f"calm{turn}", min(pairs, CALM_PAIRS), CALM_PAUSE_S))
                    before = cpu_s(folders[way])
                    bursts[way].append(run(stack, images, f"burst{turn}", pairs))
                    used[way].append(cpu_s(folders[way]) - before)
                started = time.perf_counter()
                closed_loop(url, [picture.image for picture in images], 10, pairs)
                alone.append(pairs / (time.perf_counter() - started))
            memory: dict[str, float] = {}
            for name, process in processes(folders["with the model"]).values():
                memory[name] = max(memory.get(name, 0), high_water_mb(process.pid))
        finally:
            for cloud in clouds.values():
                cloud.down()
            stub.terminate()
    return {
        "flow": {way: figures(bursts[way], calm[way]) for way in clouds},
        "endpoint_alone_per_second": statistics.median(alone),
        "cpu_ms_per_check": {
            way: {
                name: sum(each[name] for each in used[way]) * 1000 / (rounds * pairs) for name in sorted(used[way][0])
            }
            for way in clouds
        },
        "memory_mb": memory,
    }


def main() -> None:
    """Command line: see the module's docstring."""
    parser = options_of("Time the whole flow in the embedded cloud.")
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    measured = measure(with_disputed_counts(pictures(options.images)), options.pairs, options.rounds)
    if options.json:
        print(json.dumps(measured))
        return
    for way, row in measured["flow"].items():
        print(
            f"{way:16}{row['checks_per_second']:6.1f} checks/s ({row['lowest']:.1f} to {row['highest']:.1f}), upload "
            f"to alert p50 {row['p50_ms']:.0f} ms, p99 {row['p99_ms']:.0f} ms; in peace {row['calm_p50_ms']:.0f} and "
            f"{row['calm_p99_ms']:.0f} ms"
        )
    print(f"the endpoint alone answers {measured['endpoint_alone_per_second']:.1f}/s")
    for way, parts in measured["cpu_ms_per_check"].items():
        print(f"CPU for a check, {way}:", ", ".join(f"{name} {ms:.0f} ms" for name, ms in parts.items()))
    print("memory:", ", ".join(f"{name} {mb:.0f} MB" for name, mb in measured["memory_mb"].items()))


if __name__ == "__main__":
    main()
