"""The last reason why each message returned to its queue, stored in the checks table.

SQS stores no reason with a message, and a redriven message gets a new id. So the key is a digest of the message's body.
Neither the body nor an image is stored.
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
"""One day longer than the dead-letter queue keeps a message."""
REASON_LIMIT = 700
"""Characters; such an item costs one write unit."""


@dataclass(frozen=True)
class Failure:
    """The last failure of a message: its reason, its time (ISO 8601 in UTC), and the receive count at that time."""

    reason: str
    failed_at: str
    attempts: int


class Failures:
    """The stored failures. `table` is the boto3 `Table` of checks."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def put(self, body: str, reason: str, attempts: int, moment: datetime) -> None:
        """Store why the message with this body failed, in place of an earlier reason."""
        storable = reason[:REASON_LIMIT].encode(errors="replace").decode()  # a message may quote a lone surrogate
        failure = Failure(storable, timestamp(moment), attempts)
        expires_at = int((moment + FAILURE_RETENTION).timestamp())
        self._table.put_item(Item={**_key(body), **asdict(failure), "expires_at": expires_at})

    def find(self, body: str) -> Failure | None:
        """The last failure of the message with this body, or None if none is stored."""
        item = self._table.get_item(Key=_key(body)).get("Item")
        if item is None:
            return None
        return Failure(str(item["reason"]), str(item["failed_at"]), int(str(item["attempts"])))


def _key(body: str) -> dict[str, str]:
    return {"bin": FAILURES, "check": hashlib.sha256(body.encode()).hexdigest()}
