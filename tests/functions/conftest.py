"""An account in moto with the stack's bucket, table and topic, and a queue subscribed to the alerts."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from moto import mock_aws

from inventory.alerts import Alerts
from inventory.checks import ChecksTable
from inventory.inspection import Inspector
from inventory.uploads import Upload
from tests.builders import BUCKET, seen, upload
from tests.template import table_properties

REGION = "us-east-1"


@dataclass
class Warehouse:
    """The stack, as a test drives it: drop files, deliver their events, read what came of it."""

    s3: Any
    table: ChecksTable
    inspector: Inspector
    received: Any
    topic_arn: str
    clock: datetime = field(default_factory=lambda: datetime(2026, 3, 1, 12, tzinfo=UTC))

    def put(self, key: str, content: bytes) -> Upload:
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        return upload(key, content)

    def drop(self, key: str, content: bytes):
        return self.inspector.inspect(self.put(key, content))

    def checks(self, bin: str):
        return self.table.of_bin(bin)

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that came since the last call, with their attributes under `attributes`."""
        alerts = []
        while messages := self.received.receive_messages(MaxNumberOfMessages=10):
            for message in messages:
                envelope = json.loads(message.body)
                attributes = {name: a["Value"] for name, a in envelope.get("MessageAttributes", {}).items()}
                alerts.append(json.loads(envelope["Message"]) | {"attributes": attributes})
                message.delete()
        return alerts


@pytest.fixture
def account(monkeypatch):
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield


@pytest.fixture
def warehouse(account):
    s3 = boto3.client("s3", region_name=REGION)
    s3.create_bucket(Bucket=BUCKET)
    table = boto3.resource("dynamodb", region_name=REGION).create_table(TableName="checks", **table_properties())
    sns = boto3.client("sns", region_name=REGION)
    topic_arn = sns.create_topic(Name="mismatches")["TopicArn"]
    received = boto3.resource("sqs", region_name=REGION).create_queue(QueueName="subscriber")
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=received.attributes["QueueArn"])
    checks = ChecksTable(table)

    def wait(seconds: float) -> None:
        house.clock += timedelta(seconds=seconds)

    inspector = Inspector(
        s3=s3,
        table=checks,
        alerts=Alerts(sns, topic_arn),
        count=seen,
        mismatch_rate=0.02,
        now=lambda: house.clock,
        sleep=wait,
    )
    house = Warehouse(s3, checks, inspector, received, topic_arn)
    return house
