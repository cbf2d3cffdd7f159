"""Errors that end a command; each message says how to fix it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    NoRegionError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from inventory.refusals import DENIED, EXPIRED, UNKNOWN_CREDENTIALS

QUOTA_CODES = {"ResourceLimitExceeded", "ServiceQuotaExceededException", "LimitExceededException"}


class JobError(Exception):
    """A command cannot go on; the message names the setting or object and how to fix it."""


class JobFailed(JobError):
    """A job failed or was stopped."""


def explain_aws_error(error: BotoCoreError | ClientError) -> str:
    """The message that the user of a command gets for an error of AWS."""
    if isinstance(error, NoCredentialsError):
        return "AWS credentials are missing: set AWS_PROFILE, or run `aws configure`"
    if isinstance(error, TokenRetrievalError | UnauthorizedSSOTokenError):
        return "the AWS sign-in has expired: run `aws sso login`"
    if isinstance(error, NoRegionError):
        return "the AWS region is missing: set AWS_DEFAULT_REGION, or the region of your profile"
    if not isinstance(error, ClientError):
        return str(error)
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    operation = error.operation_name
    if code in QUOTA_CODES:
        quota = re.search(r"service limit '([^']+)'", message)
        name = f" '{quota[1]}'" if quota else ""
        return (
            f"{operation}: the account's quota{name} is too small: request more in the Service Quotas console, or "
            f"choose another instance type ({message})"
        )
    if code in DENIED:
        return f"{operation} is not allowed: compare your permissions with those in docs/deploy.md ({message})"
    if code in EXPIRED | UNKNOWN_CREDENTIALS:
        return f"AWS does not accept the credentials: sign in again ({message})"
    if "assume" in message.lower() and "role" in message.lower():
        return f"{operation}: SageMaker cannot assume the role: check aws.role and its trust policy ({message})"
    return f"{operation}: {code}: {message}"


@contextmanager
def cleanup_hints() -> Iterator[list[str]]:
    """A list for shell commands that delete what the block creates; the error message of a failure lists them.

    Raises JobFailed in place of an error of AWS or a JobError if the list is not empty.
    """
    hints: list[str] = []
    try:
        yield hints
    except (BotoCoreError, ClientError, JobError) as error:
        if not hints:
            raise
        reason = str(error) if isinstance(error, JobError) else explain_aws_error(error)
        raise JobFailed(
            "\n".join((reason, "Resources that were created still exist. To delete them:", *hints))
        ) from error
