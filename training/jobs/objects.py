"""Objects in S3 that commands read and write as a whole."""

from .account import Account


def get(account: Account, uri: str) -> bytes:
    """The object at an s3:// URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bytes(account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read())


def put(account: Account, data: bytes, *parts: str) -> str:
    """Put an object into the account's bucket, which is made if it is missing; returns its s3:// URI."""
    uri, bucket = account.uri(*parts), account.session.default_bucket()
    account.client("s3").put_object(Bucket=bucket, Key=uri.removeprefix(f"s3://{bucket}/"), Body=data)
    return uri
