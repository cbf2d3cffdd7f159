"""Reads and writes whole objects in S3."""

from training.jobs.aws.account import Account
from training.jobs.errors import JobError


def get(account: Account, uri: str) -> bytes:
    """The object at an s3:// URI. Raises JobError in a dry run, which reads nothing."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    answer = account.client("s3").get_object(Bucket=bucket, Key=key)
    if "Body" not in answer:
        raise JobError(f"{uri} cannot be read in a dry run: name a file here")
    return bytes(answer["Body"].read())


def put(account: Account, data: bytes, *parts: str) -> str:
    """Put an object into the account's bucket, which is created if it does not exist; returns its s3:// URI."""
    uri, bucket = account.uri(*parts), account.session.default_bucket()
    account.client("s3").put_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"), Body=data)
    return uri
