"""What waits for a reviewer: open mismatches, the most suspicious first, with the audit's checks among them.

A page costs one query for each day and list, however many are open. A site has a key of its own in `open-by-site`, and
a severity is a range of suspicion, so these filters leave nothing out. The filter by direction does: of each day and
list COUNTED are looked at for a page, which then has fewer checks than asked for, and another page after it.
"""

import base64
import heapq
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import reduce
from itertools import islice
from operator import and_
from typing import TYPE_CHECKING, Any, NamedTuple

from boto3.dynamodb.conditions import Attr, Key

from inventory.bins import KEY_LIMIT_BYTES
from inventory.check import Check
from inventory.check_items import DIGITS, list_at_site, read_check
from inventory.verdict import SEVERITIES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

OPEN_BY_SUSPICION, OPEN_BY_SITE = "open-by-suspicion", "open-by-site"
LISTS = ("mismatch", "audit")
AUDIT_EVERY = 5
"""Every so manieth check of a page comes from the audit while both last."""
SUSPICION_LENGTH = DIGITS + 2
"""Of a suspicion as it is kept, with its point: `0.123456`."""
MOST_DAYS = 31
COUNTED = 1_000
"""So many open checks of a day and list are counted, and so many are read where a filter leaves some out."""
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

    def key_condition(self, place: str) -> Any:
        """The condition on the key of the index; `place` is a list and its day."""
        key = Key("open").eq(place) if self.site is None else Key("open_at").eq(list_at_site(place, self.site))
        bounds = [least for least, _ in SEVERITIES]
        ranges = {name: (least, most) for (least, name), most in zip(SEVERITIES, [1.0, *bounds], strict=False)}
        if self.severity not in ranges:
            return key
        return key & Key("suspicion").between(*(Decimal(str(bound)) for bound in ranges[self.severity]))

    def condition(self, name: str) -> Any:
        """The condition on the other attributes of the checks of a list; None where every one is wanted."""
        # A check of the audit is on its list, so it does not count as a mismatch besides.
        conditions: list[Any] = [Attr("audited").not_exists()] if name == "mismatch" else []
        if self.severity is not None:  # suspicion is stored rounded, so one at a bound may be of the next severity
            conditions.append(Attr("severity").eq(self.severity))
        if self.direction is not None:
            conditions.append(Attr("direction").eq(self.direction))
        return reduce(and_, conditions) if conditions else None


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


FIRST = Cursor()


@dataclass(frozen=True)
class Page:
    """Some checks to review, maybe none; `after` is None where there are no more."""

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
        """The next checks to review, `size` at most."""
        limit = size + AUDIT_EVERY if filters.direction is None else COUNTED
        places = [(name, day) for name in LISTS for day in filters.days(until)]
        queries = [self._query(*place, filters, after) | {"Limit": limit} for place in places]
        with ThreadPoolExecutor(THREADS) as pool:
            pages = list(pool.map(lambda query: self._client.query(**query), queries))
        read = dict(zip(places, pages, strict=True))
        lists = [[page["Items"] for (name, _), page in read.items() if name == wanted] for wanted in LISTS]
        found = list(islice(_mixed(*(heapq.merge(*items, key=_rank) for items in lists)), size))
        shown = dict(after.shown) | {item["open"]: _position(item) for item in found}
        taken, more = Counter(item["open"] for item in found), False
        for (name, day), page in read.items():
            place = f"{name}#{day}"
            if taken[place] < len(page["Items"]):
                more = True
            elif "LastEvaluatedKey" in page:
                more, shown[place] = True, _position(page["LastEvaluatedKey"])
        return Page(tuple(map(read_check, found)), Cursor(shown) if more else None)

    def count(self, filters: Filters, until: datetime) -> Count:
        """How many checks are open. Of each day and list COUNTED are looked at, at most."""
        places = [(name, day) for name in LISTS for day in filters.days(until)]
        queries = [self._query(*place, filters) | {"Select": "COUNT", "Limit": COUNTED} for place in places]
        with ThreadPoolExecutor(THREADS) as pool:
            pages = list(pool.map(lambda query: self._client.query(**query), queries))
        return Count(sum(page["Count"] for page in pages), not any("LastEvaluatedKey" in page for page in pages))

    def _query(self, name: str, day: date, filters: Filters, after: Cursor = FIRST) -> dict[str, Any]:
        place = f"{name}#{day}"
        query: dict[str, Any] = {
            "TableName": self._name,
            "IndexName": OPEN_BY_SUSPICION if filters.site is None else OPEN_BY_SITE,
            "KeyConditionExpression": filters.key_condition(place),
            "ScanIndexForward": False,
        }
        if (condition := filters.condition(name)) is not None:
            query["FilterExpression"] = condition
        if place in after.shown:
            bin, check, suspicion = after.shown[place]
            at = {"open": place} if filters.site is None else {"open_at": list_at_site(place, filters.site)}
            query["ExclusiveStartKey"] = at | {"bin": bin, "check": check, "suspicion": _suspicion(suspicion)}
        return query


def _mixed(alerts: Iterator[Item], audited: Iterator[Item]) -> Iterator[Item]:
    """Alerts, with one of the audit after every AUDIT_EVERY - 1 of them; what is left of either follows."""
    while True:
        some = [*islice(alerts, AUDIT_EVERY - 1), *islice(audited, 1)]
        if not some:
            return
        yield from some


def _position(item: Item) -> tuple[str, str, str]:
    return item["bin"], item["check"], str(item["suspicion"])


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
