"""Reads and writes whole objects in S3."""

from inventory.addresses import S3Address
from training.jobs.aws.account import Account
from training.jobs.errors import JobError


def get(account: Account, uri: str) -> bytes:
    """The object at an s3:// URI. Raises JobError in a dry run, which reads nothing."""
    place = S3Address.parse(uri)
    answer = account.client("s3").get_object(Bucket=place.bucket, Key=place.key)
    if "Body" not in answer:
        raise JobError(f"{uri} cannot be read in a dry run: name a file here")
    return bytes(answer["Body"].read())


def put(account: Account, data: bytes, *parts: str) -> str:
    """Put an object into the account's bucket, which is created if it does not exist; returns its s3:// URI."""
    account.session.default_bucket()
    place = S3Address.parse(account.uri(*parts))
    account.client("s3").put_object(Bucket=place.bucket, Key=place.key, Body=data)
    return str(place)
