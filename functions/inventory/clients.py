"""The one place that makes AWS clients. Retries, and the time that one call may take, are botocore's.

botocore does not retry what DynamoDB refuses for a moment because a transaction works on the item, and no transaction
at all, not even a throttled one. Both uploads of a bin come at once and write the same items, so here it does.
"""

import random
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.client import DynamoDBClient
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

ATTEMPTS = 4
_STORAGE = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": ATTEMPTS})
_BEST_EFFORT = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""A note is worth little time: it is written when there may be little left."""
_TOPIC = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
"""What a topic does not take is tried again from a queue."""
_ENDPOINT = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
_RETRYABLE_CODES = {
    "TransactionConflictException",
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
}
"""Codes of refused writes and, the last three, of what cancelled a transaction."""


def s3() -> "S3Client":
    return boto3.client("s3", config=_STORAGE)


def sns() -> "SNSClient":
    return boto3.client("sns", config=_TOPIC)


def sqs() -> "SQSClient":
    return boto3.client("sqs", config=_STORAGE)


def dynamodb() -> "DynamoDBClient":
    return boto3.client("dynamodb", config=_STORAGE)


def checks_table(name: str) -> "Table":
    table = boto3.resource("dynamodb", config=_STORAGE).Table(name)
    events: Any = table.meta.client.meta.events
    events.register("needs-retry.dynamodb", _retry_delay_s)
    return table


def checks_table_best_effort(name: str) -> "Table":
    return boto3.resource("dynamodb", config=_BEST_EFFORT).Table(name)


def sagemaker_runtime() -> "SageMakerRuntimeClient":
    return boto3.client("sagemaker-runtime", config=_ENDPOINT)


def _retry_delay_s(response: Any, attempts: int, **_: Any) -> float | None:
    """botocore's question whether to try once more: the seconds to wait before, or None."""
    if response is None or attempts >= ATTEMPTS:
        return None
    reasons = {reason["Code"] for reason in response[1].get("CancellationReasons", ())} - {"None"}
    codes = reasons or {response[1].get("Error", {}).get("Code")}
    return random.uniform(0, 0.1 * 2**attempts) if codes <= _RETRYABLE_CODES else None  # noqa: S311
