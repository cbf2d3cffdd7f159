"""Where bins come from: a folder or a bucket in the inbox layout, bin-images/<id>.jpg beside metadata/<id>.json."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from inventory.addresses import S3Address, is_s3_address
from inventory.bins import FILES, FOLDERS, PARTS, Bin, Part, is_inbox_key, is_name, locate, why_no_bin_file
from inventory.refusals import DENIED, NO_OBJECT

IMAGE_FOLDER, METADATA_FOLDER = FILES["image"].folder, FILES["metadata"].folder


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

    Raises FileNotFoundError when there is no such folder, ValueError when it is no address of a bucket.
    """
    if is_s3_address(address):
        return Bucket(address, connections)
    root = Path(address)
    if not (root / IMAGE_FOLDER).is_dir():
        raise FileNotFoundError(f"{root} holds no {IMAGE_FOLDER} folder: name a folder in the inbox layout")
    return Folder(root)


@dataclass(frozen=True)
class BinFiles:
    """A bin, and the keys under which its image and its metadata may lie in a source, the likeliest first."""

    id: str
    images: tuple[str, ...]
    metadata: tuple[str, ...]


def named_bins(ids: Iterable[str]) -> list[BinFiles]:
    """Bins by their ids, under the usual keys."""
    return [BinFiles(id, *(tuple(Bin("", id).keys(part)) for part in PARTS)) for id in ids]


def list_bins(source: Source) -> tuple[list[BinFiles], dict[str, str]]:
    """Every bin with an image or metadata, in order, and the reason for each file that is none of a bin."""
    keys: dict[str, dict[Part, list[str]]] = {}
    others: dict[str, str] = {}
    for key in (key for folder in FOLDERS for key in source.keys(folder)):
        name = key.rpartition("/")[2]
        if not is_name(key):
            others[os.fsencode(key).decode(errors="backslashreplace")] = "no bin's file: its name is not UTF-8"
        elif is_inbox_key(key):
            bin, part = locate(key)
            keys.setdefault(bin.id, {}).setdefault(part, []).append(key)
        elif not name.startswith("."):
            others[key] = f"no bin's file: {why_no_bin_file(key)}"
    found = [
        BinFiles(id, *(_likeliest_first(Bin("", id), part, keys[id].get(part, ())) for part in PARTS)) for id in keys
    ]
    return sorted(found, key=lambda files: files.id), others


def _likeliest_first(bin: Bin, part: Part, keys: Iterable[str]) -> tuple[str, ...]:
    usual = bin.keys(part)
    return tuple(sorted(keys, key=lambda key: (usual.index(key) if key in usual else len(usual), key)))


def read_first(source: Source, keys: Iterable[str]) -> bytes | None:
    """The first of the files that is there, None when none is. Raises as Source.read does."""
    return next((data for data in map(source.read, keys) if data is not None), None)


class Folder:
    """A Source on disk."""

    def __init__(self, root: Path) -> None:
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
        place = S3Address.parse(address).folder
        self._bucket, self._prefix = place.bucket, place.key
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
            place = S3Address(self._bucket, f"{self._prefix}{folder}/")
            raise ConnectionError(f"{place} cannot be listed ({error}): {cure}") from error

    def read(self, key: str) -> bytes | None:
        name = S3Address(self._bucket, f"{self._prefix}{key}")
        try:
            return bytes(self._s3.get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read())
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in NO_OBJECT:
                return None
            if code in DENIED:
                raise PermissionError(f"{name} is missing or may not be read ({code})") from error
            raise ConnectionError(f"{name} cannot be read ({error})") from error
        except BotoCoreError as error:
            raise ConnectionError(f"{name} cannot be read ({error})") from error
