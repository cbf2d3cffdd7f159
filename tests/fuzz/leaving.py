"""Whether what a check leaves behind can be stored and sent: the limits are DynamoDB's, SQS's and SNS's."""

from datetime import UTC, datetime
from types import SimpleNamespace

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError

from inventory.alerts import Alerts
from inventory.check import BinState, Check, StoredObject, timestamp
from inventory.check_items import read_alert
from inventory.check_store import CheckStore
from inventory.decision import Observation, decide
from inventory.uploads import SEQUENCER_DIGITS, Upload

MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = timestamp(MOMENT)
PAIR = StoredObject("inbox", "bin-images/7.jpg", "image"), StoredObject("inbox", "metadata/7.json", "record")


class _Table:
    """Takes what fits into DynamoDB, and publishes the alerts in it."""

    name = "checks"
    _refusals = SimpleNamespace(ConditionalCheckFailedException=ClientError, TransactionCanceledException=ClientError)

    def __init__(self):
        self.meta = SimpleNamespace(client=SimpleNamespace(exceptions=self._refusals, transact_write_items=self._write))

    def put_item(self, **request):
        self._write([{"Put": request}])

    def _write(self, TransactItems):  # noqa: N803
        for write in TransactItems:
            self._put(write["Put"]["Item"])

    def _put(self, item):
        TypeSerializer().serialize(item)
        assert 0 < len(item["bin"].encode()) <= 2048
        assert 0 < len(item["check"].encode()) <= 1024
        assert len(repr(item).encode()) < 400_000
        if "alert" in item:
            assert item["alert"].isascii()
            assert len(item["alert"]) < 262_144
            Alerts(_Topic(), "topic").publish(read_alert(item["alert"]))


class _Topic:
    def publish(self, **message):
        assert message["Subject"].isascii()
        assert message["Subject"].isprintable()
        assert len(message["Subject"]) < 100
        assert len(message["Message"].encode()) < 262_144
        assert all(attribute["StringValue"].encode() for attribute in message["MessageAttributes"].values())


def leave(check: Check, image=PAIR[0], metadata=PAIR[1], upload=None) -> None:
    """Store and send what a new check of these parts leads to, as far as that goes without a table and a topic."""
    upload = upload or Upload(image.bucket, image.key, image.version, "0" * SEQUENCER_DIGITS)
    state = BinState(check.subject)
    decision = decide(state, Observation(upload, MOMENT, image, metadata, check))
    assert decision.append
    CheckStore(_Table()).commit(state, decision, MOMENT)
