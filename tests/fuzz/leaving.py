"""Whether what the Checker leaves behind of a check can be stored and sent: the limits are DynamoDB's and SNS's."""

from boto3.dynamodb.types import TypeSerializer

from inventory import checks
from inventory.alerts import Alerts
from inventory.checks import Check


class _Topic:
    def publish(self, **message):
        assert message["Subject"].isascii()
        assert message["Subject"].isprintable()
        assert len(message["Subject"]) < 100
        assert len(message["Message"].encode()) < 262_144
        assert all(attribute["StringValue"].encode() for attribute in message["MessageAttributes"].values())


def leave(check: Check) -> None:
    """Store and send a check as far as that goes without a table and a topic."""
    item = checks._item(check)
    TypeSerializer().serialize(item)
    assert 0 < len(item["bin"].encode()) <= 2048
    assert 0 < len(item["check"].encode()) <= 1024
    assert len(repr(item).encode()) < 400_000
    if check.alert_kind:
        Alerts(_Topic(), "topic").publish(check)
