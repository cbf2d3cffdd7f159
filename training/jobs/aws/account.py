"""The AWS account that jobs run in: one session with its bucket and role."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import NoRegionError
from jsonschema.validators import validator_for
from sagemaker.core.config.config_manager import SageMakerConfig
from sagemaker.core.config.config_schema import SAGEMAKER_PYTHON_SDK_CONFIG_SCHEMA
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.workflow.pipeline_context import PipelineSession

from training.jobs.errors import JobError
from training.jobs.settings import Aws

NO_TELEMETRY: Mapping[str, Any] = {
    "SchemaVersion": "1.0",
    "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}},
}
PROJECT_TAG = {"project": "bincheck"}
TAGS = [{"Key": key, "Value": value} for key, value in PROJECT_TAG.items()]

# The SDK refuses a role that lacks a right of any kind of job, such as network interfaces; this role has fewer rights.
os.environ.setdefault("SAGEMAKER_VALIDATE_ROLE", "false")

# The SDK validates its schema, too, each time that it reads a setting: most of the time of `pipeline upsert`.
_VALIDATOR = validator_for(SAGEMAKER_PYTHON_SDK_CONFIG_SCHEMA)(SAGEMAKER_PYTHON_SDK_CONFIG_SCHEMA)
SageMakerConfig.validate_sagemaker_config = staticmethod(_VALIDATOR.validate)


@dataclass(frozen=True)
class Account:
    """The account of the `settings`, accessed through `boto`."""

    settings: Aws
    boto: boto3.Session

    @property
    def region(self) -> str:
        """Raises NoRegionError when neither environment nor profile names one."""
        if not self.boto.region_name:
            raise NoRegionError
        return str(self.boto.region_name)

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in, as ARNs name it: aws, aws-cn, aws-us-gov."""
        return str(self.boto.get_partition_for_region(self.region))

    @cached_property
    def id(self) -> str:
        """Twelve digits."""
        return str(self.client("sts").get_caller_identity()["Account"])

    @property
    def role(self) -> str:
        """ARN of the role that jobs assume. Raises JobError when the settings have none."""
        if not self.settings.role:
            raise JobError(
                "aws.role is missing: name the ARN of an execution role in the settings file (docs/deploy.md makes one)"
            )
        return self.settings.role

    @property
    def bucket(self) -> str:
        """Name of the bucket with the files of jobs."""
        return self.settings.bucket or f"sagemaker-{self.region}-{self.id}"

    @cached_property
    def session(self) -> Session:
        """The SDK's session, without telemetry."""
        return Session(**self._session_options)

    @cached_property
    def pipeline_session(self) -> PipelineSession:
        """The SDK's session that turns requests into steps of a pipeline instead of sending them."""
        return PipelineSession(**self._session_options)

    @property
    def _session_options(self) -> dict[str, Any]:
        _ = self.region
        return {
            "boto_session": self.boto,
            "default_bucket": self.bucket,
            "default_bucket_prefix": self.settings.prefix,
            "sagemaker_config": dict(NO_TELEMETRY),
        }

    def client(self, service: str) -> Any:
        """A boto3 client of the service."""
        return self.boto.client(service)  # type: ignore[call-overload]

    def uri(self, *parts: str) -> str:
        """The s3:// URI of `parts` below the prefix of the settings."""
        return "/".join((f"s3://{self.bucket}", self.settings.prefix, *parts))
