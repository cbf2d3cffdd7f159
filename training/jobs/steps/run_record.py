"""What a job's run is made of: the commit of the code, the digest of the data, the recipe, and where it is tracked."""

import hashlib

from botocore.exceptions import ClientError

from inventory.addresses import S3Address
from training.jobs.aws.account import PROJECT_TAG, Account
from training.jobs.settings import Train
from training.loop.commit import git_commit

DIGEST_LENGTH = 12


def data_digest(account: Account, uri: str) -> str:
    """Twelve hex digits that change with any object below an s3:// URI; "" when there is none or listing is denied.

    The digest is of keys and ETags, so no object is read.
    """
    if not uri:
        return ""
    place = S3Address.parse(uri).folder
    pages = account.client("s3").get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=place.key)
    try:
        found = [one for page in pages for one in page.get("Contents", [])]
    except ClientError:
        return ""
    lines = (f"{one['Key'].removeprefix(place.key)} {one['ETag']}\n" for one in found)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:DIGEST_LENGTH] if found else ""


def environment(account: Account, *, packages: str, data: str = "", tracked: bool = False) -> dict[str, str]:
    """Variables of a job's containers, which its run records.

    `packages` is the container's folder of aws.packages, which pip then takes in place of an index.
    """
    aws = account.settings
    variables = {"GIT_COMMIT": git_commit(), "DATA_DIGEST": data}
    if tracked and aws.mlflow:
        variables |= {"MLFLOW_TRACKING_URI": aws.mlflow, "MLFLOW_EXPERIMENT_NAME": aws.mlflow_experiment}
    if aws.packages:
        variables |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": packages}
    return {name: value for name, value in variables.items() if value}


def tags(settings: Train | None = None, data: str = "") -> dict[str, str]:
    """Tags by which jobs are found in the console and in bills."""
    found = PROJECT_TAG | {
        "git-commit": git_commit(),
        "data-digest": data,
        "recipe": settings.recipe if settings else "",
    }
    return {key: value for key, value in found.items() if value}
