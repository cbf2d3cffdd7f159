"""What waits for a reviewer: open mismatches, the most suspicious first, with the audit's checks among them.

A page costs one query for each day and list, of as many items as the page shows, however many are open.
"""

import base64
import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from boto3.dynamodb.conditions import Attr, Key

from inventory.check import Check
from inventory.check_items import DIGITS, read_check

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

OPEN_BY_SUSPICION = "open-by-suspicion"
AUDIT_EVERY = 5
"""Every so manieth check of a page comes from the audit while both last."""
KEY_LIMIT_BYTES = 1_024
SUSPICION_LENGTH = DIGITS + 2
"""Of a suspicion as it is kept, with its point: `0.123456`."""
MOST_DAYS = 31
COUNTED = 1_000
"""So many open checks of a day and list are counted, and so many are read at once where a filter leaves some out."""
THREADS = 8
Item = Mapping[str, Any]


@dataclass(frozen=True)
class Filters:
    """Which checks a reviewer wants: those since a moment, and only of a site, severity or direction where one is
    named. A site named "" is the bins without one."""

    since: datetime
    site: str | None = None
    severity: str | None = None
    direction: str | None = None

    def days(self, until: datetime) -> list[date]:
        """The days in UTC that they cover, at most MOST_DAYS, the newest first."""
        last = until.astimezone(UTC).date()
        count = min((last - self.since.astimezone(UTC).date()).days + 1, MOST_DAYS)
        return [last - timedelta(days=number) for number in range(count)]

    @property
    def condition(self) -> Any:
        """As a filter expression; None where every check is wanted."""
        wanted = {name: getattr(self, name) for name in ("site", "severity", "direction")}
        conditions = [Attr(name).eq(value) for name, value in wanted.items() if value is not None]
        if not conditions:
            return None
        joined: Any = conditions[0]
        for condition in conditions[1:]:
            joined &= condition
        return joined


@dataclass(frozen=True)
class Cursor:
    """Where the next page begins: of each list and day, the key of the last check that was shown."""

    shown: Mapping[str, tuple[str, str, str]] = field(default_factory=dict)

    def encode(self) -> str:
        """As part of an address."""
        return base64.urlsafe_b64encode(json.dumps(self.shown, separators=(",", ":")).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> "Cursor":
        """The cursor that was encoded so.

        Raises:
            ValueError: it is none.
        """
        shown = json.loads(base64.b64decode(text.encode(), altchars=b"-_", validate=True)) if text else {}
        if not isinstance(shown, dict):
            raise ValueError("a cursor is an object")
        for place, last in shown.items():
            if not (isinstance(last, list) and len(last) == 3 and all(isinstance(part, str) for part in last)):
                raise ValueError(f"{place} names no check")
            if not all(0 < len(part.encode()) <= KEY_LIMIT_BYTES for part in last[:2]):
                raise ValueError(f"{place} names no check")
            _suspicion(last[2])
        return cls({place: (last[0], last[1], last[2]) for place, last in shown.items()})


@dataclass(frozen=True)
class Page:
    """Some checks to review; `after` is None where they are the last."""

    checks: tuple[Check, ...]
    after: Cursor | None


class Count(NamedTuple):
    """How many checks are open; at least so many where the count is not `complete`."""

    number: int
    complete: bool


class ReviewQueue:
    """Open checks by suspicion, through the checks table's boto3 `Table`."""

    def __init__(self, table: "Table") -> None:
        self._client = table.meta.client
        self._name = table.name

    def page(self, filters: Filters, after: Cursor, until: datetime, size: int) -> Page:
        """The next `size` checks to review."""
        days = filters.days(until)
        with ThreadPoolExecutor(THREADS) as pool:
            lists = {
                name: [self._prefetched(pool, f"{name}#{day}", filters, after, size) for day in days]
                for name in ("mismatch", "audit")
            }
            merged = _mixed(*(heapq.merge(*lists[name], key=_rank) for name in ("mismatch", "audit")))
            found = list(islice(merged, size + 1))
        shown = dict(after.shown)
        for item in found[:size]:
            shown[item["open"]] = (item["bin"], item["check"], str(item["suspicion"]))
        return Page(_unique(map(read_check, found[:size])), Cursor(shown) if len(found) > size else None)

    def count(self, filters: Filters, until: datetime) -> Count:
        """How many checks are open. Of each day and list COUNTED are looked at, at most."""
        places = [f"{name}#{day}" for name in ("mismatch", "audit") for day in filters.days(until)]
        queries = [self._query(place, filters) | {"Select": "COUNT", "Limit": COUNTED} for place in places]
        with ThreadPoolExecutor(THREADS) as pool:
            pages = list(pool.map(lambda query: self._client.query(**query), queries))
        return Count(sum(page["Count"] for page in pages), not any("LastEvaluatedKey" in page for page in pages))

    def _prefetched(
        self, pool: ThreadPoolExecutor, place: str, filters: Filters, after: Cursor, size: int
    ) -> Iterator[Item]:
        """The open checks of a list and day after those that were shown; the first query is already on its way."""
        limit = size + AUDIT_EVERY if filters.condition is None else COUNTED
        query = self._query(place, filters) | {"Limit": limit}
        if place in after.shown:
            bin, check, suspicion = after.shown[place]
            query["ExclusiveStartKey"] = {
                "open": place, "bin": bin, "check": check, "suspicion": _suspicion(suspicion),
            }  # fmt: skip
        return self._pages(query, pool.submit(self._client.query, **query).result)

    def _pages(self, query: dict[str, Any], first: Any) -> Iterator[Item]:
        page = first()
        while True:
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            page = self._client.query(**query | {"ExclusiveStartKey": page["LastEvaluatedKey"]})

    def _query(self, place: str, filters: Filters) -> dict[str, Any]:
        query: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": OPEN_BY_SUSPICION,
            "KeyConditionExpression": Key("open").eq(place),
            "ScanIndexForward": False,
        }
        return query if filters.condition is None else {**query, "FilterExpression": filters.condition}


def _unique(checks: Iterable[Check]) -> tuple[Check, ...]:
    """Each check once: an audited mismatch is on both lists, and two rows of it would show which checks are audited."""
    return tuple({check.check_id: check for check in checks}.values())


def _mixed(alerts: Iterator[Item], audited: Iterator[Item]) -> Iterator[Item]:
    """Alerts, with one of the audit after every AUDIT_EVERY - 1 of them; what is left of either follows."""
    while True:
        some = [*islice(alerts, AUDIT_EVERY - 1), *islice(audited, 1)]
        if not some:
            return
        yield from some


def _rank(item: Item) -> tuple[Decimal, str, str]:
    return -item["suspicion"], item["bin"], item["check"]


def _suspicion(text: str) -> Decimal:
    try:
        suspicion = Decimal(text)
    except InvalidOperation as error:
        raise ValueError(f"{text!r} is no suspicion") from error
    if not (suspicion.is_finite() and 0 <= suspicion <= 1 and len(text) <= SUSPICION_LENGTH):
        raise ValueError(f"{text!r} is no suspicion")
    return suspicion
