"""What a bin is: its id, the two files that describe it, and how they are read from the inbox."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError

from inventory.errors import RejectedUpload

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

Part = Literal["image", "metadata"]

PICTURE_EXTENSIONS = ("jpg", "jpeg", "png")
IMAGE_LIMIT_BYTES = 6_291_456
"""Largest body that a real-time SageMaker endpoint accepts (6 MiB)."""

_KEY = re.compile(
    r"(?:(?P<site>.+)/)?(?:bin-images/(?P<image>[^/]+)\.(?i:jpe?g|png)|metadata/(?P<metadata>[^/]+)\.(?i:json))",
    re.DOTALL,
)


@dataclass(frozen=True)
class Bin:
    """A bin of a site. Ids are strings: `523` is not `00523`. `site` may be empty."""

    site: str
    id: str

    @property
    def name(self) -> str:
        return f"{self.site}/{self.id}" if self.site else self.id

    def keys(self, part: Part) -> list[str]:
        """The inbox keys under which a part of this bin may lie, the likeliest first."""
        folder = f"{self.site}/" if self.site else ""
        if part == "metadata":
            return [f"{folder}metadata/{self.id}.json"]
        return [f"{folder}bin-images/{self.id}.{extension}" for extension in PICTURE_EXTENSIONS]


def locate(key: str) -> tuple[Bin, Part]:
    """The bin that an inbox key belongs to, and which part of it lies there.

    Raises:
        RejectedUpload: the key has no place in the inbox layout.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        raise RejectedUpload(
            f"key {key!r} is no place in the inbox: use [<site>/]bin-images/<id>.jpg (or .jpeg, .png) for pictures "
            "and [<site>/]metadata/<id>.json for metadata"
        )
    site = found["site"] or ""
    if found["image"] is not None:
        return Bin(site, found["image"]), "image"
    return Bin(site, found["metadata"]), "metadata"


@dataclass(frozen=True)
class StoredPart:
    """A part of a bin as the inbox holds it now; its content is read only when asked for."""

    key: str
    version: str
    size_bytes: int
    _body: "StreamingBody"

    def read(self, limit_bytes: int) -> bytes:
        """The whole content.

        Raises:
            RejectedUpload: it is empty, or larger than `limit_bytes`.
        """
        if self.size_bytes == 0:
            raise RejectedUpload(f"{self.key} is empty (0 bytes): upload it again")
        if self.size_bytes > limit_bytes:
            raise RejectedUpload(
                f"{self.key} has {self.size_bytes:,} bytes and at most {limit_bytes:,} are accepted: "
                "upload a smaller one"
            )
        return self._body.read()

    def close(self) -> None:
        self._body.close()


def open_part(s3: "S3Client", bucket: str, keys: list[str]) -> StoredPart | None:
    """The first of `keys` that the bucket holds, or None when it holds none of them."""
    for key in keys:
        try:
            stored = s3.get_object(Bucket=bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            continue
        return StoredPart(
            key=key,
            version=stored.get("VersionId") or stored["ETag"].strip('"'),
            size_bytes=stored["ContentLength"],
            _body=stored["Body"],
        )
    return None
