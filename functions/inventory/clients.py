"""AWS clients. No other file of the functions makes any. botocore handles timeouts and most retries.

botocore does not retry a write that conflicts with a transaction, and retries no transaction, not even a throttled one.
The two uploads of a bin often arrive together and write the same items. So the clients of the checks table retry both.
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
_PRESIGNING = Config(signature_version="s3v4")
"""botocore signs addresses by version 2 where it may, which S3 refuses of objects that KMS encrypts."""
_BEST_EFFORT = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""For failure records: they are written when the function may be about to time out."""
_TOPIC = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 2})
"""Few attempts, because the alerts queue retries later."""
_ENDPOINT = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})
_RETRYABLE_CODES = {
    "TransactionConflictException",
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
}
"""The first is the error code of a conflicting write; the others are reasons of a cancelled transaction."""


def s3() -> "S3Client":
    return boto3.client("s3", config=_STORAGE.merge(_PRESIGNING))


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


def secrets() -> Any:
    return boto3.client("secretsmanager", config=_STORAGE)


def cognito() -> Any:
    return boto3.client("cognito-idp", config=_TOPIC)


def cognito_url() -> str:
    """Where user pools publish their keys and addresses."""
    url: str = cognito().meta.endpoint_url
    return url


def _retry_delay_s(response: Any, attempts: int, **_: Any) -> float | None:
    """A handler of botocore's `needs-retry` event: returns the seconds to wait before a retry, None for no retry."""
    if response is None or attempts >= ATTEMPTS:
        return None
    reasons = {reason["Code"] for reason in response[1].get("CancellationReasons", ())} - {"None"}
    codes = reasons or {response[1].get("Error", {}).get("Code")}
    return random.uniform(0, 0.1 * 2**attempts) if codes <= _RETRYABLE_CODES else None  # noqa: S311
