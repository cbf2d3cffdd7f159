"""Builders of what tests talk about: uploads, events, metadata, predictions."""

import hashlib
import itertools
import json
from dataclasses import replace
from typing import Any
from urllib.parse import quote_plus

from boto3.dynamodb.types import TypeSerializer

from inventory.bins import Bin
from inventory.prediction import Prediction, estimated
from inventory.uploads import SEQUENCER_DIGITS, Upload
from tests.functions.legacy import checked, pairing, waiting

BUCKET = "inbox"
LABELS = ("0", "1", "2", "3", "4", "5", "6+")
PRIOR = (0.014, 0.172, 0.142, 0.133, 0.142, 0.156, 0.241)
JPEG = b"\xff\xd8\xff\xe0 an image of "

_sequence = itertools.count(1)


def metadata(expected: Any) -> bytes:
    """A metadata file in the dataset's form, with one kind of item."""
    item = {"asin": "B000TEST01", "name": "Test item", "quantity": expected}
    return json.dumps({"BIN_FCSKU_DATA": {"B000TEST01": item}, "EXPECTED_QUANTITY": expected}).encode()


def metadata_of(expected: int, *items: Any) -> bytes:
    """A metadata file with these items."""
    return json.dumps({"BIN_FCSKU_DATA": dict(enumerate(items)), "EXPECTED_QUANTITY": expected}).encode()


def item(quantity: Any, *sides: Any, unit: str = "IN") -> dict[str, Any]:
    """An item of these three sides."""
    names = ("length", "width", "height")
    return {"quantity": quantity} | {n: {"unit": unit, "value": v} for n, v in zip(names, sides, strict=True)}


def image_of(count: int) -> bytes:
    """Bytes that start like a JPEG and that `seen` counts as `count`."""
    return JPEG + str(count).encode()


def seen(image: bytes, inference_id: str = "") -> Prediction:
    """The prediction of a model that reads images made by `image` almost without doubt."""
    return prediction(int(image.removeprefix(JPEG)))


def prediction(count: int, certainty: float = 0.94) -> Prediction:
    """A prediction of `count` that leaves the other labels equal shares of the doubt."""
    doubt = (1 - certainty) / (len(LABELS) - 1)
    shares = tuple(certainty if label == count else doubt for label in range(len(LABELS)))
    return replace(distribution(*shares), count=count)


def distribution(*shares: float) -> Prediction:
    """A prediction with exactly these probabilities."""
    return estimated(Prediction(0, LABELS, shares, PRIOR, "test@0"))


def upload(key: str, content: bytes, sequencer: int | None = None) -> Upload:
    """The upload of some content; later calls make later uploads unless a sequencer is given."""
    number = next(_sequence) if sequencer is None else sequencer
    return Upload(BUCKET, key, hashlib.md5(content).hexdigest(), f"{number:018X}".ljust(SEQUENCER_DIGITS, "0"))


def left_by_version_0_1(name: str, bucket: str, waiting_since: str = "2026-03-01T12:00:00.000+00:00") -> list[Any]:
    """The items of a bin as version 0.1 kept them: two checks that both stand open, and metadata that waits."""
    key, *_ = Bin.named(name).keys("metadata")
    known = pairing(name, told="p/r2", metadata=key)
    return [
        checked(name, "p/r1", "rejected", "2026-01-01T12:00:00.000+00:00"),
        checked(name, "p/r2", "mismatch", "2026-01-02T12:00:00.000+00:00", alerted_at="2026-01-02T12:00:01.000+00:00"),
        waiting(known, "-/v", waiting_since, metadata=f"s3://{bucket}/{key}"),
    ]


def notification(*uploads: Upload, name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """The S3 event that reports uploads, or what else has this name."""
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": name,
                "s3": {
                    "bucket": {"name": upload.bucket},
                    "object": {
                        "key": quote_plus(upload.key, safe="/"),
                        "size": 1,
                        "eTag": upload.version,
                        "sequencer": upload.sequencer[:18],
                    },
                },
            }
            for upload in uploads
        ]
    }


def eventbridge_event(upload: Upload, name: str = "Object Created", **detail: Any) -> dict[str, Any]:
    """The event of EventBridge that reports an upload, or what else has this detail-type."""
    stored = {"key": upload.key, "size": 1, "etag": upload.version, "sequencer": upload.sequencer[:18]}
    return {
        "version": "0",
        "detail-type": name,
        "source": "aws.s3",
        "resources": [f"arn:aws:s3:::{upload.bucket}"],
        "detail": {"version": "0", "bucket": {"name": upload.bucket}, "object": stored, **detail},
    }


def sns_message(message: Any, type: str = "Notification") -> dict[str, Any]:
    """What SNS puts in a queue of a message, unless the subscription asks for raw delivery."""
    topic = "arn:aws:sns:us-east-1:000000000000:uploads"
    return {"Type": type, "MessageId": "1", "TopicArn": topic, "Message": json.dumps(message)}


def stream_event(*items: dict[str, Any]) -> dict[str, Any]:
    """What the checks table's stream hands to its function of items that were put."""
    images = [{name: TypeSerializer().serialize(value) for name, value in item.items()} for item in items]
    return {
        "Records": [
            {
                "eventID": f"e{number}",
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "Keys": {"bin": image["bin"], "check": image["check"]},
                    "NewImage": image,
                    "StreamViewType": "NEW_IMAGE",
                },
            }
            for number, image in enumerate(images)
        ]
    }


def sqs_event(*bodies: Any) -> dict[str, Any]:
    """The batch that a queue hands to its function; message ids are m0, m1, …"""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:inbox",
                "awsRegion": "us-east-1",
            }
            for number, body in enumerate(bodies)
        ]
    }
