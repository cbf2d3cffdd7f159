"""The most memory that the endpoint has had, with two images at a time, in peace and with more than it can serve.

python -m benchmarks.memory --images bins/bin-images --json
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.load import CORES, closed_loop, endpoint
from benchmarks.pictures import options_of, pictures

WORKERS = 2
CLIENTS = {"idle": 0, "4 clients": 4, "100 clients": 100}


def high_water_mb(pid: int) -> float:
    """The most memory, in MB, that a process has had so far. Linux only."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


def measure(images: Sequence[bytes], requests: int) -> dict[str, float]:
    """MB so far, after each load."""
    measured = {}
    with endpoint(WORKERS, CORES) as served:
        for load, clients in CLIENTS.items():
            if clients:
                closed_loop(served.url, images, clients, requests)
            measured[load] = high_water_mb(served.process.pid)
    return measured


def main() -> None:
    """Command line: see the module's docstring."""
    parser = options_of("Measure the endpoint's memory.")
    parser.add_argument("--requests", type=int, default=400)
    options = parser.parse_args()
    measured = measure(pictures(options.images), options.requests)
    if options.json:
        print(json.dumps({"endpoint_mb": measured}))
        return
    for load, mb in measured.items():
        print(f"{load:12}{mb:6.0f} MB")


if __name__ == "__main__":
    main()
