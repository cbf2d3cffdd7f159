"""The store of tallies: one item of the checks table per day and site."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key

from inventory.check_items import TALLIES, stored
from inventory.legacy_items import LEGACY_TALLIES
from inventory.reports.tallies import Tally

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

TALLY_RETENTION = timedelta(days=400)
"""A year and a month, so that a season can be compared with the last one."""


class TallyStore:
    """The stored tallies. `table` is the boto3 `Table` of checks."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def put(self, tally: Tally) -> None:
        """Store a tally, in place of an earlier one of the same day and site."""
        expires_at = datetime.fromisoformat(f"{tally.day}T00:00:00+00:00") + TALLY_RETENTION
        values = {name: stored(value) for name, value in asdict(tally).items()}
        key = {"bin": TALLIES, "check": f"{tally.day}#{tally.site}"}
        self._table.put_item(Item={**values, **key, "expires_at": int(expires_at.timestamp())})

    def between(self, first: date, last: date) -> list[Tally]:
        """All tallies from one day to another, both inclusive, the oldest first."""
        found: dict[str, Tally] = {}
        for partition in (LEGACY_TALLIES, TALLIES):
            condition = Key("bin").eq(partition) & Key("check").between(f"{first}#", f"{last + timedelta(days=1)}")
            query: dict[str, Any] = {"KeyConditionExpression": condition}
            while True:
                page = self._table.query(**query)
                found |= {str(item["check"]): _tally(item) for item in page["Items"] if "answers" in item}
                if "LastEvaluatedKey" not in page:
                    break
                query["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return [found[name] for name in sorted(found)]


def _tally(item: Mapping[str, Any]) -> Tally:
    known = {one.name: item[one.name] for one in fields(Tally) if one.name in item}
    for name in ("answers", "rejected", "compared", "mismatches"):
        known[name] = int(known[name])
    for name in ("confidence", "suspicion"):
        known[name] = float(known[name])
    for name in ("labels", "models", "bands"):  # older tallies have no bands
        known[name] = {label: int(count) for label, count in known.get(name, {}).items()}
    return Tally(**known)
