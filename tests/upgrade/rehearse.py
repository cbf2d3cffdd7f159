"""Rehearses an upgrade in an embedded cloud of its own: an older commit is deployed, then this version over it.

    python -m tests.upgrade.rehearse COMMIT_OR_TAG

Bins are dropped before, and more that wait in the queue while the stack is updated. Ends with 1 if a bin has no check
afterwards, a check of the old version has gone, an alert was not heard, or a message became a dead letter. It needs the
history of the repository.
"""

import json
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import patch

import typer
from rich.console import Console

from inventory.check import Check
from local.cli.progress import steps
from local.embedded import sam
from local.embedded.cloud import EmbeddedCloud
from local.stack.deployed_stack import Stack
from local.stack.queues import depth
from local.stack.subscription import Subscription, subscribed
from tests.resilience.uploads import images_in

SAMPLES = sam.ROOT / "samples"
STALLED_S = 180
"""How long nothing may happen before the rehearsal goes on."""
Bins = Sequence[tuple[bytes, dict[str, Any]]]


@contextmanager
def of_commit(commit: str, folder: Path) -> Iterator[None]:
    """Deploy the template and the functions of a commit within the context."""
    archive = subprocess.run(["git", "archive", commit], cwd=sam.ROOT, check=True, capture_output=True)
    checkout = folder / "checkout"
    checkout.mkdir()
    subprocess.run(["tar", "x", "-C", str(checkout)], input=archive.stdout, check=True)
    with patch.multiple(sam, ROOT=checkout, BUILD=folder / "build"):
        yield


def drop(stack: Stack, site: str, bins: Bins) -> list[str]:
    """Upload bins below a site. Returns their names."""
    s3 = stack.cloud.s3()
    for number, (image, record) in enumerate(bins):
        s3.put_object(Bucket=stack.inbox_bucket, Key=f"{site}/metadata/{number}.json", Body=json.dumps(record))
        s3.put_object(Bucket=stack.inbox_bucket, Key=f"{site}/bin-images/{number}.jpg", Body=image)
    return [f"{site}/{number}" for number in range(len(bins))]


def take_uploads(stack: Stack, *, enabled: bool) -> None:
    """Whether the Checker takes uploads from the inbox's queue."""
    functions, sqs = stack.cloud.functions(), stack.cloud.sqs()
    asked = sqs.get_queue_attributes(QueueUrl=stack.inbox_queue_url, AttributeNames=["QueueArn"])
    (mapping,) = functions.list_event_source_mappings(
        FunctionName=stack.outputs["CheckerFunctionName"], EventSourceArn=asked["Attributes"]["QueueArn"]
    )["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=enabled)


def settle(stack: Stack, subscription: Subscription, heard: Counter[str]) -> None:
    """Wait until no upload and no alert is left in the queues, and count the alerts that are heard by their bins."""
    changed_at, left = time.monotonic(), -1
    while time.monotonic() - changed_at < STALLED_S:
        came = subscription.receive(wait_s=2)
        heard.update(str(alert["bin"]) for alert in came)
        now = depth(stack, stack.inbox_queue_url) + depth(stack, stack.alerts_queue_url)
        if not (came or now or left):
            return
        if came or now != left:
            changed_at = time.monotonic()
        left = now


def checks_of(stack: Stack, bins: Iterable[str]) -> dict[str, Check | None]:
    """The current check of each bin."""
    return {bin: stack.checks.find_current(bin) for bin in bins}


def losses(before: dict[str, Check | None], after: dict[str, Check | None], heard: Counter[str]) -> list[str]:
    """What was lost: a line each."""
    found = [f"{bin} has no check" for bin, check in after.items() if check is None]
    gone = (bin for bin, check in before.items() if check and after[bin] and after[bin].check_id != check.check_id)
    found += [f"{bin} has another check than before" for bin in gone]
    wanted = [bin for bin, check in after.items() if check and check.status in ("mismatch", "rejected")]
    return found + [f"{bin} was alerted {heard[bin]} times" for bin in wanted if heard[bin] != 1]


def main(commit: Annotated[str, typer.Argument(help="Commit or tag that is deployed first.")]) -> None:
    """Deploy an older version, upgrade it with uploads in flight, and see that nothing is lost."""
    console = Console()
    bins = images_in([SAMPLES], most=40)
    half = len(bins) // 2
    heard: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="upgrade-") as name:
        folder = Path(name)
        cloud = EmbeddedCloud(folder / "cloud")
        try:
            with steps(console) as report:
                with of_commit(commit, folder):
                    stack = cloud.up(report)
                with subscribed(stack) as subscription:
                    report(f"Dropping {half} bins under {commit}")
                    early = drop(stack, "before", bins[:half])
                    settle(stack, subscription, heard)
                    before = checks_of(stack, early)
                    take_uploads(stack, enabled=False)
                    late = drop(stack, "inflight", bins[half:])
                    stack = cloud.up(report)
                    report(f"Checking {len(late)} bins that waited")
                    take_uploads(stack, enabled=True)
                    settle(stack, subscription, heard)
                found = losses(before, checks_of(stack, early + late), heard)
                if dead := depth(stack, stack.dead_letters_url):
                    found.append(f"{dead} dead letters")
        finally:
            cloud.down()
    for line in found:
        console.print(line, highlight=False, markup=False)
    console.print(f"{len(bins)} bins, {sum(heard.values())} alerts, {len(found)} faults", highlight=False)
    if found:
        raise typer.Exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the cloud is stopped however this ends
    typer.run(main)
