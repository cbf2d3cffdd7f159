"""The claims of reviewers: two reviewers do not get the same bin. A claim expires by itself."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from inventory.bins import Subject
from inventory.check_items import CLAIM, key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

CLAIM_LIFE = timedelta(minutes=5)


class Claims:
    """The stored claims. `table` is the boto3 `Table` of checks."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def take(self, subject: Subject, reviewer: str, moment: datetime) -> bool:
        """Claim a bin for CLAIM_LIFE, or renew the claim of the same reviewer. False if another reviewer has it."""
        until = int((moment + CLAIM_LIFE).timestamp())
        try:
            self._table.put_item(
                Item={**key(subject, CLAIM), "reviewer": reviewer, "expires_at": until},
                # DynamoDB deletes an expired item up to days later, so the condition compares the time too.
                ConditionExpression="attribute_not_exists(reviewer) OR reviewer = :reviewer OR expires_at <= :now",
                ExpressionAttributeValues={":reviewer": reviewer, ":now": int(moment.timestamp())},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def release(self, subject: Subject, reviewer: str) -> None:
        """Release a claim. Another reviewer's claim is left alone."""
        try:
            # Not deleted, so that whoever may answer needs no right to delete checks. It expires by itself.
            self._table.update_item(
                Key=key(subject, CLAIM),
                UpdateExpression="REMOVE reviewer",
                ConditionExpression="reviewer = :reviewer",
                ExpressionAttributeValues={":reviewer": reviewer},
            )
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return
