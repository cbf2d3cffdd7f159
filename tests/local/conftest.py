"""A stack in moto: its queues, table and inbox, without functions."""

import json

import boto3
import pytest
from moto import mock_aws

from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack
from tests.template import table_properties

REGION = "us-east-1"


@pytest.fixture
def deployed(monkeypatch):
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": REGION}.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        sqs = boto3.client("sqs")
        dead = sqs.create_queue(QueueName="bincheck-InboxDeadLetters")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        redrive = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})}
        queues = {
            name: sqs.create_queue(QueueName=f"bincheck-{name}", Attributes=redrive)["QueueUrl"]
            for name in ("InboxQueue", "BackfillQueue", "AlertsQueue")
        }
        boto3.client("s3").create_bucket(Bucket="inbox")
        boto3.client("dynamodb").create_table(TableName="checks", **table_properties())
        outputs = {
            "InboxBucketName": "inbox",
            "InboxQueueUrl": queues["InboxQueue"],
            "InboxDeadLettersUrl": dead,
            "BackfillQueueUrl": queues["BackfillQueue"],
            "AlertsQueueUrl": queues["AlertsQueue"],
            "BackfillConcurrency": "2",
            "ChecksTableName": "checks",
        }
        yield Stack(Cloud.aws(), "bincheck", outputs)
