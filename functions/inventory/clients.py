"""The one place that makes AWS clients. Retries, and the time that one call may take, are botocore's."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient

_STORAGE = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
_NOTES = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
"""A note is worth little time: it is written when there may be little left."""
_ENDPOINT = Config(connect_timeout=2, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2})


def s3() -> "S3Client":
    return boto3.client("s3", config=_STORAGE)


def sns() -> "SNSClient":
    return boto3.client("sns", config=_STORAGE)


def checks_table(name: str) -> "Table":
    return boto3.resource("dynamodb", config=_STORAGE).Table(name)


def checks_table_for_notes(name: str) -> "Table":
    return boto3.resource("dynamodb", config=_NOTES).Table(name)


def sagemaker_runtime() -> "SageMakerRuntimeClient":
    return boto3.client("sagemaker-runtime", config=_ENDPOINT)
