"""Checks the bins that a bucket holds already: lists them, and sends a message for each bin to the backfill queue.

The messages have the form of S3's notifications with the lowest sequencer, so live uploads always count as newer. The
backfill queue has few concurrent Checkers (`BackfillConcurrency`), so live uploads do not wait for a backfill.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

from inventory.addresses import InvalidAddress, S3Address
from inventory.bins import LAYOUT, is_inbox_key, locate
from inventory.check_items import BACKFILLS
from inventory.uploads import BACKFILL, SEQUENCER_DIGITS, Upload
from local.errors import CommandFailed
from local.stack.deployed_stack import Stack
from local.stack.queues import BATCH, depth, send

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

RESUME_WINDOW = timedelta(days=7)
"""The retention period of the queue. After it, messages of an interrupted run may have expired."""
SENDERS = 8
KEYS_A_PAGE = 1000
POLL_S = 0.5
EMPTY_POLLS = 3
"""The queue counts as empty after this number of empty polls in a row, because SQS counts approximately."""


class CannotBackfill(CommandFailed):
    """The Checker may not read the bucket, or the bucket has nothing to check. The message says what to do."""


@dataclass(frozen=True)
class Location:
    """All keys below a prefix (empty, or with a slash at its end) of a bucket."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, address: str, stack: Stack) -> "Location":
        """The location that an `s3://bucket[/prefix]` address names.

        Raises:
            CannotBackfill: the address has another form, or the stack's Checker may not read the bucket.
        """
        try:
            place = S3Address.parse(address).folder
        except InvalidAddress as error:
            raise CannotBackfill(f"{error}: use `bincheck drop` for folders") from error
        others = ("BackfillBucketName", "UploadsBucketName")
        readable = {stack.inbox_bucket, *(stack.outputs.get(name) for name in others)}
        if place.bucket not in readable:
            raise CannotBackfill(
                f"the Checker of stack {stack.name!r} may not read s3://{place.bucket}: allow it with `sam deploy "
                f"--parameter-overrides BackfillBucket={place.bucket}`, or copy the bins to the inbox with "
                f"`bincheck drop {address}`"
            )
        return cls(place.bucket, place.key)

    def __str__(self) -> str:
        return str(S3Address(self.bucket, self.prefix))


@dataclass(frozen=True)
class Page:
    """One page of a listing: an upload for each bin, the number of keys outside the inbox layout, and the last key."""

    uploads: list[Upload] = field(default_factory=list)
    strays: int = 0
    last_key: str = ""


def list_uploads(stack: Stack, location: Location) -> Iterator[Page]:
    """The images below a location, and the metadata files without an image, page by page in the order of keys.

    The Checker finds the partner of each itself. The order of keys puts a site's images before its metadata.

    Raises:
        CannotBackfill: the location has no bins; raised at the end of the iteration.
    """
    found = False
    photographed: set[str] = set()
    pages = stack.cloud.s3().get_paginator("list_objects_v2")
    for answer in pages.paginate(
        Bucket=location.bucket, Prefix=location.prefix, PaginationConfig={"PageSize": KEYS_A_PAGE}
    ):
        uploads, strays, key = [], 0, ""
        for entry in answer.get("Contents", []):
            key = entry["Key"]
            if not is_inbox_key(key):
                strays += not key.endswith("/")
                continue
            bin, part = locate(key)
            if part == "image":
                photographed.add(bin.name)
            elif bin.name in photographed and key in bin.keys(part):
                continue  # the Checker finds it by the image
            uploads.append(Upload(location.bucket, key, entry["ETag"].strip('"'), "0" * SEQUENCER_DIGITS))
        found = found or bool(uploads)
        yield Page(uploads, strays, key)
    if not found:
        raise CannotBackfill(f"{location} holds nothing to check. The layout is {LAYOUT}")


def message(upload: Upload, *, recheck: bool) -> str:
    """A message for the Checker to check an upload, in the form of S3's notifications."""
    stored = {"key": quote_plus(upload.key, safe="/"), "eTag": upload.version}
    record = {
        "eventSource": BACKFILL,
        "s3": {"bucket": {"name": upload.bucket}, "object": stored},
        **({"bincheck": {"recheck": True}} if recheck else {}),
    }
    return json.dumps({"Records": [record]})


class Marker:
    """The position of an interrupted backfill. It is an item of the checks table, so it is deleted with the table."""

    def __init__(self, table: "Table", location: Location, *, recheck: bool) -> None:
        self._table = table
        # A sort key takes 1,024 bytes, and an address may have more.
        name = hashlib.sha256(f"{location}{' recheck' if recheck else ''}".encode()).hexdigest()
        self._key = {"bin": BACKFILLS, "check": name}

    def read(self) -> str:
        """The last key of the last enqueued page; empty if there is none, or if it has expired."""
        item = self._table.get_item(Key=self._key, ConsistentRead=True).get("Item", {})
        still_queued = int(str(item.get("expires_at", 0))) > time.time()
        return str(item["last_key"]) if still_queued else ""

    def put(self, last_key: str) -> None:
        expires_at = int((datetime.now(UTC) + RESUME_WINDOW).timestamp())
        self._table.put_item(Item={**self._key, "last_key": last_key, "expires_at": expires_at})

    def remove(self) -> None:
        self._table.delete_item(Key=self._key)


def enqueue(stack: Stack, location: Location, *, recheck: bool = False) -> Iterator[Page]:
    """Send a message for each bin below a location to the backfill queue. Yield each page when it is sent.

    After an interruption it resumes after the last page. After a complete run it starts from the beginning.

    Raises:
        QueueFailed: the queue rejects messages.
    """
    marker = Marker(stack.table, location, recheck=recheck)
    resume_after = marker.read()
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="backfill") as pool:
        for page in list_uploads(stack, location):
            if page.last_key <= resume_after:
                continue
            bodies = [message(upload, recheck=recheck) for upload in page.uploads if upload.key > resume_after]
            batches = [bodies[first : first + BATCH] for first in range(0, len(bodies), BATCH)]
            list(pool.map(lambda batch: send(stack, stack.backfill_queue_url, batch), batches))
            marker.put(page.last_key)
            yield page
    marker.remove()


def follow(stack: Stack) -> Iterator[int]:
    """The number of messages in the backfill queue, poll by poll, until it is empty."""
    empty_polls = 0
    while empty_polls < EMPTY_POLLS:
        remaining = depth(stack, stack.backfill_queue_url)
        yield remaining
        empty_polls = 0 if remaining else empty_polls + 1
        time.sleep(POLL_S)
