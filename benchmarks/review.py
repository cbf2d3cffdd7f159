"""How long a reviewer waits from the key to the next bin, with thousands of open mismatches.

    python -m benchmarks.review [--open 10000] [--answers 30]

The embedded cloud is started in a folder of its own, and checks are put straight into its table; all show one image.
`bincheck review` serves the page to Chromium, which presses keys. Printed are the median and the slowest tenth of the
times from a key to the next bin with its image, and how many reads the first page of the queue takes, also that of a
site with one open check.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from inventory.check import Check, timestamp
from inventory.check_items import check_item
from inventory.review_queue import Cursor
from local.cli.review import desk_of
from local.embedded.cloud import EmbeddedCloud
from local.embedded.sam import ROOT
from local.stack.deployed_stack import Stack
from review.filters import read_filters
from tests.review.chromium import chromium, review_command

SAMPLE = "r015"
DAYS = 7
RARE = "RARE"
CHECKED_S = 60.0
NOTE_KEYS = """addEventListener("keydown", (event) =>
    sessionStorage.pressed = performance.timeOrigin + event.timeStamp, true)"""
WAIT = """() => {
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    const [navigation] = performance.getEntriesByType("navigation");
    return performance.timeOrigin + Math.max(paint.startTime, navigation.loadEventEnd) - sessionStorage.pressed;
}"""
"""By the browser's own clock: from the last key to the first paint with all images loaded."""


def main() -> None:
    """Run the command line; the module's docstring shows it."""
    parser = argparse.ArgumentParser(description="Time from the key to the next bin.")
    parser.add_argument("--open", type=int, default=10_000, help="open mismatches")
    parser.add_argument("--answers", type=int, default=30, help="keys that are pressed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cloud = EmbeddedCloud(Path(folder))
        try:
            stack = cloud.up()
            check = checked_sample(stack)
            for count in (10, arguments.open):
                fill(stack, check, count)
                for site in ("", RARE):
                    queries, items, took_s = cost_of_the_first_page(stack, site)
                    print(
                        f"{count:,} open, first page of {site or 'all'}: {queries} queries of {items:,} items, "
                        f"{took_s * 1000:.0f} ms"
                    )
            with review_command(folder, "ann") as address:
                waits = answer(address, arguments.answers)
        finally:
            cloud.down()
    slow = statistics.quantiles(waits, n=10)[-1]
    print(f"{len(waits)} answers: median {statistics.median(waits):.0f} ms, slowest tenth from {slow:.0f} ms")


def checked_sample(stack: Stack) -> Check:
    """The check of a sample bin."""
    for path in (f"bin-images/{SAMPLE}.jpg", f"metadata/{SAMPLE}.json"):
        stack.cloud.s3().upload_file(str(ROOT / "samples" / path), stack.inbox_bucket, path)
    deadline = time.monotonic() + CHECKED_S
    while not (check := stack.checks.find_current(SAMPLE)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"bin {SAMPLE} is not checked")
        time.sleep(0.2)
    return check


def fill(stack: Stack, check: Check, count: int) -> None:
    """Put `count` open checks like that one into the table, over DAYS days, and one of the site RARE."""
    now = datetime.now(UTC)
    with stack.table.batch_writer() as batch:
        for number in range(count):
            moment = timestamp(now - timedelta(days=DAYS) * number / count)
            suspicion = round(0.5 + number * 0.5 / count, 6)
            batch.put_item(check_item(replace(check, bin=f"bin{number}", checked_at=moment, suspicion=suspicion)))
        rare = replace(check, bin=f"{RARE}/1", site=RARE, checked_at=timestamp(now - timedelta(days=DAYS - 1)))
        batch.put_item(check_item(replace(rare, suspicion=0.1)))


def cost_of_the_first_page(stack: Stack, site: str) -> tuple[int, int, float]:
    """How many queries of the table show the queue of a site, or of all, the items that they read, and the seconds."""
    desk, read = desk_of(stack), list[int]()
    events: Any = stack.table.meta.client.meta.events
    events.register("after-call.dynamodb", lambda parsed, **_: read.append(parsed["ScannedCount"]), unique_id="count")
    filters, started = read_filters({"site": site}, desk.now()), time.perf_counter()
    desk.page(filters, Cursor())
    desk.queue.count(filters, desk.now())
    took_s = time.perf_counter() - started
    events.unregister("after-call.dynamodb", unique_id="count")
    return len(read), sum(read), took_s


def answer(address: str, answers: int) -> list[float]:
    """Answer bins by keys. Returns the milliseconds from each key to the next bin, painted and with its image."""
    waits = []
    with chromium() as browser:
        page = browser.new_page()
        page.add_init_script(NOTE_KEYS)
        page.goto(address)
        page.keyboard.press("Enter")
        page.wait_for_url("**/bin?*")
        for number in range(answers):
            page.wait_for_load_state("networkidle")  # a person looks at the bin meanwhile
            with page.expect_navigation(wait_until="load"):
                page.keyboard.press("r" if number % 2 else "3")
            page.locator("figure img").evaluate("image => image.decode()")
            waits.append(page.evaluate(WAIT))
    return waits


if __name__ == "__main__":
    main()
