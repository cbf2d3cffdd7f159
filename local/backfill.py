"""Checking what lies in a bucket already: list it, and put a message per bin into a queue that the Checker works off.

The messages look like S3's own notifications, without a sequencer: what live uploads told is always newer. The queue is
not the inbox's, and few Checkers work on it at once (`BackfillConcurrency`), so that live uploads never wait behind it.
"""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote_plus, urlsplit

from inventory.bins import locate
from inventory.check_items import BACKFILLS
from inventory.errors import RejectedUpload
from inventory.uploads import SEQUENCER_DIGITS, Upload
from local.aws import Stack
from local.queues import BATCH, depth, send

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

RESUMED_WITHIN = timedelta(days=7)
"""As long as the queue keeps messages: what was enqueued earlier may be gone."""
SENDERS = 8
KEYS_A_PAGE = 1000
POLL_S = 0.5
QUIET_LOOKS = 3
"""How often in a row the queue has to look empty: SQS counts approximately."""


class CannotBackfill(Exception):
    """The bucket is none that the Checker may read, or has nothing to check; the message says what to do."""


@dataclass(frozen=True)
class Place:
    """What is to be checked: all below a prefix (empty, or with a slash at its end) of a bucket."""

    bucket: str
    prefix: str

    @classmethod
    def of(cls, address: str, stack: Stack) -> "Place":
        """The place that an `s3://bucket[/prefix]` address names.

        Raises:
            CannotBackfill: it is no such address, or the stack's Checker may not read that bucket.
        """
        parts = urlsplit(address)
        if parts.scheme != "s3" or not parts.netloc:
            raise CannotBackfill(f"{address} is no s3://bucket[/prefix]; `bincheck drop` takes folders")
        readable = {stack.inbox_bucket, stack.outputs.get("BackfillBucketName", stack.inbox_bucket)}
        if parts.netloc not in readable:
            raise CannotBackfill(
                f"the Checker of stack {stack.name!r} may not read s3://{parts.netloc}. Let it, by `sam deploy "
                f"--parameter-overrides BackfillBucket={parts.netloc}`, or copy the bins into the inbox, by "
                f"`bincheck drop {address}`"
            )
        prefix = parts.path.strip("/")
        return cls(parts.netloc, f"{prefix}/" if prefix else "")

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"


@dataclass(frozen=True)
class Page:
    """What one answer of a listing holds: an upload to look at for each bin, how many keys have no place in the inbox
    layout, and the last key, up to which the listing has come."""

    uploads: list[Upload] = field(default_factory=list)
    strays: int = 0
    last_key: str = ""


def listed(stack: Stack, place: Place) -> Iterator[Page]:
    """The pictures below a place, and the metadata files whose picture is not there, page by page in order of keys.

    The Checker finds the partner of either by itself. A site's pictures are listed before its metadata.

    Raises:
        CannotBackfill: in the end, when there was none.
    """
    found = False
    pictured: set[str] = set()
    pages = stack.cloud.s3().get_paginator("list_objects_v2")
    for answer in pages.paginate(Bucket=place.bucket, Prefix=place.prefix, PaginationConfig={"PageSize": KEYS_A_PAGE}):
        uploads, strays, key = [], 0, ""
        for entry in answer.get("Contents", []):
            key = entry["Key"]
            try:
                bin, part = locate(key)
            except RejectedUpload:
                strays += not key.endswith("/")
                continue
            if part == "image":
                pictured.add(bin.name)
            elif bin.name in pictured:
                continue
            uploads.append(Upload(place.bucket, key, entry["ETag"].strip('"'), "0" * SEQUENCER_DIGITS))
        found = found or bool(uploads)
        yield Page(uploads, strays, key)
    if not found:
        raise CannotBackfill(
            f"{place} holds nothing to check. The layout is [<site>/]bin-images/<id>.jpg (or .jpeg, .png) beside "
            "[<site>/]metadata/<id>.json"
        )


def message(upload: Upload, *, recheck: bool) -> str:
    """The message that has the Checker look at an upload, as S3 would tell of it."""
    stored = {"key": quote_plus(upload.key, safe="/"), "eTag": upload.version}
    record = {
        "eventSource": "bincheck:backfill",
        "s3": {"bucket": {"name": upload.bucket}, "object": stored},
        **({"bincheck": {"recheck": True}} if recheck else {}),
    }
    return json.dumps({"Records": [record]})


class Marker:
    """How far a backfill has come that was interrupted while it enqueued; kept with the checks, so gone with them."""

    def __init__(self, table: "Table", place: Place, *, recheck: bool) -> None:
        self._table = table
        self._key = {"bin": BACKFILLS, "check": f"{place}{' recheck' if recheck else ''}"}

    def read(self) -> str:
        """The last key whose page was enqueued; empty when there is none."""
        item = self._table.get_item(Key=self._key, ConsistentRead=True).get("Item", {})
        still_queued = int(str(item.get("expires_at", 0))) > time.time()
        return str(item["last_key"]) if still_queued else ""

    def put(self, last_key: str) -> None:
        expires_at = int((datetime.now(UTC) + RESUMED_WITHIN).timestamp())
        self._table.put_item(Item={**self._key, "last_key": last_key, "expires_at": expires_at})

    def remove(self) -> None:
        self._table.delete_item(Key=self._key)


def enqueue(stack: Stack, place: Place, *, recheck: bool = False) -> Iterator[Page]:
    """Put a message for each bin below a place into the backfill queue, telling page by page what was put.

    Interrupted and run again, it goes on after the last page; run again after its end, it begins anew.

    Raises:
        QueueFailed: the queue refuses messages.
    """
    marker = Marker(stack.table, place, recheck=recheck)
    done_to = marker.read()
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="backfill") as pool:
        for page in listed(stack, place):
            if page.last_key <= done_to:
                continue
            bodies = [message(upload, recheck=recheck) for upload in page.uploads if upload.key > done_to]
            batches = [bodies[first : first + BATCH] for first in range(0, len(bodies), BATCH)]
            list(pool.map(lambda batch: send(stack, stack.backfill_queue_url, batch), batches))
            marker.put(page.last_key)
            yield page
    marker.remove()


def follow(stack: Stack) -> Iterator[int]:
    """How many messages the backfill queue still holds, look by look, until it is empty."""
    quiet = 0
    while quiet < QUIET_LOOKS:
        left = depth(stack, stack.backfill_queue_url)
        yield left
        quiet = 0 if left else quiet + 1
        time.sleep(POLL_S)
