"""Reads the two parts of a bin from S3."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from inventory.bins import PARTS, Bin, Part, is_inbox_key, locate
from inventory.check import KnownUpload, StoredObject
from inventory.errors import RejectedUpload
from inventory.refusals import NO_OBJECT
from inventory.uploads import version_of

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

IMAGE_LIMIT_BYTES = 6_291_456
"""Largest body that a real-time SageMaker endpoint accepts (6 MiB)."""


@dataclass(frozen=True)
class OpenObject:
    """An object as the inbox holds it now. Its content is read on demand."""

    stored: StoredObject
    modified_at: datetime
    size_bytes: int
    body: "StreamingBody"

    def read(self, limit_bytes: int) -> bytes:
        """The whole content.

        Raises:
            RejectedUpload: the object is empty, or larger than `limit_bytes`.
        """
        key = self.stored.key
        if self.size_bytes == 0:
            raise RejectedUpload(f"{key} is empty (0 bytes): upload it again")
        if self.size_bytes > limit_bytes:
            raise RejectedUpload(
                f"{key} has {self.size_bytes:,} bytes and at most {limit_bytes:,} are accepted: upload a smaller one"
            )
        return self.body.read()


def open_parts(
    s3: "S3Client", bucket: str, bin: Bin, uploads: Mapping[str, KnownUpload], opened: ExitStack
) -> tuple[OpenObject | None, OpenObject | None]:
    """The image and the metadata of a bin as the inbox holds them now; None for a missing part. `opened` closes them.
    `uploads` are the known uploads by key.

    The keys of known uploads come first, then the usual keys. If several keys hold the same part (`523.jpg`,
    `523.png`), the object with the latest modification time is the part. S3 gives that time in whole seconds. Within
    one second the sequencers decide, although S3 defines their order for one key only: there is nothing better.
    """
    return _open_part(s3, bucket, bin, "image", uploads, opened), _open_part(
        s3, bucket, bin, "metadata", uploads, opened
    )


def keys_of(s3: "S3Client", bucket: str, bin: Bin) -> list[str]:
    """The keys in the bucket that hold parts of a bin. The case of the file extension does not matter."""
    found = []
    for beginning in (beginning for part in PARTS for beginning in bin.beginnings(part)):
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=beginning):
            keys = (entry["Key"] for entry in page.get("Contents", []))
            found += [key for key in keys if is_inbox_key(key) and locate(key)[0] == bin]
    return found


def _open_part(
    s3: "S3Client", bucket: str, bin: Bin, part: Part, uploads: Mapping[str, KnownUpload], opened: ExitStack
) -> OpenObject | None:
    known_keys = [key for key in uploads if locate(key)[1] == part]
    found = list(_open(s3, bucket, known_keys, opened))
    if found:
        return max(found, key=lambda one: (one.modified_at, uploads[one.stored.key].sequencer, one.stored.key))
    usual = (key for key in bin.keys(part) if key not in known_keys)
    return next(_open(s3, bucket, usual, opened), None)


def _open(s3: "S3Client", bucket: str, keys: Iterable[str], opened: ExitStack) -> Iterator[OpenObject]:
    """The objects under those of the keys that exist in the bucket."""
    for key in keys:
        try:
            answer = s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] not in NO_OBJECT:
                raise
            continue
        opened.callback(answer["Body"].close)
        stored = StoredObject(bucket, key, version_of(answer.get("VersionId"), answer["ETag"]))
        yield OpenObject(stored, answer["LastModified"], answer["ContentLength"], answer["Body"])
