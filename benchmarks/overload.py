"""What the endpoint does with four times the images that it can serve, and how soon it is itself again.

    python -m benchmarks.overload --images bins/bin-images --seconds 60 --json

The endpoint has one core and clients have the others. First four clients measure what it can serve. Then requests come
at a steady rate, whether or not earlier ones are answered. When they end, one client calls until it is answered within
twice the time that one client waits in peace.
"""

import json
import time
from collections.abc import Sequence
from typing import Any

import psutil

from benchmarks.load import CORES, closed_loop, endpoint, open_loop, pin, quantile
from benchmarks.pictures import options_of, pictures

TIMES, RECOVERED = 4, 2


def measure(images: Sequence[bytes], seconds: float, calm_requests: int = 50) -> dict[str, Any]:
    """Answers and refusals a second, and milliseconds until each, of which half and 99% take less."""
    pin(psutil.Process(), CORES[:-1])
    with endpoint(1) as served:
        closed_loop(served.url, images, 4, calm_requests)
        started = time.perf_counter()
        closed_loop(served.url, images, 4, calm_requests)
        capacity = calm_requests / (time.perf_counter() - started)
        calm_s = quantile([answer.took_s for answer in closed_loop(served.url, images, 1, calm_requests)], 0.5)
        started = time.perf_counter()
        answers = open_loop(served.url, images, TIMES * capacity, seconds)
        while closed_loop(served.url, images, 1, 1)[0].took_s > RECOVERED * calm_s:
            pass
        recovery_s = time.perf_counter() - started - seconds
    served_s = max(answer.at_s + answer.took_s for answer in answers)
    by_status = {
        status: [a.took_s * 1000 for a in answers if a.status == status] for status in {a.status for a in answers}
    }
    return {
        "served_alone_per_second": capacity,
        "sent_per_second": len(answers) / seconds,
        "served_per_second": len(by_status.get(200, [])) / served_s,
        "statuses": {
            str(status): {"answers": len(took), "p50_ms": quantile(took, 0.5), "p99_ms": quantile(took, 0.99)}
            for status, took in sorted(by_status.items())
        },
        "recovered_after_s": recovery_s,
    }


def main() -> None:
    """Command line: see the module's docstring."""
    parser = options_of("Overload the endpoint.")
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    measured = measure(pictures(options.images), options.seconds)
    if options.json:
        print(json.dumps(measured))
        return
    share = measured["served_per_second"] / measured["served_alone_per_second"]
    print(f"it serves {share:.2f} of what it serves alone; itself again after {measured['recovered_after_s']:.1f} s")
    for status, row in measured["statuses"].items():
        print(f"{status}: {row['answers']:6} answers, p50 {row['p50_ms']:.0f} ms, p99 {row['p99_ms']:.0f} ms")


if __name__ == "__main__":
    main()
