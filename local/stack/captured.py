"""Reads the captured answers of an endpoint from S3, so that a model can be evaluated without the application.

SageMaker writes files of JSON lines below `<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/`, in UTC.
"""

import base64
import json
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from inventory.addresses import S3Address
from inventory.reports.tallies import Answer
from local.errors import CommandFailed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class InvalidCapture(CommandFailed):
    """The captured data is not from this project's model. The message names the file."""


def captured_answers(s3: "S3Client", uri: str, day: date) -> Iterator[Answer]:
    """The answers that were captured on a day.

    `uri` is `s3://<bucket>/<prefix>/<endpoint>/<variant>`. The last two parts serve as the site.

    Raises:
        InvalidCapture: the address has another form, or a line is not a prediction.
    """
    try:
        place = S3Address.parse(uri)
        folder = place.key.strip("/")
        *_, endpoint, variant = folder.split("/")
    except ValueError as error:
        raise InvalidCapture(
            f"{uri} is not an address of captured data: name s3://<bucket>/[<prefix>/]<endpoint>/<variant>"
        ) from error
    site = f"{endpoint}/{variant}"
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=place.bucket, Prefix=f"{folder}/{day:%Y/%m/%d}/"):
        for stored in page.get("Contents", ()):
            body = s3.get_object(Bucket=place.bucket, Key=stored["Key"])["Body"]
            for line in body.iter_lines():
                try:
                    answer = _answer(site, day, line)
                except (ValueError, KeyError, TypeError) as error:
                    raise InvalidCapture(
                        f"{S3Address(place.bucket, stored['Key'])} holds a line that is not a captured prediction "
                        f"({type(error).__name__}: {error}): does the endpoint serve the model of this project, and "
                        "capture its output?"
                    ) from error
                yield answer


def _answer(site: str, day: date, line: bytes) -> Answer:
    output = json.loads(line)["captureData"]["endpointOutput"]
    encoded: str = output["data"]
    prediction: dict[str, Any] = json.loads(base64.b64decode(encoded) if output["encoding"] == "BASE64" else encoded)
    if "reason" in prediction:
        return Answer(site, day.isoformat())
    count = prediction["count"]
    return Answer(
        site=site,
        day=day.isoformat(),
        label=str(prediction["labels"][count]),
        confidence=float(prediction["probabilities"][count]),
        model=str(prediction["model"]),
    )
