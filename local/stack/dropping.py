"""Uploads bins to an inbox from folders, files or another bucket, in parallel. A second run skips uploaded files."""

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from inventory.bins import IMAGE_EXTENSIONS, Bin, Part, locate
from inventory.errors import RejectedUpload
from local.errors import CommandFailed
from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 16
WINDOW = 4 * WORKERS
"""The maximum number of files in memory: uploading or waiting."""
FOLDERS: dict[str, Part] = {"bin-images": "image", "metadata": "metadata"}
CONTENT_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".json": "application/json"}
IMAGE_ENDINGS = [f".{end}" for extension in IMAGE_EXTENSIONS for end in (extension, extension.upper())]
DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "403")

Outcome = Literal["uploaded", "there already", "failed"]


class NothingToDrop(CommandFailed):
    """The source does not exist, or has no files in the inbox layout. The message describes the layout."""


@dataclass(frozen=True)
class Source:
    """One file to upload: its key in the inbox, and a function that reads it."""

    key: str
    read: Callable[[], bytes]

    @property
    def bin(self) -> Bin:
        return locate(self.key)[0]


@dataclass(frozen=True)
class Dropped:
    """The outcome of the upload of one file. `reason` says why it failed."""

    key: str
    bin: Bin
    outcome: Outcome
    size_bytes: int = 0
    reason: str = ""


def find(paths: Iterable[str], aws: Cloud, site: str = "", limit: int | None = None) -> Iterator[Source]:
    """The files in the inbox layout from folders, files and `s3://bucket[/prefix]` addresses, bin by bin.

    `site` is prepended to every key. `limit` is a number of bins. Folders and prefixes are searched at any depth. The
    image of a bin comes first. Metadata without an image comes last; from a bucket with a limit it is skipped.

    Raises:
        NothingToDrop: there are no such files; raised during the iteration.
    """
    found: Iterable[tuple[str, Callable[[], bytes]]] = chain.from_iterable(
        _in_bucket(path, aws, images_first=limit is not None) if path.startswith("s3://") else _in_folder(Path(path))
        for path in paths
    )
    prefix = f"{site.strip('/')}/" if site.strip("/") else ""
    bins: set[Bin] = set()
    count = 0
    for key, read in found:
        source = Source(prefix + key, read)
        if limit is not None and source.bin not in bins:
            if len(bins) == limit:
                break
            bins.add(source.bin)
        count += 1
        yield source
    if not count:
        raise NothingToDrop(
            f"{', '.join(paths)}: no images or metadata found. The layout is [<site>/]bin-images/<id>.jpg "
            "(or .jpeg, .png) beside [<site>/]metadata/<id>.json"
        )


def drop(sources: Iterable[Source], stack: Stack, workers: int = WORKERS) -> Iterator[Dropped]:
    """Upload the files that the inbox does not hold with the same content. Yield the results in the sources' order."""
    inbox = stack.cloud.s3()
    bucket = stack.inbox_bucket
    filled = bool(inbox.list_objects_v2(Bucket=bucket, MaxKeys=1).get("Contents"))

    def upload(source: Source) -> Dropped:
        try:
            content = source.read()
            if filled and _is_unchanged(inbox, bucket, source.key, content):
                return Dropped(source.key, source.bin, "there already", len(content))
            media = CONTENT_TYPES[Path(source.key).suffix.lower()]
            inbox.put_object(Bucket=bucket, Key=source.key, Body=content, ContentType=media)
        except (OSError, BotoCoreError, ClientError) as error:
            return Dropped(source.key, source.bin, "failed", reason=str(error))
        return Dropped(source.key, source.bin, "uploaded", len(content))

    return _in_parallel(upload, sources, workers)


def upload_again(stack: Stack, since: datetime, margin: timedelta = timedelta(seconds=2)) -> Iterator[str]:
    """Copy each object that the inbox received after a moment onto itself, and yield its key.

    So S3 sends the notification again. A repeated notification makes no second check.
    """
    inbox, bucket = stack.cloud.s3(), stack.inbox_bucket
    for page in inbox.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            if entry["LastModified"] >= since - margin:
                key = entry["Key"]
                inbox.copy_object(
                    Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": key}, MetadataDirective="REPLACE"
                )
                yield key


def count(paths: Iterable[str], limit: int | None = None) -> int | None:
    """The number of files that `find` yields, if it is cheap to count: for folders without a limit. Else None."""
    paths = list(paths)
    if limit is not None or any(path.startswith("s3://") for path in paths):
        return None
    return sum(1 for path in paths for _ in _in_folder(Path(path)))


def _in_parallel(work: Callable[[Source], Dropped], sources: Iterable[Source], workers: int) -> Iterator[Dropped]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="drop")
    waiting: deque[Future[Dropped]] = deque()
    try:
        for source in sources:
            waiting.append(pool.submit(work, source))
            if len(waiting) >= WINDOW:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _is_unchanged(inbox: "S3Client", bucket: str, key: str, content: bytes) -> bool:
    try:
        head = inbox.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey"):
            return False
        raise
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return head["ContentLength"] == len(content) and head["ETag"].strip('"') == etag


def _is_inbox_key(key: str) -> bool:
    try:
        locate(key)
    except RejectedUpload:
        return False
    return True


def _in_folder(path: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The inbox keys below a folder, each with a function that reads the file."""
    path = path.expanduser()
    if path.is_file():
        key = f"{path.absolute().parent.name}/{path.name}"
        if _is_inbox_key(key):
            yield key, path.read_bytes
        return
    if not path.is_dir():
        raise NothingToDrop(f"{path} does not exist")
    if path.absolute().name in FOLDERS:
        yield from _parts(path, f"{path.absolute().name}/")
        return
    for site in _sites(path):
        relative = site.relative_to(path).as_posix()
        prefix = "" if relative == "." else f"{relative}/"
        yield from _bins(site, prefix)


def _sites(path: Path) -> Iterator[Path]:
    """The folders that hold bins, among this one and those below it."""
    folders = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if any(folder.name in FOLDERS for folder in folders):
        yield path
    for folder in folders:
        if folder.name not in FOLDERS:
            yield from _sites(folder)


def _bins(site: Path, prefix: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Every image followed by its metadata, then the metadata files without an image."""
    images, records = site / "bin-images", site / "metadata"
    for key, read in _parts(images, f"{prefix}bin-images/"):
        yield key, read
        record = records / f"{locate(key)[0].id}.json"
        if record.is_file():
            yield f"{prefix}metadata/{record.name}", record.read_bytes
    for key, read in _parts(records, f"{prefix}metadata/"):
        id = locate(key)[0].id
        if not any((images / f"{id}{end}").is_file() for end in IMAGE_ENDINGS):
            yield key, read


def _parts(folder: Path, prefix: str) -> Iterator[tuple[str, Callable[[], bytes]]]:
    if not folder.is_dir():
        return
    for name in sorted(file.name for file in folder.iterdir()):
        if not name.startswith(".") and _is_inbox_key(prefix + name) and (folder / name).is_file():
            yield prefix + name, (folder / name).read_bytes


def _in_bucket(address: str, aws: Cloud, *, images_first: bool) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """The inbox keys below a prefix of a bucket: each image with its metadata, or in the order of the listing."""
    parts = urlsplit(address)
    bucket, prefix = parts.netloc, parts.path.strip("/")
    prefix = f"{prefix}/" if prefix else ""
    s3 = _listing_client(aws, bucket, prefix)

    def listed(below: str) -> Iterator[str]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + below)
        for page in pages:
            for entry in page.get("Contents", []):
                key = entry["Key"].removeprefix(prefix)
                if _is_inbox_key(key):
                    yield key

    def reading(key: str) -> Callable[[], bytes]:
        return lambda: s3.get_object(Bucket=bucket, Key=prefix + key)["Body"].read()

    if not images_first:
        for key in listed(""):
            yield key, reading(key)
        return
    flat = bool(s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}bin-images/", MaxKeys=1).get("Contents"))
    for key in listed("bin-images/" if flat else ""):
        bin, part = locate(key)
        if part == "image":
            yield key, reading(key)
            partner = bin.keys("metadata")[0]
            if _exists(s3, bucket, prefix + partner):
                yield partner, reading(partner)


def _listing_client(aws: Cloud, bucket: str, prefix: str) -> "S3Client":
    """A client that may list the bucket: with the user's credentials, or without any if the bucket is public.

    Raises:
        NothingToDrop: the bucket cannot be listed either way.
    """
    problem = ""
    for signed in (True, False):
        client = aws.s3(signed=signed)
        try:
            client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except NoCredentialsError as error:
            problem = str(error)
        except ClientError as error:
            if error.response["Error"]["Code"] not in DENIED:
                raise NothingToDrop(f"s3://{bucket} cannot be listed: {error}") from error
            problem = str(error)
        except BotoCoreError as error:
            raise NothingToDrop(f"s3://{bucket} cannot be reached: {error}") from error
        else:
            return client
    raise NothingToDrop(f"s3://{bucket} cannot be listed, with your credentials or without: {problem}")


def _exists(s3: "S3Client", bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("404", "NoSuchKey", "403"):
            return False
        raise
    return True
