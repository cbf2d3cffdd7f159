"""The AWS clients of the command line. No other file of `local/` makes any."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore import UNSIGNED
from botocore.config import Config

from local.errors import CommandFailed

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
"""ministack's root key, as id and as secret. It only opens the embedded cloud, on the loopback interface."""
CONNECTIONS = 32
NO_FILES = {"config_file": os.devnull, "credentials_file": os.devnull}


class InvalidSettings(CommandFailed):
    """A setting in the user's environment or configuration has no meaning for AWS. The message names its value."""


@contextmanager
def _readable_settings() -> Iterator[None]:
    """botocore raises a plain ValueError for some settings."""
    try:
        yield
    except ValueError as error:
        raise InvalidSettings(
            f"an AWS setting is invalid: {error}. Check AWS_* in your shell and ~/.aws/config"
        ) from error


@dataclass(frozen=True)
class Cloud:
    """A cloud: AWS with the settings of the user's environment, or an embedded one with its address."""

    session: boto3.Session
    endpoint_url: str | None = None

    @classmethod
    def aws(cls) -> "Cloud":
        """AWS, with AWS_PROFILE, AWS_DEFAULT_REGION and the other settings of the user's environment."""
        return cls(boto3.Session())

    @classmethod
    def embedded(cls, url: str) -> "Cloud":
        """The embedded cloud at an address. No AWS setting of the user is read: no variable, no profile, no file."""
        isolated = botocore.session.Session(
            session_vars={
                name: (None, None, NO_FILES.get(name, default), convert)
                for name, (_, _, default, convert) in botocore.session.Session.SESSION_VARIABLES.items()
            }
        )
        isolated.get_component("config_store").set_config_variable("s3", {"addressing_style": "path"})
        session = boto3.Session(
            aws_access_key_id=EMBEDDED_KEY,
            aws_secret_access_key=EMBEDDED_KEY,
            region_name=EMBEDDED_REGION,
            botocore_session=isolated,
        )
        return cls(session, url)

    @_readable_settings()
    def s3(self, *, signed: bool = True) -> "S3Client":
        # botocore signs addresses by version 2 where it may, which S3 refuses of objects that KMS encrypts.
        return self.session.client("s3", **self._options(signature_version="s3v4" if signed else UNSIGNED))

    @_readable_settings()
    def sqs(self) -> "SQSClient":
        return self.session.client("sqs", **self._options())

    @_readable_settings()
    def sns(self) -> "SNSClient":
        return self.session.client("sns", **self._options())

    @_readable_settings()
    def cloudformation(self) -> "CloudFormationClient":
        return self.session.client("cloudformation", **self._options())

    @_readable_settings()
    def functions(self) -> "LambdaClient":
        return self.session.client("lambda", **self._options(read_timeout=120))

    @_readable_settings()
    def sagemaker_runtime(self) -> "SageMakerRuntimeClient":
        return self.session.client("sagemaker-runtime", **self._options())

    @_readable_settings()
    def logs(self) -> Any:
        return self.session.client("logs", **self._options())

    @_readable_settings()
    def cloudwatch(self) -> Any:
        return self.session.client("cloudwatch", **self._options())

    @_readable_settings()
    def sts(self) -> Any:
        return self.session.client("sts", **self._options())

    @_readable_settings()
    def sagemaker(self) -> Any:
        return self.session.client("sagemaker", **self._options())

    @_readable_settings()
    def quotas(self) -> Any:
        return self.session.client("service-quotas", **self._options())

    @_readable_settings()
    def autoscaling(self) -> Any:
        return self.session.client("application-autoscaling", **self._options())

    @_readable_settings()
    def user_pools(self) -> Any:
        return self.session.client("cognito-idp", **self._options())

    @_readable_settings()
    def table(self, name: str) -> "Table":
        return self.session.resource("dynamodb", **self._options()).Table(name)

    def _options(self, **settings: Any) -> dict[str, Any]:
        local: dict[str, Any] = {"proxies": {}} if self.endpoint_url else {}
        config = Config(
            max_pool_connections=CONNECTIONS,
            retries={"mode": "standard", "total_max_attempts": 5},
            **{**local, **settings},
        )
        return {"endpoint_url": self.endpoint_url, "config": config}
