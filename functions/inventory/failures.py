"""Why messages went back to the queue: the last reason of each, kept in the checks table for whoever has to look.

A message of SQS tells nothing of its failures, and gets another id when it is redriven. So a reason is kept under the
digest of the message's body. Neither body nor image is kept here.
"""

import hashlib
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from inventory.check import timestamp
from inventory.check_items import FAILURES

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

FAILURE_RETENTION = timedelta(days=15)
"""A day longer than a message lies in the dead letters."""
REASON_LIMIT = 700
"""Characters, so that the item costs one write."""


@dataclass(frozen=True)
class Failure:
    """Why a message failed last, when (ISO 8601 in UTC), and how often it had been received by then."""

    reason: str
    failed_at: str
    attempts: int


class Failures:
    """The reasons that are kept, through the checks table's boto3 `Table`."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def put(self, body: str, reason: str, attempts: int, moment: datetime) -> None:
        """Keep the reason why the message of that body failed, in place of an earlier one."""
        failure = Failure(reason[:REASON_LIMIT], timestamp(moment), attempts)
        expires_at = int((moment + FAILURE_RETENTION).timestamp())
        self._table.put_item(Item={**_key(body), **asdict(failure), "expires_at": expires_at})

    def find(self, body: str) -> Failure | None:
        """Why the message of that body failed last, or None when nothing was noted."""
        item = self._table.get_item(Key=_key(body)).get("Item")
        if item is None:
            return None
        return Failure(str(item["reason"]), str(item["failed_at"]), int(str(item["attempts"])))


def _key(body: str) -> dict[str, str]:
    return {"bin": FAILURES, "check": hashlib.sha256(body.encode()).hexdigest()}
