"""The endpoint's log group, which SageMaker otherwise creates without an expiry."""

from botocore.exceptions import ClientError

from training.jobs.aws.account import Account
from training.jobs.settings import Deploy

RETENTION_DAYS = 30
"""The retention of the functions' logs in template.yaml."""


def name(endpoint: str) -> str:
    """The log group of an endpoint's containers."""
    return f"/aws/sagemaker/Endpoints/{endpoint}"


def set_log_retention(account: Account, settings: Deploy) -> None:
    """Create the log group unless it exists, and set its retention to RETENTION_DAYS."""
    logs, group = account.client("logs"), name(settings.endpoint)
    try:
        logs.create_log_group(logGroupName=group)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise
    logs.put_retention_policy(logGroupName=group, retentionInDays=RETENTION_DAYS)
