"""Uploads bins to an inbox from folders, files or another bucket, in parallel. A second run skips uploaded files."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from inventory.addresses import InvalidAddress, S3Address, is_s3_address
from inventory.bins import (
    FOLDERS,
    KEY_LIMIT_BYTES,
    LAYOUT,
    Bin,
    is_inbox_key,
    is_name,
    locate,
    media_type,
    why_no_bin_file,
)
from inventory.inbox import keys_of
from inventory.refusals import DENIED, EXPIRED, NO_OBJECT, UNKNOWN_CREDENTIALS
from local.errors import CommandFailed
from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

WORKERS = 16
WINDOW = 4 * WORKERS
"""The maximum number of files in memory: uploading or waiting."""
NAMED = 5
"""So many files that are none of bins are named where there are no others."""
RESOURCE_FORK = "._"
"""How the files begin that macOS puts beside others on foreign disks and into archives."""

Outcome = Literal["uploaded", "there already", "failed", "skipped"]


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
    """The outcome of the upload of one file. `reason` says why it failed, or why it was skipped: it is no bin's file.
    `bin` is None for a file whose key is outside the inbox layout, or no key at all."""

    key: str
    bin: Bin | None
    outcome: Outcome
    size_bytes: int = 0
    reason: str = ""


File = Source | Dropped
"""A file that was found: one to upload, or one that cannot be uploaded."""


def find(paths: Iterable[str], aws: Callable[[], Cloud], site: str = "", limit: int | None = None) -> Iterator[File]:
    """The files in the inbox layout from folders, files and `s3://bucket[/prefix]` addresses, bin by bin.

    `aws` is called for addresses only. `site` is prepended to every key. `limit` is a number of bins. Folders and
    prefixes are searched at any depth. The image of a bin comes first. Metadata without an image comes last; from a
    bucket with a limit it is skipped. Other files in the folders of bins are named as skipped, and files whose name is
    no key as failed.

    Raises:
        NothingToDrop: there are no such files; raised during the iteration.
    """
    paths = list(paths)
    prefix = f"{site.strip('/')}/" if site.strip("/") else ""
    bins: set[Bin] = set()
    count = 0
    others: list[Dropped] = []
    for file in chain.from_iterable(_found(path, aws, images_first=limit is not None) for path in paths):
        named = _with_prefix(prefix, file)
        if isinstance(named, Dropped):
            if len(others) < NAMED:
                others.append(named)
            yield named
            continue
        if limit is not None and named.bin not in bins:
            if len(bins) == limit:
                break
            bins.add(named.bin)
        count += 1
        yield named
    if not count:
        refused = "".join(f"; {other.key} {other.reason}" for other in others)
        raise NothingToDrop(
            f"{', '.join(map(printable, paths))}: no images or metadata found{refused}. The layout is {LAYOUT}"
        )


def drop(files: Iterable[File], stack: Stack, workers: int = WORKERS) -> Iterator[Dropped]:
    """Upload the files that the inbox does not hold with the same content. Yield the results in the files' order."""
    inbox = stack.cloud.s3()
    bucket = stack.inbox_bucket
    filled = bool(inbox.list_objects_v2(Bucket=bucket, MaxKeys=1).get("Contents"))

    def upload(file: File) -> Dropped:
        if isinstance(file, Dropped):
            return file
        try:
            content = file.read()
            if filled and _is_unchanged(inbox, bucket, file.key, content):
                return Dropped(file.key, file.bin, "there already", len(content))
            inbox.put_object(Bucket=bucket, Key=file.key, Body=content, ContentType=media_type(file.key))
        except (OSError, BotoCoreError, ClientError) as error:
            return Dropped(file.key, file.bin, "failed", reason=str(error))
        return Dropped(file.key, file.bin, "uploaded", len(content))

    return _in_parallel(upload, files, workers)


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
    if limit is not None or any(map(is_s3_address, paths)):
        return None
    return sum(1 for path in paths for _ in _in_folder(Path(path)))


def printable(name: str) -> str:
    """A name or path whose bytes that are not UTF-8 are shown as `\\xff`."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _in_parallel(work: Callable[[File], Dropped], files: Iterable[File], workers: int) -> Iterator[Dropped]:
    pool = ThreadPoolExecutor(workers, thread_name_prefix="drop")
    waiting: deque[Future[Dropped]] = deque()
    try:
        for file in files:
            waiting.append(pool.submit(work, file))
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
        if error.response["Error"]["Code"] in NO_OBJECT:
            return False
        raise
    etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return head["ContentLength"] == len(content) and head["ETag"].strip('"') == etag


def _found(path: str, aws: Callable[[], Cloud], *, images_first: bool) -> Iterator[File]:
    return _in_bucket(path, aws, images_first=images_first) if is_s3_address(path) else _in_folder(Path(path))


def _with_prefix(prefix: str, file: File) -> File:
    """The file under its key in the inbox. It is a failed one if S3 takes no such key."""
    key = f"{prefix}{file.key}"
    if isinstance(file, Dropped):
        return replace(file, key=key)
    if is_name(key):
        return Source(key, file.read)
    size_bytes = len(os.fsencode(key))
    long = size_bytes > KEY_LIMIT_BYTES
    reason = f"has a key of {size_bytes:,} bytes, and S3 takes {KEY_LIMIT_BYTES:,}" if long else "is no name in UTF-8"
    return Dropped(printable(key), None, "failed", reason=f"{reason}: rename it")


def _in_folder(path: Path) -> Iterator[File]:
    """The bins' files at or below a path, under the keys that their place gives them."""
    path = path.expanduser()
    if path.is_file():
        yield _file(path, f"{path.absolute().parent.name}/{path.name}")
    elif not path.is_dir():
        raise NothingToDrop(f"{printable(str(path))} does not exist")
    elif path.absolute().name in FOLDERS:
        yield from _files(path, f"{path.absolute().name}/")
    else:
        for prefix, site in _sites(path):
            try:
                yield from _bins(site, prefix)
            except OSError as error:
                yield Dropped(printable(str(site)), None, "failed", reason=f"cannot be listed: {error.strerror}")


def _sites(root: Path) -> Iterator[tuple[str, Path]]:
    """The folders that hold bins, this one and those below it, each with the prefix of its keys.

    Every folder is searched once: links come last, and lead nowhere if they lead to a folder that holds them.
    """
    searched: set[Path] = set()
    folders, links = [("", root)], list[tuple[str, Path]]()
    while folders or links:
        prefix, folder = folders.pop() if folders else links.pop(0)
        place = folder.resolve()
        if place in searched:
            continue
        searched.add(place)
        try:
            inner = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and not entry.name.startswith(".")]
        except OSError:
            yield prefix, folder
            continue
        if any(entry.name in FOLDERS for entry in inner):
            yield prefix, folder
        below = [(f"{prefix}{entry.name}/", entry) for entry in inner if entry.name not in FOLDERS]
        folders += [each for each in reversed(below) if not each[1].is_symlink()]
        holding = {place, *place.parents, *root.resolve().parents}
        links += [each for each in below if each[1].is_symlink() and each[1].resolve() not in holding]


def _bins(site: Path, prefix: str) -> Iterator[File]:
    """The images of every bin followed by its metadata, then metadata without an image, then what is no bin's file."""
    found = [file for folder in FOLDERS for file in _files(site / folder, f"{prefix}{folder}/")]
    bins: dict[Bin, list[Source]] = {}
    for file in found:
        if isinstance(file, Source):
            bins.setdefault(file.bin, []).append(file)
    yield from chain.from_iterable(bins.values())
    yield from (file for file in found if isinstance(file, Dropped))


def _files(folder: Path, prefix: str) -> Iterator[File]:
    """The files in a folder of one part."""
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        hidden = path.name.startswith(".")
        if not hidden or (is_inbox_key(prefix + path.name) and not path.name.startswith(RESOURCE_FORK)):
            yield _file(path, prefix + path.name)


def _file(path: Path, key: str) -> File:
    """A file to upload, or a skipped one if it is no bin's file."""
    if not path.is_file():
        reason = "is a folder: put its files beside it" if path.is_dir() else "is no file"
    elif path.name.startswith("."):
        reason = "is hidden: rename it"
    elif is_inbox_key(key):
        return Source(key, path.read_bytes)
    else:
        reason = why_no_bin_file(key)
    return Dropped(printable(key), None, "skipped", reason=reason)


def _in_bucket(address: str, aws: Callable[[], Cloud], *, images_first: bool) -> Iterator[File]:
    """The inbox keys below a prefix of a bucket: each image with its metadata, or in the order of the listing."""
    try:
        place = S3Address.parse(address).folder
    except InvalidAddress as error:
        raise NothingToDrop(str(error)) from error
    bucket, prefix = place.bucket, place.key
    s3 = _listing_client(aws(), bucket, prefix)

    def listed(below: str) -> Iterator[File]:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + below)
        for page in pages:
            for entry in page.get("Contents", []):
                key = entry["Key"].removeprefix(prefix)
                if is_inbox_key(key):
                    yield source(key)
                elif not key.endswith("/") and set(key.split("/")[:-1]) & FOLDERS.keys():
                    yield Dropped(key, None, "skipped", reason=why_no_bin_file(key))

    def source(key: str) -> Source:
        return Source(key, lambda: s3.get_object(Bucket=bucket, Key=prefix + key)["Body"].read())

    if not images_first:
        yield from listed("")
        return
    flat = bool(s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}bin-images/", MaxKeys=1).get("Contents"))
    bins: set[Bin] = set()
    for file in listed("bin-images/" if flat else ""):
        if isinstance(file, Dropped):
            yield file
        elif locate(file.key)[1] == "image" and file.bin not in bins:
            bins.add(file.bin)
            yield from (source(key.removeprefix(prefix)) for key in keys_of(s3, bucket, locate(prefix + file.key)[0]))


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
            if error.response["Error"]["Code"] not in DENIED | EXPIRED | UNKNOWN_CREDENTIALS:
                raise NothingToDrop(f"s3://{bucket} cannot be listed: {error}") from error
            problem = str(error)
        except BotoCoreError as error:
            raise NothingToDrop(f"s3://{bucket} cannot be reached: {error}") from error
        else:
            return client
    raise NothingToDrop(f"s3://{bucket} cannot be listed, with your credentials or without: {problem}")
