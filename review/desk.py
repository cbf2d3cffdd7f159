"""What reviewers do: list what is open, look at a bin, answer, take an answer back. No HTTP in here."""

import time
from collections.abc import Callable, Collection, Hashable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from inventory.addresses import S3Address
from inventory.bins import Bin, StrayKey, Subject, is_inbox_key, is_name, media_type
from inventory.check import Check, Finding, OpenList
from inventory.check_store import CheckStore, History
from inventory.claims import Claims
from inventory.errors import RejectedUpload
from inventory.metadata import METADATA_LIMIT_BYTES, parse_metadata
from inventory.review_queue import Cursor, Filters, Page, ReviewQueue
from inventory.uploads import version_of
from inventory.workflow import review, withdraw_review

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGE_SIZE = 25
LIST_LENGTH = 50
"""Checks that are shown of the lists beside the queue."""
STRIP_LENGTH = 8
"""Other checks that are shown below a bin."""
STRIP_READ = 200
"""A bin with more items than this is not read whole for them."""
PASSED_DIGITS = 12
"""So many digits of the id of a check are kept of those that a reviewer has passed."""
LINK_LIFE = timedelta(minutes=10)
"""How long the address of an image works."""
LINK_REUSED_S = 300.0
"""How long the same address is given again, so that a browser takes an image from its cache."""
LINKS_KEPT = 2_000
FIRST_PAGE_KEPT_S = 15.0
"""How long the first page of the queue serves to find the next bin."""
TEXT_LIMIT = 200
"""Characters of a recorded text that are shown."""
ITEMS_SHOWN = 50
THREADS = 8
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
    the record cannot be read; `findings` are reviews, the oldest first; `others` are further checks of the bin, the
    newest first, each with the address of its image; `free` says that no other reviewer works on the bin.

    `blind` says that the audit wants another review of the check. Until then nothing shows what was found in its image.
    """

    check: Check
    image_url: str | None
    items: tuple[RecordedItem, ...] | None
    more_items: int
    findings: tuple[Finding, ...]
    others: tuple[tuple[Check, str | None], ...]
    free: bool
    blind: bool


@dataclass
class Desk:
    """The desk of one stack. `now` tells the time."""

    store: CheckStore
    queue: ReviewQueue
    claims: Claims
    s3: "S3Client"
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _links: dict[tuple[str, str], tuple[float, str]] = field(default_factory=dict)
    _first_pages: dict[Hashable, tuple[float, Page]] = field(default_factory=dict)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS))

    # ---- Lists ----

    def page(self, filters: Filters, after: Cursor) -> Page:
        """The next checks to review, the most suspicious first."""
        page = self.queue.page(filters, after, self.now(), PAGE_SIZE)
        if not after.shown:
            self._first_pages = {self._wanted(filters): (time.monotonic() + FIRST_PAGE_KEPT_S, page)}
        return page

    def listed(self, name: OpenList, since: datetime) -> list[Check]:
        """The newest checks of another list, the newest first; LIST_LENGTH at most."""
        return self.store.list_newest(name, since, self.now(), LIST_LENGTH)

    def next_check(self, filters: Filters, reviewer: str, passed: Collection[str] = ()) -> Check | None:
        """The first check that the reviewer has not passed and no other reviewer works on, claimed for this one.

        Whoever has passed some is given the others of a first page that was read a moment ago: what somebody has
        answered since is passed or claimed.
        """
        for page in self._pages(filters, kept=bool(passed)):
            for check in page.checks:
                if passed_id(check) not in passed and self.claims.take(check.subject, reviewer, self.now()):
                    return check
        return None

    def peek(self, filters: Filters, passed: Collection[str]) -> Check | None:
        """The check that probably comes next, unclaimed."""
        checks = self.page(filters, Cursor()).checks
        return next((check for check in checks if passed_id(check) not in passed), None)

    def _pages(self, filters: Filters, *, kept: bool) -> Iterator[Page]:
        until, page = self._first_pages.get(self._wanted(filters), (0.0, None))
        if kept and page and time.monotonic() < until:
            yield page
        after: Cursor | None = Cursor()
        while after is not None:
            page = self.page(filters, after)
            yield page
            after = page.after

    def _wanted(self, filters: Filters) -> Hashable:
        return filters.site, filters.severity, filters.direction, *filters.days(self.now())

    # ---- One bin ----

    def find(self, name: str, check: str) -> Check | None:
        """The check of that identity: of the bin of that name, or of the key without a place in the inbox."""
        if not (is_name(name) and is_name(check)):
            return None
        # No name of a bin ends in a slash: it would be the partition of something else.
        subjects: list[Subject] = [StrayKey(name)] if name.endswith("/") else [Bin.named(name), StrayKey(name)]
        found = (self.store.find(subject, check) for subject in subjects)
        return next((check for check in found if check), None)

    def view(self, check: Check, reviewer: str) -> BinView:
        """All that is shown of a check, claimed for the reviewer while it waits for a review."""
        subject, now = check.subject, self.now()
        claim = self._pool.submit(self.claims.take, subject, reviewer, now) if not check.reviewed_at else None
        there = self._pool.submit(self._is_there, check)
        record = self._pool.submit(self._record, check)
        history = self.store.list_history(subject, check.check, STRIP_LENGTH + 1, STRIP_READ)
        blind = check.check in history.awaiting
        if claim is None and blind:
            claim = self._pool.submit(self.claims.take, subject, reviewer, now)
        others = [_unanswered(one, history, check if blind else None) for one in history.checks]
        others = [one for one in others if one.check != check.check][-STRIP_LENGTH:]
        items, more_items = record.result()
        return BinView(
            check=check,
            image_url=self.image_url(check) if there.result() else None,
            items=items,
            more_items=more_items,
            findings=() if blind else tuple(history.findings),
            others=tuple((one, self.image_url(one)) for one in reversed(others)),
            free=claim is None or claim.result(),
            blind=blind,
        )

    def answer(self, check: Check, actual: int | None, reviewer: str, note: str) -> Check:
        """Keep what a reviewer found.

        The claim stays until it lapses: the queue's index may still list the check for a moment.
        """
        return review(self.store, check, actual, self.now(), reviewer, note)

    def release(self, name: str, reviewer: str) -> None:
        """Let others have a bin that the reviewer skips."""
        if is_name(name) and not name.endswith("/"):
            self.claims.release(Bin.named(name), reviewer)

    def take_back(self, check: Check, reviewer: str, reviewed_at: str) -> Check:
        """Take the last answer back, if it is the one that was given at `reviewed_at`.

        Raises:
            CannotWithdraw: there is none, or it is another one.
        """
        return withdraw_review(self.store, check, self.now(), reviewer, reviewed_at)

    def image_url(self, check: Check) -> str | None:
        """An address that shows the image to whoever has it, for LINK_LIFE; None for a check without an image."""
        if not check.image:
            return None
        version = check.versions[0]
        known = self._links.get((check.image, version))
        if known and known[0] > time.monotonic():
            return known[1]
        # Whatever type an upload claims to be: nothing but an image is shown.
        place = _place(check.image, version)
        place |= {"ResponseContentType": media_type(place["Key"]) if is_inbox_key(place["Key"]) else "image/jpeg"}
        url = self.s3.generate_presigned_url("get_object", Params=place, ExpiresIn=int(LINK_LIFE.total_seconds()))
        if len(self._links) >= LINKS_KEPT:
            self._links.clear()
        self._links[check.image, version] = (time.monotonic() + LINK_REUSED_S, url)
        return url

    def _is_there(self, check: Check) -> bool:
        """Whether the image that was checked still lies in its bucket."""
        if not check.image:
            return False
        version = check.versions[0]
        try:
            stored = self.s3.head_object(**_place(check.image, version))
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return False
            raise
        return version_of(stored.get("VersionId"), stored["ETag"]) == version

    def _record(self, check: Check) -> tuple[tuple[RecordedItem, ...] | None, int]:
        """The recorded items that are shown, None where the record cannot be read, and how many more there are."""
        if not check.metadata:
            return None, 0
        version = check.versions[1]
        try:
            stored = self.s3.get_object(**_place(check.metadata, version))
            with stored["Body"] as body:
                content = body.read(METADATA_LIMIT_BYTES + 1)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None, 0
            raise
        if version_of(stored.get("VersionId"), stored["ETag"]) != version:  # another was uploaded since
            return None, 0
        return _recorded_items(content)


def passed_id(check: Check) -> str:
    """Names a check among those that a reviewer has passed."""
    return check.check_id[:PASSED_DIGITS]


def _unanswered(check: Check, history: History, blind: Check | None) -> Check:
    """A check without what people found in it, where that would tell what the image of a `blind` review shows."""
    same_image = blind is not None and check.versions[0] == blind.versions[0]
    return replace(check, actual=None) if same_image or check.check in history.awaiting else check


def _recorded_items(metadata: bytes) -> tuple[tuple[RecordedItem, ...] | None, int]:
    try:
        items = parse_metadata(metadata, "").get("BIN_FCSKU_DATA", {})
        shown = tuple(_item(item) for item in islice(items.values(), ITEMS_SHOWN))
    except (AttributeError, RejectedUpload):
        return None, 0
    return shown, len(items) - len(shown)


def _place(address: str, version: str) -> Any:
    """Bucket and key of an address, and the version where the bucket keeps versions: an ETag is none."""
    place = S3Address.parse(address)
    is_etag = len(version.partition("-")[0]) == 32 and set(version) <= set("0123456789abcdef-")
    return {"Bucket": place.bucket, "Key": place.key} | ({} if is_etag else {"VersionId": version})


def _item(item: Any) -> RecordedItem:
    if not isinstance(item, dict):
        return RecordedItem(_shown(item), "", "")
    name = item.get("name") or item.get("normalizedName") or item.get("asin") or "without a name"
    sides = (_size(item.get(side)) for side in ("length", "width", "height"))
    return RecordedItem(_shown(name), _shown(item.get("quantity", "?")), " x ".join(filter(None, sides)))


def _size(side: Any) -> str:
    try:
        return f"{float(side['value']):.4g} {_shown(side['unit'])}"
    except (KeyError, OverflowError, TypeError, ValueError):
        return ""


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}…"
