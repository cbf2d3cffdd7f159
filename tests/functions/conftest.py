"""An account in moto with the stack's bucket, table and topic, and a queue subscribed to the alerts."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import StreamRecord

from inventory import workflow
from inventory.alerts import Alerts
from inventory.bins import Bin
from inventory.check_items import read_alert
from inventory.check_store import CheckStore
from inventory.uploads import Upload
from inventory.workflow import CheckWorkflow
from tests.builders import BUCKET, seen, upload
from tests.template import resource, table_properties

REGION = "us-east-1"
TIMEOUT = timedelta(minutes=15)

# moto copies a table with its whole stream before each transaction, and a record of a stream never changes.
StreamRecord.__deepcopy__ = lambda record, memo: record  # type: ignore[attr-defined]


@dataclass
class Warehouse:
    """The stack, as a test drives it: drop files, deliver their events, read what came of it."""

    s3: Any
    store: CheckStore
    workflow: CheckWorkflow
    outbox: "Outbox"
    received: Any
    topic_arn: str
    clock: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))

    @property
    def table(self):
        """The table of the store, as boto3 has it."""
        return self.store._table

    def put(self, key: str, content: bytes) -> Upload:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        return upload(key, content)

    def drop(self, key: str, content: bytes):
        return self.workflow.process(self.put(key, content))

    def checks(self, bin: str):
        return self.store.list_by_name(bin)

    def state(self, bin: str):
        return self.store.load(Bin.named(bin))

    def watchdog(self, timeout: timedelta = TIMEOUT):
        """One run of the Watchdog: what people were told of."""
        since, until = self.clock - timedelta(days=14), self.clock - timeout
        waiting = list(self.store.list_open("waiting", since, until))
        alerted = [workflow.alert_overdue(self.s3, self.store, check, timeout, self.clock) for check in waiting]
        return [check for check in alerted if check]

    def review(self, check, actual: int):
        return workflow.review(self.store, check, actual, self.clock)

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that came since the last call, with their attributes under `attributes`."""
        self.outbox.send()
        alerts = []
        while messages := self.received.receive_messages(MaxNumberOfMessages=10):
            for message in messages:
                envelope = json.loads(message.body)
                attributes = {name: a["Value"] for name, a in envelope.get("MessageAttributes", {}).items()}
                alerts.append(json.loads(envelope["Message"]) | {"attributes": attributes})
                message.delete()
        return alerts


class Outbox:
    """The table's stream, as the Alerter's event source hands it out."""

    def __init__(self, table: Any, alerts: Alerts) -> None:
        self._seen: set[str] = set()
        self._table = table
        self.alerts = alerts

    def records(self) -> list[dict[str, Any]]:
        """The records since the last call that the template's filter lets through."""
        # Of moto itself: its iterator sees nothing any more once a transaction was cancelled, and to read all records
        # through its API each time takes half of some tests.
        told = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].get_table(self._table.name).stream_shard.items
        new = [one.record for one in told if one.record["eventID"] not in self._seen]
        self._seen |= {record["eventID"] for record in new}
        (pattern,) = resource("Alerter")["Events"]["Outbox"]["Properties"]["FilterCriteria"]["Filters"]
        wanted = json.loads(pattern["Pattern"])
        (rule,) = wanted["dynamodb"]["Keys"]["check"]["S"]
        return [
            record
            for record in new
            if record["eventName"] in wanted["eventName"]
            and record["dynamodb"]["Keys"]["check"]["S"].startswith(rule["prefix"])
            and self._was_committed(record["dynamodb"]["Keys"])
        ]

    def _was_committed(self, key: dict[str, dict[str, str]]) -> bool:
        """moto streams what a cancelled transaction was about to put, too."""
        return "Item" in self._table.get_item(Key={name: value["S"] for name, value in key.items()})

    def send(self) -> None:
        for record in self.records():
            self.alerts.publish(read_alert(record["dynamodb"]["NewImage"]["alert"]["S"]))


@pytest.fixture
def account(monkeypatch):
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


@pytest.fixture
def sent_alerts(account):
    client = boto3.client("dynamodb", region_name=REGION)
    sent = {name: resource("SentAlertsTable")[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}
    client.create_table(TableName="sent-alerts", **sent)
    return client


@pytest.fixture
def warehouse(account):
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=BUCKET)
    table = boto3.resource("dynamodb", region_name=REGION).create_table(TableName="checks", **table_properties())
    sns = boto3.client("sns", region_name=REGION)
    topic_arn = sns.create_topic(Name="mismatches")["TopicArn"]
    received = boto3.resource("sqs", region_name=REGION).create_queue(QueueName="subscriber")
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=received.attributes["QueueArn"])
    store = CheckStore(table)
    workflow = CheckWorkflow(s3=s3, store=store, count=seen, mismatch_rate=0.02, now=lambda: house.clock)
    house = Warehouse(s3, store, workflow, Outbox(table, Alerts(sns, topic_arn)), received, topic_arn)
    return house
