"""Where bins come from: a folder or a bucket in the inbox layout, bin-images/<id>.jpg beside metadata/<id>.json."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Protocol

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from .bins import IMAGE_FOLDER, METADATA_FOLDER, SUFFIXES

MISSING = ("NoSuchKey", "404")
REFUSED = ("AccessDenied", "403")


class Source(Protocol):
    """Files by key, "bin-images/00523.jpg"."""

    def keys(self, folder: str) -> Iterator[str]:
        """The keys in a folder, in any order. Raises OSError when they cannot be listed."""

    def read(self, key: str) -> bytes | None:
        """The file's bytes, None when it is missing.

        Raises ConnectionError when the source cannot be reached, another OSError when this file cannot be read.
        """


def open_source(address: str, connections: int) -> Source:
    """The folder, or the bucket if it is s3://bucket[/prefix], that is read over up to `connections` at once.

    Raises FileNotFoundError when there is no such folder.
    """
    return Bucket(address, connections) if address.startswith("s3://") else Folder(Path(address))


def ids_in(source: Source) -> list[str]:
    """Every id with an image or metadata, in order."""
    images = (key for key in source.keys(IMAGE_FOLDER) if key.endswith(SUFFIXES))
    records = (key for key in source.keys(METADATA_FOLDER) if key.endswith(".json"))
    return sorted({PurePosixPath(key).stem for keys in (images, records) for key in keys})


def read_image(source: Source, bin_id: str) -> bytes | None:
    """A bin's image file, None when it has none. Raises as Source.read does."""
    found = (source.read(f"{IMAGE_FOLDER}/{bin_id}{suffix}") for suffix in SUFFIXES)
    return next((data for data in found if data is not None), None)


def read_metadata(source: Source, bin_id: str) -> bytes | None:
    """A bin's metadata file, None when it has none. Raises as Source.read does."""
    return source.read(f"{METADATA_FOLDER}/{bin_id}.json")


class Folder:
    """A Source on disk."""

    def __init__(self, root: Path) -> None:
        if not (root / IMAGE_FOLDER).is_dir():
            raise FileNotFoundError(f"{root} holds no {IMAGE_FOLDER} folder: name a folder in the inbox layout")
        self._root = root

    def keys(self, folder: str) -> Iterator[str]:
        below = self._root / folder
        return (f"{folder}/{path.name}" for path in below.iterdir()) if below.is_dir() else iter(())

    def read(self, key: str) -> bytes | None:
        try:
            return (self._root / key).read_bytes()
        except FileNotFoundError:
            return None


class Bucket:
    """A Source in S3, read anonymously when no credentials are found."""

    def __init__(self, address: str, connections: int) -> None:
        self._bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        session = boto3.Session()
        signing = {} if session.get_credentials() else {"signature_version": UNSIGNED}
        config = Config(max_pool_connections=connections, retries={"mode": "standard", "max_attempts": 5}, **signing)
        self._s3 = session.client("s3", config=config)

    def keys(self, folder: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}{folder}/", Delimiter="/"
        )
        try:
            for page in pages:
                for entry in page.get("Contents", ()):
                    yield entry["Key"].removeprefix(self._prefix)
        except (BotoCoreError, ClientError) as error:
            cure = "check the name and your rights, or name the bins with --ids, which needs no listing"
            raise ConnectionError(
                f"s3://{self._bucket}/{self._prefix}{folder}/ cannot be listed ({error}): {cure}"
            ) from error

    def read(self, key: str) -> bytes | None:
        name = f"s3://{self._bucket}/{self._prefix}{key}"
        try:
            return bytes(self._s3.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read())
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in MISSING:
                return None
            if code in REFUSED:
                raise PermissionError(f"{name} is missing or may not be read ({code})") from error
            raise ConnectionError(f"{name} cannot be read ({error})") from error
        except BotoCoreError as error:
            raise ConnectionError(f"{name} cannot be read ({error})") from error
