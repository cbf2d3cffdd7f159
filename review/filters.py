"""The filters of the queue, as an address of the page says them."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from inventory.review_queue import MOST_DAYS, Filters
from inventory.verdict import SEVERITIES

DEFAULT_SINCE = "7d"
SINCE = {"1d": "a day", "7d": "a week", "30d": "30 days"}
SEVERITY_NAMES = tuple(severity for _, severity in SEVERITIES)
DIRECTIONS = ("missing", "extra")
_AGO = re.compile(r"(\d{1,3})d")


def read_filters(query: Mapping[str, str], now: datetime) -> Filters:
    """The filters that a query asks for, without those that it names wrongly. They go back MOST_DAYS at most."""
    ago = _AGO.fullmatch(query.get("since", DEFAULT_SINCE))
    days = min(int(ago[1]), MOST_DAYS - 1) if ago else 7
    severity, direction = query.get("severity"), query.get("direction")
    return Filters(
        since=now.astimezone(UTC) - timedelta(days=days),
        site=query.get("site", "").strip() or None,
        severity=severity if severity in SEVERITY_NAMES else None,
        direction=direction if direction in DIRECTIONS else None,
    )


def filters_query(query: Mapping[str, str]) -> str:
    """The filters of an address as its query again, so that they stay from page to page."""
    return urlencode({name: query[name] for name in ("site", "severity", "direction", "since") if query.get(name)})
