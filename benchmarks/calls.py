"""Counts the calls of AWS, and their bytes, that a pair of uploads takes: its image first, or its record first.

    python -m benchmarks.calls --json

The real workflow calls moto, and botocore's events count. Its record disagrees with its image, so it also puts an alert
into the outbox. Bytes are those of the bodies of requests and answers. A body that is never read is counted whole: the
network has carried what fits its buffers.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from moto import mock_aws
from moto.core.models import botocore_stubber

from benchmarks.pictures import options_of, pictures
from inventory.check_store import CheckStore
from inventory.workflow import CheckWorkflow
from tests.builders import BUCKET, metadata, prediction, upload
from tests.template import table_properties

IMAGE, METADATA = "BOS1/bin-images/00523.jpg", "BOS1/metadata/00523.json"
ORDERS = {"image first": (IMAGE, METADATA), "record first": (METADATA, IMAGE)}
REGION = "us-east-1"
COUNT, EXPECTED = 3, 5


@dataclass
class Counted:
    """Calls by operation, and bytes of bodies in both directions."""

    calls: Counter[str] = field(default_factory=Counter)
    sent_bytes: int = 0
    received_bytes: int = 0


class Meter:
    """Counts what clients ask of moto."""

    def __init__(self, *clients: Any) -> None:
        self._counted = Counted()
        for client in clients:
            client.meta.events.unregister("before-send", botocore_stubber)
            client.meta.events.register("before-send", self._answer)

    def take(self) -> Counted:
        """What was asked since the last call."""
        counted, self._counted = self._counted, Counted()
        return counted

    def _answer(self, event_name: str, request: Any, **rest: Any) -> Any:
        response = botocore_stubber(event_name, request, **rest)
        self._counted.calls[event_name.removeprefix("before-send.")] += 1
        self._counted.sent_bytes += len(request.body or b"")
        if request.method != "HEAD":
            self._counted.received_bytes += int(response.headers.get("Content-Length") or len(response.content))
        return response


def process(order: Sequence[str], image: bytes) -> list[Counted]:
    """What each upload of a pair takes."""
    contents = {IMAGE: image, METADATA: metadata(EXPECTED)}
    with mock_aws():
        warehouse = boto3.client("s3", region_name=REGION)
        warehouse.create_bucket(Bucket=BUCKET)
        properties = {name: value for name, value in table_properties().items() if name != "StreamSpecification"}
        table = boto3.resource("dynamodb", region_name=REGION).create_table(TableName="checks", **properties)
        s3 = boto3.client("s3", region_name=REGION)
        workflow = CheckWorkflow(s3, CheckStore(table), lambda _, __: prediction(COUNT), mismatch_rate=0.02)
        meter = Meter(s3, table.meta.client)
        used = []
        for key in order:
            warehouse.put_object(Bucket=BUCKET, Key=key, Body=contents[key])
            workflow.process(upload(key, contents[key]))
            used.append(meter.take())
        return used


def main() -> None:
    """Command line: see the module's docstring."""
    parser = options_of("Count the calls of AWS for a pair of uploads.")
    options = parser.parse_args()
    image = pictures(options.images, limit=1)[0]
    counted = {order: process(keys, image) for order, keys in ORDERS.items()}
    if options.json:
        rows = {order: [vars(each) for each in looks] for order, looks in counted.items()}
        print(json.dumps({"image_bytes": len(image), "orders": rows}))
        return
    print(f"the image has {len(image):,} bytes")
    for order, looks in counted.items():
        for place, each in zip(("first", "second"), looks, strict=True):
            calls = ", ".join(f"{number} {name}" for name, number in sorted(each.calls.items()))
            print(f"{order}, {place} look: {calls}; {each.sent_bytes:,} B sent, {each.received_bytes:,} B received")


if __name__ == "__main__":
    main()
