"""The endpoint's log group, which SageMaker would make itself and keep for ever."""

from botocore.exceptions import ClientError

from .account import Account
from .settings import Deploy

KEPT_DAYS = 30
"""As the functions' logs are, by template.yaml."""


def keep_for_a_while(account: Account, settings: Deploy) -> None:
    """Make the log group unless it is there, and have its lines deleted after KEPT_DAYS."""
    logs, group = account.client("logs"), f"/aws/sagemaker/Endpoints/{settings.endpoint}"
    try:
        logs.create_log_group(logGroupName=group)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise
    logs.put_retention_policy(logGroupName=group, retentionInDays=KEPT_DAYS)
