"""Failures of AWS and of the file system in one line that says what to do."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    SSLError,
    SSOError,
    TokenRetrievalError,
)

from inventory.refusals import DENIED, EXPIRED, UNKNOWN_CREDENTIALS
from local.embedded.service import LOOPBACK


def explain(error: BotoCoreError | ClientError | OSError) -> str:
    """What failed, and how to cure it where that is known."""
    if isinstance(error, ClientError):
        return _explain_answer(error)
    if isinstance(error, OSError) and not isinstance(error, BotoCoreError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    cures: tuple[tuple[type[BotoCoreError] | tuple[type[BotoCoreError], ...], str], ...] = (
        (NoCredentialsError, "AWS credentials are missing: set AWS_PROFILE, or run `aws configure`"),
        (NoRegionError, "the AWS region is missing: set AWS_DEFAULT_REGION, or the region of your profile"),
        (ProfileNotFound, f"{error}: set AWS_PROFILE to one that `aws configure list-profiles` names, or unset it"),
        (
            (SSOError, TokenRetrievalError, CredentialRetrievalError),
            f"AWS credentials cannot be renewed: sign in again, e.g. with `aws sso login` ({error})",
        ),
        (SSLError, f"{error}: if a proxy stands before AWS, name its certificates with AWS_CA_BUNDLE"),
        ((EndpointConnectionError, HTTPClientError), _unreachable(error)),
    )
    return next((cure for kinds, cure in cures if isinstance(error, kinds)), str(error))


def _explain_answer(error: ClientError) -> str:
    code = error.response.get("Error", {}).get("Code", "")
    if code in EXPIRED:
        return f"the AWS credentials have expired: sign in again ({error})"
    if code in UNKNOWN_CREDENTIALS:
        return f"AWS does not accept the credentials: check AWS_PROFILE and the keys in your environment ({error})"
    if code in DENIED:
        return f"{error}: ask for the permissions that docs/deploy.md lists"
    return str(error)


def _unreachable(error: BotoCoreError) -> str:
    if LOOPBACK in str(error):
        return f"the embedded cloud does not answer: `bincheck up` starts it again ({error})"
    return f"{error}: check the region, AWS_ENDPOINT_URL and your connection"
