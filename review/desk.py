"""What reviewers do: list what is open, look at a bin, answer, take an answer back. No HTTP in here."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from inventory.check import Check, Finding, OpenList, bucket_and_key
from inventory.check_store import CheckStore
from inventory.claims import Claims
from inventory.metadata import METADATA_LIMIT_BYTES
from inventory.review_queue import Cursor, Filters, Page, ReviewQueue
from inventory.uploads import version_of
from inventory.workflow import review, withdraw_review

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE_SIZE = 25
STRIP_LENGTH = 8
"""Earlier checks that are shown below a bin."""
LINK_LIFE = timedelta(minutes=10)
"""How long the address of an image works."""
LINK_REUSED_S = 300.0
"""How long the same address is given again, so that a browser takes an image from its cache."""
LINKS_KEPT = 2_000
TEXT_LIMIT = 200
"""Characters of a recorded text that are shown."""
ITEMS_SHOWN = 50
GONE = ("404", "NoSuchKey", "NoSuchVersion", "NoSuchBucket", "MethodNotAllowed")


@dataclass(frozen=True)
class RecordedItem:
    """One product of a bin's record: its name, how many of it, and its size in words."""

    name: str
    quantity: str
    size: str


@dataclass(frozen=True)
class BinView:
    """All that is shown of a check. `image_url` is None where the image is not there any more, `items` are None where
    the record cannot be read; `findings` are reviews, the oldest first, and `earlier` checks of the bin, the newest
    first, each with the address of its image."""

    check: Check
    image_url: str | None
    items: tuple[RecordedItem, ...] | None
    more_items: int
    findings: tuple[Finding, ...]
    earlier: tuple[tuple[Check, str | None], ...]


@dataclass
class Desk:
    """The desk of one stack. `now` tells the time."""

    store: CheckStore
    queue: ReviewQueue
    claims: Claims
    s3: "S3Client"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _links: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)

    # ---- Lists ----

    def page(self, filters: Filters, after: Cursor) -> Page:
        """The next checks to review, the most suspicious first."""
        return self.queue.page(filters, after, self.now(), PAGE_SIZE)

    def listed(self, name: OpenList, since: datetime) -> list[Check]:
        """What stands on another list, the newest first."""
        found = list(self.store.list_open(name, since, self.now()))
        return sorted(found, key=lambda check: check.checked_at, reverse=True)[:PAGE_SIZE]

    def next_check(self, filters: Filters, reviewer: str, skip: str = "") -> Check | None:
        """The first check that no other reviewer works on, claimed for this one; not the one with the id `skip`."""
        after: Cursor | None = Cursor()
        while after is not None:
            page = self.page(filters, after)
            for check in page.checks:
                if check.check_id != skip and self.claims.take(check.subject, reviewer, self.now()):
                    return check
            after = page.after
        return None

    def peek(self, filters: Filters, skip: str) -> Check | None:
        """The check that probably comes next, unclaimed."""
        return next((check for check in self.page(filters, Cursor()).checks if check.check_id != skip), None)

    # ---- One bin ----

    def find(self, bin: str, check: str) -> Check | None:
        """The check of that identity of the bin of that name."""
        return self.store.find(self.store.find_subject(bin), check)

    def view(self, check: Check) -> BinView:
        """All that is shown of a check."""
        items = self._items(check)
        earlier = [one for one in self.store.list_by_bin(check.subject) if one.check != check.check]
        return BinView(
            check=check,
            image_url=self.image_url(check) if self._is_there(check) else None,
            items=tuple(items[:ITEMS_SHOWN]) if items is not None else None,
            more_items=max(0, len(items or ()) - ITEMS_SHOWN),
            findings=tuple(self.store.list_findings(check.subject, check.check)),
            earlier=tuple((one, self.image_url(one)) for one in reversed(earlier[-STRIP_LENGTH:])),
        )

    def answer(self, check: Check, actual: int | None, reviewer: str, note: str) -> Check:
        """Keep what a reviewer found, and let the bin go."""
        reviewed = review(self.store, check, actual, self.now(), reviewer, note)
        self.claims.release(check.subject, reviewer)
        return reviewed

    def take_back(self, check: Check, reviewer: str) -> Check:
        """Take the last answer back.

        Raises:
            CannotWithdraw: there is none, or the bin was checked again since.
        """
        return withdraw_review(self.store, check, self.now(), reviewer)

    def image_url(self, check: Check) -> str | None:
        """An address that shows the image to whoever has it, for LINK_LIFE; None for a check without an image."""
        if not check.image:
            return None
        version = check.check.partition("/")[0]
        known = self._links.get((check.image, version))
        if known and known[0] > time.monotonic():
            return known[1]
        place = _place(check.image, version)
        url = self.s3.generate_presigned_url("get_object", Params=place, ExpiresIn=int(LINK_LIFE.total_seconds()))
        if len(self._links) >= LINKS_KEPT:
            self._links.clear()
        self._links[check.image, version] = (time.monotonic() + LINK_REUSED_S, url)
        return url

    def _is_there(self, check: Check) -> bool:
        """Whether the image that was checked still lies in its bucket."""
        version = check.check.partition("/")[0]
        try:
            stored = self.s3.head_object(**_place(check.image or "", version))
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return False
            raise
        return version_of(stored.get("VersionId"), stored["ETag"]) == version

    def _items(self, check: Check) -> list[RecordedItem] | None:
        if not check.metadata:
            return None
        version = check.check.split("/")[1]
        try:
            stored = self.s3.get_object(**_place(check.metadata, version))
            with stored["Body"] as body:
                record = json.loads(body.read(METADATA_LIMIT_BYTES + 1).decode("utf-8-sig"))
            return [_item(item) for item in record["BIN_FCSKU_DATA"].values()]
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
            return None


def _place(address: str, version: str) -> Any:
    """Bucket and key of an address, and the version where the bucket keeps versions: an ETag is none."""
    bucket, key = bucket_and_key(address)
    is_etag = len(version.partition("-")[0]) == 32 and set(version) <= set("0123456789abcdef-")
    return {"Bucket": bucket, "Key": key} | ({} if is_etag else {"VersionId": version})


def _item(item: Mapping[str, Any]) -> RecordedItem:
    known = [_size(item.get(side)) for side in ("length", "width", "height")]
    name = item.get("name") or item.get("normalizedName") or item.get("asin") or "without a name"
    return RecordedItem(_shown(name), _shown(item.get("quantity", "?")), _shown(" x ".join(filter(None, known))))


def _size(side: object) -> str:
    if isinstance(side, dict) and isinstance(side.get("value"), int | float) and isinstance(side.get("unit"), str):
        return f"{side['value']:.4g} {side['unit']}"
    return ""


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}…"
