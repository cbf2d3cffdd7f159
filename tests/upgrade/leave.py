"""Runs the functions of an earlier version through a day of a warehouse, and writes what they left behind.

    python -m tests.upgrade.leave COMMIT     writes tests/upgrade/left_by_COMMIT.json

It needs the history of the repository. The functions run as Lambda runs them, by their handlers, against moto. What S3
holds, the items of the table and the messages to subscribers are the contract of that version with later ones.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import boto3
from moto import mock_aws

from tests.template import resource, table_properties

ROOT = Path(__file__).parents[2]
ACCOUNT_SETTINGS = {
    "AWS_ACCESS_KEY_ID": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "AWS_DEFAULT_REGION": "us-east-1",
    "ENDPOINT_NAME": "counter",
    "CHECKS_TABLE": "checks",
    "MISMATCH_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:alerts",
    "OPERATIONS_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:alerts",
    "ALERTS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/queue",
    "SENT_ALERTS_TABLE": "sent",
    "MISMATCH_RATE": "0.02",
    "AUDIT_SHARE": "1",
    "WAIT_MINUTES": "0",
    "POWERTOOLS_TRACE_DISABLED": "true",
    "POWERTOOLS_METRICS_NAMESPACE": "bincheck",
    "POWERTOOLS_SERVICE_NAME": "checker",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
}
DAY = (
    ("bin-images/match.jpg", 2),
    ("metadata/match.json", 2),
    ("bin-images/open.jpg", 2),
    ("metadata/open.json", 5),
    ("BOS1/bin-images/site.jpg", 2),
    ("BOS1/metadata/site.json", 4),
    ("bin-images/resolved.jpg", 2),
    ("metadata/resolved.json", 4),
    ("metadata/resolved.json", 2),
    ("bin-images/rejected.jpg", 2),
    ("metadata/rejected.json", "three"),
    ("bin-images/unpaired.jpg", 2),
    ("notes.txt", 0),
    ("watchdog", None),
    ("metadata/waiting.json", 2),
)
"""What happened, in this order: uploads by key, with the count of the image or of the record, and a run of the
Watchdog."""


class Context:
    """The context of an invocation, as far as any version looks at it."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def main() -> None:
    """Write what the version of the commit leaves behind, in a process that knows its functions only."""
    commit = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit, "functions"], cwd=ROOT, check=True, capture_output=True)
        subprocess.run(["tar", "x", "-C", folder], input=archive.stdout, check=True)
        environment = {**os.environ, **ACCOUNT_SETTINGS, "PYTHONPATH": f"{folder}/functions:{ROOT}"}
        arguments = [sys.executable, "-c", "from tests.upgrade.leave import day; day()"]
        left = subprocess.run(arguments, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    (ROOT / "tests" / "upgrade" / f"left_by_{commit}.json").write_text(f"{left.stdout.splitlines()[-1]}\n")


def day() -> None:
    """Print what the functions on the path leave of a day, as JSON."""
    for name in ("aws_xray_sdk", "aws_xray_sdk.core"):  # traced by versions until 0.1
        sys.modules[name] = MagicMock()
    with mock_aws():
        s3, table = make_account()
        boto3.setup_default_session()
        assert boto3.DEFAULT_SESSION
        boto3.DEFAULT_SESSION.events.register("before-call.sagemaker-runtime.InvokeEndpoint", answer)
        import checker
        import watchdog

        events, objects = [], {}
        for number, (key, count) in enumerate(DAY):
            if count is None:
                watchdog.handler({}, Context())
                continue
            content = content_of(key, count)
            etag = s3.put_object(Bucket="inbox", Key=key, Body=content)["ETag"].strip('"')
            events.append(json.dumps(event_of(key, etag, number + 1)))
            objects[key] = content.decode("latin-1")
            failed = checker.handler(batch_of(events[-1]), Context())
            assert not failed.get("batchItemFailures"), f"{key} was not processed"
        items = boto3.client("dynamodb").scan(TableName=table.name)["Items"]
        print()  # noqa: T201  (metrics are lines before it)
        json.dump({"objects": objects, "events": events, "items": items}, sys.stdout, sort_keys=True)


def make_account() -> tuple[Any, Any]:
    """The bucket, tables, topic and queue of a stack."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="inbox")
    table = boto3.resource("dynamodb").create_table(TableName="checks", **table_properties())
    sent = {name: resource("SentAlertsTable")[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}
    boto3.client("dynamodb").create_table(TableName="sent", **sent)
    boto3.client("sns").create_topic(Name="alerts")
    boto3.client("sqs").create_queue(QueueName="queue")
    return s3, table


def content_of(key: str, count: object) -> bytes:
    """An image that `answer` counts so, a record that says so, or a text."""
    if "bin-images" in key:
        return f"\xff\xd8\xff {key} {count}".encode("latin-1")
    return json.dumps({"EXPECTED_QUANTITY": count, "BIN_FCSKU_DATA": {}}).encode()


def answer(**_: Any) -> Any:
    """What the model of every version said of an image of two objects."""
    shares = (0.01, 0.01, 0.9, 0.05, 0.01, 0.01, 0.01)
    said = {"count": 2, "labels": [*"012345", "6+"], "probabilities": shares, "prior": [1 / 7] * 7, "model": "old@1"}
    body = json.dumps(said).encode()
    return SimpleNamespace(status_code=200), {"Body": SimpleNamespace(read=lambda: body), "ContentType": "json"}


def event_of(key: str, etag: str, number: int) -> dict[str, Any]:
    """The event that S3 sends of an upload."""
    stored = {"key": key, "size": 1, "eTag": etag, "sequencer": f"{number:018X}"}
    s3 = {"bucket": {"name": "inbox"}, "object": stored}
    return {"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": s3}]}


def batch_of(body: str) -> dict[str, Any]:
    """The batch with one message that a queue hands to its function."""
    record = {"messageId": "m", "receiptHandle": "h", "body": body, "attributes": {"ApproximateReceiveCount": "1"}}
    queue = {"eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:q"}
    return {"Records": [{**record, **queue, "messageAttributes": {}, "awsRegion": "us-east-1"}]}


if __name__ == "__main__":
    main()
