"""The one place of `local/` that makes AWS clients, and what a deployed stack consists of."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from inventory.check_store import CheckStore
from inventory.failures import Failures
from inventory.reports.tally_store import TallyStore
from local.errors import NotAvailable

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_dynamodb.service_resource import Table
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient

EMBEDDED_REGION = "us-east-1"
EMBEDDED_KEY = "test"
"""ministack's root key, id and secret alike. It opens nothing but the loopback device of this machine."""
CONNECTIONS = 32


class NotDeployed(NotAvailable):
    """There is no such stack, or it is not one of ours; the message says what to do."""


@dataclass(frozen=True)
class Cloud:
    """A cloud to talk to: AWS by the user's own environment, or an embedded one by its address."""

    session: boto3.Session
    endpoint_url: str | None = None

    @classmethod
    def aws(cls) -> "Cloud":
        """AWS as AWS_PROFILE, AWS_DEFAULT_REGION and the like say."""
        return cls(boto3.Session())

    @classmethod
    def embedded(cls, url: str) -> "Cloud":
        """The embedded cloud at an address, whatever the user's AWS environment says."""
        unset = (None, None, None, None)
        isolated = botocore.session.Session(
            session_vars={
                "profile": unset,
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        session = boto3.Session(
            aws_access_key_id=EMBEDDED_KEY,
            aws_secret_access_key=EMBEDDED_KEY,
            region_name=EMBEDDED_REGION,
            botocore_session=isolated,
        )
        return cls(session, url)

    def s3(self, *, signed: bool = True) -> "S3Client":
        return self.session.client("s3", **self._options(**({} if signed else {"signature_version": UNSIGNED})))

    def sqs(self) -> "SQSClient":
        return self.session.client("sqs", **self._options())

    def sns(self) -> "SNSClient":
        return self.session.client("sns", **self._options())

    def cloudformation(self) -> "CloudFormationClient":
        return self.session.client("cloudformation", **self._options())

    def functions(self) -> "LambdaClient":
        return self.session.client("lambda", **self._options(read_timeout=120))

    def sagemaker_runtime(self) -> "SageMakerRuntimeClient":
        return self.session.client("sagemaker-runtime", **self._options())

    def checks(self, table_name: str) -> CheckStore:
        return CheckStore(self.table(table_name))

    def tallies(self, table_name: str) -> TallyStore:
        return TallyStore(self.table(table_name))

    def table(self, name: str) -> "Table":
        return self.session.resource("dynamodb", **self._options()).Table(name)

    def _options(self, **settings: Any) -> dict[str, Any]:
        local: dict[str, Any] = {"proxies": {}, "s3": {"addressing_style": "path"}} if self.endpoint_url else {}
        config = Config(
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": 5},
            **{**local, **settings},
        )
        return {"endpoint_url": self.endpoint_url, "config": config}


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its outputs, and the cloud that it is in."""

    cloud: Cloud
    name: str
    outputs: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def inbox_bucket(self) -> str:
        return self.outputs["InboxBucketName"]

    @property
    def mismatch_topic_arn(self) -> str:
        return self.outputs["MismatchTopicArn"]

    @cached_property
    def inbox_queue_url(self) -> str:
        return self._queue_url("InboxQueueUrl")

    @cached_property
    def dead_letters_url(self) -> str:
        return self._queue_url("InboxDeadLettersUrl")

    @cached_property
    def backfill_queue_url(self) -> str:
        return self._queue_url("BackfillQueueUrl")

    @cached_property
    def alerts_queue_url(self) -> str:
        return self._queue_url("AlertsQueueUrl")

    @property
    def backfill_concurrency(self) -> int:
        return int(self._output_of_newer_version("BackfillConcurrency"))

    @cached_property
    def table(self) -> "Table":
        return self.cloud.table(self.outputs["ChecksTableName"])

    @cached_property
    def failures(self) -> Failures:
        return Failures(self.table)

    @cached_property
    def checks(self) -> CheckStore:
        return self.cloud.checks(self.outputs["ChecksTableName"])

    @cached_property
    def tallies(self) -> TallyStore:
        return self.cloud.tallies(self.outputs["ChecksTableName"])

    def _queue_url(self, output: str) -> str:
        """Look up the address by the queue's name: the port of the embedded cloud may have changed since."""
        name = self._output_of_newer_version(output).rsplit("/", 1)[-1]
        return self.cloud.sqs().get_queue_url(QueueName=name)["QueueUrl"]

    def _output_of_newer_version(self, output: str) -> str:
        """An output that a stack of an earlier version may lack.

        Raises:
            NotDeployed: it does.
        """
        if output not in self.outputs:
            raise NotDeployed(f"stack {self.name!r} has no {output} yet: deploy the template.yaml of this version")
        return self.outputs[output]


def was_created(cloud: Cloud, name: str) -> bool:
    """Whether the creation of a stack of this name was ever completed, whatever its state is now."""
    try:
        (stack,) = cloud.cloudformation().describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return False
        raise
    return bool(stack.get("Outputs"))


def find_stack(cloud: Cloud, name: str) -> Stack:
    """A stack that is deployed and usable.

    Raises:
        NotDeployed: there is none of this name, it is broken, or it lacks our outputs.
    """
    try:
        described = cloud.cloudformation().describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            raise NotDeployed(f"there is no stack {name!r} in {cloud.session.region_name}") from error
        raise
    if not described:
        raise NotDeployed(f"there is no stack {name!r} in {cloud.session.region_name}")
    stack = described[0]
    if not stack["StackStatus"].endswith("_COMPLETE") or stack["StackStatus"] in (
        "ROLLBACK_COMPLETE",
        "DELETE_COMPLETE",
    ):
        raise NotDeployed(f"stack {name!r} is {stack['StackStatus']}: deploy it again")
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if "InboxBucketName" not in outputs:
        raise NotDeployed(f"stack {name!r} is no bincheck stack: it has no output InboxBucketName")
    return Stack(cloud, name, outputs, {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])})
