"""What a bin is: its id, the two files that describe it, and how they are read from the inbox."""

import json
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
METADATA_LIMIT_BYTES = 1_048_576
EXPECTED_QUANTITY_LIMIT = 100_000

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


def expected_quantity(metadata: bytes, key: str) -> int:
    """EXPECTED_QUANTITY of a metadata file: how many objects the record says are in the bin.

    Raises:
        RejectedUpload: the file is not a JSON object, or the quantity is missing or no whole number from 0 to
            EXPECTED_QUANTITY_LIMIT.
    """
    try:
        record = json.loads(metadata.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RejectedUpload(f"{key} is not JSON ({_first_line(error)}): upload it again as a JSON object") from error
    if not isinstance(record, dict):
        raise RejectedUpload(f"{key} holds a JSON {type(record).__name__}: it must be an object with EXPECTED_QUANTITY")
    if "EXPECTED_QUANTITY" not in record:
        raise RejectedUpload(f"{key} lacks EXPECTED_QUANTITY: add it as a whole number")
    quantity = record["EXPECTED_QUANTITY"]
    if not isinstance(quantity, int) or isinstance(quantity, bool):
        raise RejectedUpload(
            f"{key}: EXPECTED_QUANTITY is {_shortened(quantity)}, not a whole number: write it as digits without quotes"
        )
    if not 0 <= quantity <= EXPECTED_QUANTITY_LIMIT:
        raise RejectedUpload(
            f"{key}: EXPECTED_QUANTITY is {_shortened(quantity)}: it must lie between 0 and "
            f"{EXPECTED_QUANTITY_LIMIT:,}; correct the record"
        )
    return quantity


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def _shortened(value: object, limit: int = 40) -> str:
    try:
        text = json.dumps(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= limit else f"{text[:limit]}…"
