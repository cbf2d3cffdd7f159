"""A deployed stack: its outputs, its queues, and the stores over its table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from inventory.check_store import CheckStore
from inventory.failures import Failures
from inventory.links import Links
from inventory.reports.tally_store import TallyStore
from local.errors import NotAvailable
from local.stack.aws import Cloud

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table


class NotDeployed(NotAvailable):
    """There is no such stack, or it is not a bincheck stack. The message says what to do."""


@dataclass(frozen=True)
class Stack:
    """A deployed stack: its cloud, its outputs, its tags and its parameters."""

    cloud: Cloud
    name: str
    outputs: Mapping[str, str]
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

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
        return CheckStore(self.table)

    @property
    def links(self) -> Links:
        """The links to the review page, if the stack has one, and to the console. The embedded cloud has no console."""
        region = None if self.cloud.endpoint_url else self.cloud.session.region_name
        return Links(self.outputs.get("ReviewUrl"), region)

    @cached_property
    def tallies(self) -> TallyStore:
        return TallyStore(self.table)

    def _queue_url(self, output: str) -> str:
        """Look up the address by the queue's name, because the port of the embedded cloud may have changed."""
        name = self._output_of_newer_version(output).rsplit("/", 1)[-1]
        return self.cloud.sqs().get_queue_url(QueueName=name)["QueueUrl"]

    def _output_of_newer_version(self, output: str) -> str:
        """An output that stacks of earlier versions lack.

        Raises:
            NotDeployed: this stack lacks it.
        """
        if output not in self.outputs:
            raise NotDeployed(f"stack {self.name!r} has no {output} yet: deploy the template.yaml of this version")
        return self.outputs[output]


def was_created(cloud: Cloud, name: str) -> bool:
    """Whether the creation of the stack with this name was ever completed, whatever its state is now."""
    try:
        (stack,) = cloud.cloudformation().describe_stacks(StackName=name)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return False
        raise
    return bool(stack.get("Outputs"))


def find_stack(cloud: Cloud, name: str) -> Stack:
    """The deployed stack with this name.

    Raises:
        NotDeployed: there is no stack with this name, its deployment failed, or it is not a bincheck stack.
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
        raise NotDeployed(f"stack {name!r} is not a bincheck stack: it has no output InboxBucketName")
    tags = {tag["Key"]: tag["Value"] for tag in stack.get("Tags", [])}
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in stack.get("Parameters", [])}
    return Stack(cloud, name, outputs, tags, parameters)
