"""Sends one rendered bin through a deployed stack, with a wrong record, from its upload to its alert, and removes it.

The bin is under a site of its own. What is left of it in the end are points in the metrics, and the alert with whoever
received it.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from boto3.dynamodb.conditions import Key
from botocore.exceptions import BotoCoreError, ClientError

from inventory.bins import Bin
from inventory.check import Check
from local.errors import CommandFailed
from local.stack.deployed_stack import Stack
from local.stack.queues import depth
from local.stack.subscription import Subscription, subscribed

SITE = "bincheck-smoke"
SAMPLES = Path(__file__).resolve().parents[2] / "samples"
RENDERED = "r014"
"""A rendered bin with two objects, of which the record says five."""
POLL_S = 0.5


class SmokeFailed(CommandFailed):
    """A step failed or took too long. The message names the step, and says where to look."""


@dataclass(frozen=True)
class Step:
    """A step that succeeded, and its seconds."""

    name: str
    took_s: float


Report = Callable[[Step], None]


def run(stack: Stack, report: Report, timeout_s: float) -> Check:
    """Upload a bin, wait for its check and its alert, and remove it, also if a step fails or is interrupted. `report`
    is called after each step. `timeout_s` limits each wait. Returns the check.

    Raises:
        SmokeFailed: a step failed, or took longer.
    """
    bin = Bin(SITE, uuid.uuid4().hex[:12])
    try:
        with ExitStack() as subscription:
            with _step("subscribe", report):
                # To all alerts: SNS may take a quarter of an hour until a filter of a subscription holds.
                alerts = subscription.enter_context(subscribed(stack))
            with _step("upload", report):
                _upload(stack, bin)
            with _step("check", report):
                check = _wait_for_check(stack, bin, timeout_s)
            with _step("alert", report):
                _wait_for_alert(stack, alerts, check, timeout_s)
    finally:
        with _step("remove", report):
            remove(stack, bin)
    return check


def remove(stack: Stack, bin: Bin) -> None:
    """Remove the uploads of a bin with all their versions, and its items in the table.

    Raises:
        SmokeFailed: something could not be removed. The message names it.
    """
    left = []
    for what, act in (("its uploads", _remove_uploads), ("its records", _remove_items)):
        try:
            act(stack, bin)
        except (BotoCoreError, ClientError) as error:
            left.append(f"{what} ({error})")
    if left:
        raise SmokeFailed(f"remove: {' and '.join(left)} of bin {bin.name} are still there: remove them by hand")


@contextmanager
def _step(name: str, report: Report) -> Iterator[None]:
    started = time.monotonic()
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise SmokeFailed(f"{name}: {error}") from error
    report(Step(name, time.monotonic() - started))


def _keys(bin: Bin) -> dict[str, Path]:
    """The files of the rendered bin, by their keys."""
    image, metadata = SAMPLES / "bin-images" / f"{RENDERED}.jpg", SAMPLES / "metadata" / f"{RENDERED}.json"
    return {bin.keys("image")[0]: image, bin.keys("metadata")[0]: metadata}


def _upload(stack: Stack, bin: Bin) -> None:
    for key, path in _keys(bin).items():
        stack.cloud.s3().put_object(Bucket=stack.inbox_bucket, Key=key, Body=path.read_bytes())


def _wait_for_check(stack: Stack, bin: Bin, timeout_s: float) -> Check:
    """The check of a bin, once the events of both its uploads were processed: a later one would find nothing there."""
    deadline = time.monotonic() + timeout_s
    while True:
        state = stack.checks.load(bin)
        check = stack.checks.current_check(state)
        if check and check.status != "mismatch":
            reason = f": {check.reason}" if check.reason else ", though its record is wrong"
            raise SmokeFailed(f"check: the bin is a {check.status}{reason}. `bincheck doctor` looks at the model")
        if check and all(key in state.uploads and state.uploads[key].sequencer for key in _keys(bin)):
            return check
        if time.monotonic() > deadline:
            waiting, dead = depth(stack, stack.inbox_queue_url), depth(stack, stack.dead_letters_url)
            raise SmokeFailed(
                f"check: none after {timeout_s:.0f} s. {waiting} messages wait in the queue, and {dead} are dead "
                "letters. `bincheck doctor` looks at events, triggers and endpoint, `bincheck logs Checker` says what "
                "it did, `bincheck dead-letters` why messages failed"
            )
        time.sleep(POLL_S)


def _wait_for_alert(stack: Stack, alerts: Subscription, check: Check, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if any(alert["check_id"] == check.check_id for alert in alerts.receive(wait_s=1)):
            return
    waiting = depth(stack, stack.alerts_queue_url)
    raise SmokeFailed(
        f"alert: none after {timeout_s:.0f} s, though the check is in the table. {waiting} alerts wait to be sent "
        "again. `bincheck doctor` looks at the trigger of the Alerter, `bincheck logs Alerter` says what it did"
    )


def _remove_uploads(stack: Stack, bin: Bin) -> None:
    s3, bucket = stack.cloud.s3(), stack.inbox_bucket
    for key in _keys(bin):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            for stored in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                s3.delete_object(Bucket=bucket, Key=stored["Key"], VersionId=stored["VersionId"])


def _remove_items(stack: Stack, bin: Bin) -> None:
    items = stack.table.query(KeyConditionExpression=Key("bin").eq(bin.partition), ConsistentRead=True)["Items"]
    for item in items:  # a dozen small ones at most, which are one page
        stack.table.delete_item(Key={"bin": item["bin"], "check": item["check"]})
