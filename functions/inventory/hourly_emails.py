"""Limits emails about rejected and unpaired uploads to one an hour. An email names how many others came before it.

One item of the table of sent alerts holds which alert has the email of this hour, and how many others no email has
named yet. The first alert gets an email at once. Those that no email has named when the hour is over get one of their
own, from the Watchdog.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from inventory.alert_text import Unnamed
from inventory.check import Kind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KINDS: tuple[Kind, ...] = ("rejected", "unpaired")
PERIOD_S = 3600
LEASE_S = 120
"""Longer than the Watchdog's timeout. If it dies while it sends a digest, a later run sends it."""
DIGEST = "digest"
ITEM = {"id": {"S": "hourly-email"}}


class HourlyEmails:
    """The item in the table of sent alerts. It never expires, so no number is lost."""

    def __init__(self, dynamodb: "DynamoDBClient", table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table

    def claim(self, alert_id: str, now_s: int) -> Unnamed | None:
        """Claim the email of this hour for an alert: returns what it must name, None if another alert has the email.

        A second claim for the same alert succeeds, so an alert whose publishing failed keeps its email.
        """
        try:
            item = self._update(
                "SET holder = :holder, free_at = :free_at",
                {":holder": {"S": alert_id}, ":free_at": {"N": str(now_s + PERIOD_S)}, ":now": {"N": str(now_s)}},
                ConditionExpression="attribute_not_exists(holder) OR holder = :holder OR free_at <= :now",
            )
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return _unnamed(item)

    def claim_digest(self, now_s: int) -> Unnamed | None:
        """Claim the next email for a digest of what no email has named, for LEASE_S: returns what it must name.

        None if there is nothing to name, or the last email is less than an hour ago.
        """
        try:
            item = self._update(
                "SET holder = :holder, free_at = :free_at",
                {
                    ":holder": {"S": DIGEST}, ":free_at": {"N": str(now_s + LEASE_S)}, ":now": {"N": str(now_s)},
                    ":none": {"N": "0"},
                },
                ConditionExpression=f"free_at <= :now AND ({' OR '.join(f'{kind} > :none' for kind in KINDS)})",
            )  # fmt: skip
        except self._dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return _unnamed(item)

    def settle_digest(self, named: Unnamed, now_s: int) -> None:
        """Subtract what a published digest named, and send no other email for an hour."""
        self._add(named, -1, free_at_s=now_s + PERIOD_S)

    def count(self, kind: Kind) -> None:
        """Count an alert that was published without an email."""
        self._add(Unnamed(**{kind: 1}), 1)

    def settle(self, named: Unnamed) -> None:
        """Subtract what a published email named. What was counted in the meantime remains."""
        if named != Unnamed():
            self._add(named, -1)

    def _add(self, numbers: Unnamed, sign: int, free_at_s: int | None = None) -> None:
        values = {f":{kind}": {"N": str(sign * getattr(numbers, kind))} for kind in KINDS}
        expression = f"ADD {', '.join(f'{kind} :{kind}' for kind in KINDS)}"
        if free_at_s is not None:
            expression, values[":free_at"] = f"SET free_at = :free_at {expression}", {"N": str(free_at_s)}
        self._update(expression, values)

    def _update(self, expression: str, values: dict[str, Any], **condition: Any) -> dict[str, Any]:
        return self._dynamodb.update_item(
            TableName=self._table,
            Key=ITEM,
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            **condition,
        )["Attributes"]


def _unnamed(item: Mapping[str, Any]) -> Unnamed:
    return Unnamed(*(int(item.get(kind, {}).get("N", 0)) for kind in KINDS))
