"""Reviews by people: the precision of alerts, and labels to train on."""

import errno
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import ClientError

from inventory.addresses import S3Address
from inventory.bins import FILES, is_file_name
from inventory.check import Check
from inventory.errors import RejectedUpload
from inventory.metadata import parse_metadata
from inventory.reports.audit import ReviewedCheck
from inventory.spreadsheets import write_rows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

LONGEST_EXTENSION = max((extension for files in FILES.values() for extension in files.media_types), key=len)
COLUMNS = (
    *("id", "expected_quantity", "bin", "recorded", "predicted", "suspicion", "model", "reviewed_at", "check_id"),
    *("drawn", "weight", "split"),
)
OPEN_CLASS = 10
"""Training has one class for this count and all greater ones."""
GONE = ("NoSuchKey", "NoSuchVersion", "NoSuchBucket", "404")


@dataclass(frozen=True)
class Exported:
    """The outcome of one reviewed bin: `exported`, or `skipped` for a reason."""

    bin: str
    outcome: Literal["exported", "skipped"]
    reason: str = ""


def export(
    checks: Iterable[Check],
    s3: "S3Client",
    folder: Path,
    sample: Mapping[str, ReviewedCheck],
    weights: Mapping[str, float],
) -> Iterator[Exported]:
    """Write the reviewed images as bins of the inbox layout. Their records hold the counts that were found.

    A bin has its last review. Its id is its name with `~` for a slash. The record's items are included only if the
    record was right, because the sizes of a wrong record would mislead. `index.csv` (COLUMNS) is written at the end.
    `sample` and `weights` are by check id. The column `drawn` is "audit" for audited ones of the sample, which are
    random, "alert" for the others, which are suspicious, and "other" for a check outside the sample: one of the audit
    without an agreed count yet, or a match that somebody looked at. Such a label has the weight 0.
    """
    newest = {check.bin: check for check in sorted(checks, key=lambda check: check.reviewed_at or "")}
    rows: list[dict[str, Any]] = []
    for bin, check in sorted(newest.items()):
        name = bin.replace("/", "~")
        try:
            if check.stray:
                raise _Missing("its key is outside the inbox layout")
            if not is_file_name(f"{name}.{LONGEST_EXTENSION}"):
                raise _Missing("no file can have its name")
            if any(row["id"] == name for row in rows):
                raise _Missing(f"another bin has the name {name} too")
            image, record = _files(s3, check)
        except _Missing as missing:
            yield Exported(bin, "skipped", str(missing))
            continue
        extension = (check.image or "").rsplit(".", 1)[-1].lower()
        try:
            _write(folder / "bin-images" / f"{name}.{extension}", image)
            _write(folder / "metadata" / f"{name}.json", json.dumps(record).encode())
        except (OSError, ValueError) as error:  # a name that is too long here, or has a zero byte
            if isinstance(error, OSError) and error.errno not in (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ):
                raise
            yield Exported(bin, "skipped", f"no file can have its name here: {error}")
            continue
        member = sample.get(check.check_id)
        drawn = "other" if member is None else "audit" if member.audited else "alert"
        weight = f"{weights.get(check.check_id, 0.0):.6g}"
        details = (check.expected, check.predicted, check.suspicion, check.model, check.reviewed_at, check.check_id)
        rows.append(dict(zip(COLUMNS, (name, check.actual, bin, *details, drawn, weight, ""), strict=True)))
        yield Exported(bin, "exported")
    splits = split_of([(row["expected_quantity"], row["drawn"] == "audit") for row in rows])
    rows = [row | {"split": split} for row, split in zip(rows, splits, strict=True)]
    if rows:
        with (folder / "index.csv").open("w", newline="", encoding="utf-8") as file:
            write_rows(file, COLUMNS, rows)


def split_of(labels: Sequence[tuple[int, bool]]) -> list[str]:
    """The split of each label, given its count and whether it is of the audit.

    The audit is "val", because a random sample judges; all others are "train". So is a label of the audit whose count
    no other one has, since training refuses counts in val that train lacks.
    """
    taught = {min(count, OPEN_CLASS) for count, audited in labels if not audited}
    return ["val" if audited and min(count, OPEN_CLASS) in taught else "train" for count, audited in labels]


class _Missing(Exception):
    """A reviewed file no longer exists. The message says which, and why."""


def _files(s3: "S3Client", check: Check) -> tuple[bytes, Mapping[str, Any]]:
    """The reviewed image, and its corrected record."""
    image_version, metadata_version = check.versions
    image = _read(s3, check.image, image_version)
    record: dict[str, Any] = {}
    if check.actual == check.expected:
        try:
            record = parse_metadata(_read(s3, check.metadata, metadata_version), check.metadata or "")
        except (_Missing, RejectedUpload):
            record = {}
    return image, {**record, "EXPECTED_QUANTITY": check.actual}


def _read(s3: "S3Client", address: str | None, version: str) -> bytes:
    """The content that a check read, if it still exists: the current object or an earlier version of it."""
    if not address:
        raise _Missing("the check had no image")
    named = S3Address.parse(address)
    place: Any = {"Bucket": named.bucket, "Key": named.key}
    try:
        stored = s3.get_object(**place)
        if (stored.get("VersionId") or stored["ETag"].strip('"')) == version:
            return stored["Body"].read()
        stored["Body"].close()
        if not stored.get("VersionId"):
            raise _Missing(f"{address} was replaced since it was reviewed")
        return s3.get_object(**place, VersionId=version)["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] in GONE:
            raise _Missing(f"{address} no longer exists") from error
        raise


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
