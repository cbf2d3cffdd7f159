"""Limits emails about rejected and unpaired uploads to one an hour. The email names how many others came before it.

One item of the table of sent alerts holds which alert has the email of this hour, and how many others no email has
named yet. The first alert gets an email at once.
"""

from typing import TYPE_CHECKING, Any

from inventory.alert_text import Unnamed
from inventory.check import Kind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient

KINDS: tuple[Kind, ...] = ("rejected", "unpaired")
PERIOD_S = 3600
_ITEM = {"id": {"S": "hourly-email"}}


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
        return Unnamed(*(int(item.get(kind, {}).get("N", 0)) for kind in KINDS))

    def count(self, kind: Kind) -> None:
        """Count an alert that was published without an email."""
        self._add(Unnamed(**{kind: 1}), 1)

    def settle(self, named: Unnamed) -> None:
        """Subtract what a published email named. What was counted in the meantime remains."""
        if named != Unnamed():
            self._add(named, -1)

    def _add(self, numbers: Unnamed, sign: int) -> None:
        values = {f":{kind}": {"N": str(sign * getattr(numbers, kind))} for kind in KINDS}
        self._update(f"ADD {', '.join(f'{kind} :{kind}' for kind in KINDS)}", values)

    def _update(self, expression: str, values: dict[str, Any], **condition: Any) -> dict[str, Any]:
        return self._dynamodb.update_item(
            TableName=self._table,
            Key=_ITEM,
            UpdateExpression=expression,
            ExpressionAttributeValues=values,
            ReturnValues="ALL_NEW",
            **condition,
        )["Attributes"]
