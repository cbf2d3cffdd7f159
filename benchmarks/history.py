"""Counts what a check takes as the 1st, the 100th and the 10,000th of its bin: requests, items, bytes, units, time.

python -m benchmarks.history --rounds 5 --json

Every check of such a bin has contents of its own, and the answers take turns (ANSWERS), so that alerts, resolved alerts
and checks that leave the open list are among them. The checks before the measured ones are made by the same code on a
table in memory, and nothing of them expires; the measured ones write to moto. Milliseconds are the workflow's own, with
botocore's: what moto takes to answer is left out. Units are those that DynamoDB asks money for.
"""

import argparse
import gc
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.core.models import botocore_stubber
from moto.dynamodb.models.table import Table as MotoTable

from inventory.check_store import CheckStore
from inventory.prediction import Prediction
from inventory.uploads import Upload
from inventory.workflow import CheckWorkflow
from tests.builders import image_of, item, metadata_of, seen, upload
from tests.simulation.cloud import Bucket, Table
from tests.template import table_properties

PLACES = (1, 100, 10_000)
INBOX = "bincheck-inbox-111122223333-us-east-1"
COUNT = 3
ANSWERS = {"mismatch": 5, "another mismatch": 1, "the same mismatch": 1, "match": COUNT}
"""What the record says while the image shows COUNT objects, in turn."""
COUNTS = (
    "dynamodb_requests",
    "items_read",
    "bytes_read",
    "read_units",
    "items_written",
    "bytes_written",
    "write_units",
)
"""What is told of the `Usage` of a check."""
REGION = "us-east-1"
READ_UNIT_BYTES, WRITE_UNIT_BYTES = 4096, 1024

Item = Mapping[str, Any]


@dataclass
class Usage:
    """What was asked of AWS: requests by operation; of DynamoDB, the items that were read and written, the bytes of
    these whole items, and the units that they cost, `index_units` for indexes. `answering_s` is moto's time."""

    requests: Counter[str] = field(default_factory=Counter)
    items_read: int = 0
    bytes_read: int = 0
    read_units: float = 0
    items_written: int = 0
    bytes_written: int = 0
    plain_units: int = 0
    transacted_units: int = 0
    index_units: int = 0
    answering_s: float = 0.0

    @property
    def dynamodb_requests(self) -> int:
        return sum(count for operation, count in self.requests.items() if operation.startswith("dynamodb."))

    @property
    def write_units(self) -> int:
        return self.plain_units + self.transacted_units + self.index_units


class Meter:
    """Counts what clients ask of moto."""

    def __init__(self, *clients: Any) -> None:
        self.used = Usage()
        self._plain = boto3.client("dynamodb", region_name=REGION)
        self._tables: dict[str, Any] = {}
        for client in clients:
            self.watch(client)

    def watch(self, client: Any) -> None:
        client.meta.events.unregister("before-send", botocore_stubber)
        client.meta.events.register("before-send", self._answer)

    def take(self) -> Usage:
        """What was used since the last call."""
        used, self.used = self.used, Usage()
        return used

    def _answer(self, event_name: str, request: Any, **rest: Any) -> Any:
        """Have moto answer."""
        started = time.thread_time()
        _, service, operation = event_name.split(".")
        self.used.requests[f"{service}.{operation}"] += 1
        asked = json.loads(request.body) if service == "dynamodb" else {}
        writes = list(_writes(operation, asked))
        before = [self._image(table, key) for table, key in self._keys(writes)]
        response = botocore_stubber(event_name, request, **rest)
        if operation in ("GetItem", "Query"):
            self._note_read(asked, json.loads(response.content))
        after = [self._image(table, key) for table, key in self._keys(writes)]
        for (table, _), old, new in zip(writes, before, after, strict=True):
            self._note_write(table, old, new, transacted=operation == "TransactWriteItems")
        self.used.answering_s += time.thread_time() - started
        return response

    def _note_read(self, asked: Item, answer: Item) -> None:
        items = answer.get("Items", [answer["Item"]] if "Item" in answer else [])
        read = sum(map(item_bytes, items))
        self.used.items_read += len(items)
        self.used.bytes_read += read
        self.used.read_units += max(1, math.ceil(read / READ_UNIT_BYTES)) / (1 if asked.get("ConsistentRead") else 2)

    def _note_write(self, table: str, old: Item, new: Item, *, transacted: bool) -> None:
        units = max(1, _write_units(old), _write_units(new))
        if transacted:
            self.used.transacted_units += 2 * units
        else:
            self.used.plain_units += units
        self.used.items_written += 1
        self.used.bytes_written += item_bytes(new)
        described = self._table(table)
        for index in described.get("GlobalSecondaryIndexes", []):
            self.used.index_units += _index_units(*(projected(described, index, item) for item in (old, new)))

    def _table(self, name: str) -> Any:
        if name not in self._tables:
            self._tables[name] = self._plain.describe_table(TableName=name)["Table"]
        return self._tables[name]

    def _keys(self, writes: Sequence[tuple[str, Item]]) -> Iterator[tuple[str, Item]]:
        for table, write in writes:
            yield table, {key["AttributeName"]: write[key["AttributeName"]] for key in self._table(table)["KeySchema"]}

    def _image(self, table: str, key: Item) -> Item:
        return self._plain.get_item(TableName=table, Key=key).get("Item", {})


def projected(table: Item, index: Item, item: Item) -> tuple[Item, Item]:
    """An item's key in an index, and all that the index holds of it; nothing where it is not in there."""
    names = [key["AttributeName"] for key in index["KeySchema"]]
    if not all(name in item for name in names):
        return {}, {}
    key = {name: item[name] for name in names}
    if index["Projection"]["ProjectionType"] == "ALL":
        return key, item
    held = {*names, *(each["AttributeName"] for each in table["KeySchema"]), *index["Projection"]["NonKeyAttributes"]}
    return key, {name: value for name, value in item.items() if name in held}


def item_bytes(item: Item) -> int:
    """How large DynamoDB takes an item to be."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items())


def _value_bytes(typed: Item) -> int:
    ((kind, value),) = typed.items()
    if kind == "S":
        return len(value.encode())
    if kind == "N":
        return math.ceil(len(value.lstrip("-").replace(".", "").strip("0")) / 2) + 1
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _value_bytes(part) for name, part in value.items())
    if kind == "L":
        return 3 + sum(1 + _value_bytes(part) for part in value)
    if kind in ("BOOL", "NULL"):
        return 1
    raise ValueError(f"the size of type {kind} is not known")


def _writes(operation: str, asked: Item) -> Iterator[tuple[str, Item]]:
    """Table and key, or whole item, of each write of a request."""
    if operation in ("PutItem", "UpdateItem", "DeleteItem"):
        yield asked["TableName"], asked.get("Item") or asked["Key"]
    for write in asked.get("TransactItems", []):
        for request in write.values():
            yield request["TableName"], request.get("Item") or request["Key"]


def _write_units(item: Item) -> int:
    return math.ceil(item_bytes(item) / WRITE_UNIT_BYTES)


def _index_units(old: tuple[Item, Item], new: tuple[Item, Item]) -> int:
    """An index whose key changes deletes and puts."""
    (old_key, old_item), (new_key, new_item) = old, new
    if old_item == new_item:
        return 0
    if old_key == new_key:
        return max(_write_units(old_item), _write_units(new_item))
    return _write_units(old_item) + _write_units(new_item)


class UniqueContents(Table):
    """A table in memory in which a query by contents finds nothing: no contents come twice."""

    def query(self, **_: Any) -> dict[str, Any]:
        return {"Items": []}


def look(image: bytes, inference_id: str) -> Prediction:
    """A prediction of as many bytes as the shipped model's."""
    count, certainty = seen(image, inference_id).count, 0.5757512661912562
    labels = (*map(str, range(10)), "10+")
    shares = tuple(certainty if label == str(count) else (1 - certainty) / 10 for label in labels)
    return Prediction(
        count,
        labels,
        shares,
        prior=shares,
        model="efficientnet-lite2-240@b525e1287aac",
        volume_in3=1103.1774688198525,
        volume_error=0.4254,
        interval=(max(0, count - 2), count + 2),
    )


def record(expected: int, number: int) -> bytes:
    """A record that no other number has."""
    return metadata_of(expected, item(expected, 10.21811711 + number / 1e6, 14.1463421985, 2.8447127053))


def uploads(bucket: Bucket, start: int, site: str = "BOS1") -> Iterator[tuple[str, Upload]]:
    """Corrections of a bin's record without end, each with the answer that it gets, from the `start`-th on."""
    bucket.put(f"{site}/bin-images/00523.jpg", image_of(COUNT))
    key, answers = f"{site}/metadata/00523.json", list(ANSWERS)
    while True:
        answer = answers[(start - 1) % len(answers)]
        content = record(ANSWERS[answer], start)
        bucket.put(key, content)
        yield answer, replace(upload(key, content), bucket=INBOX)
        start += 1


def workflow_on(table: Any, bucket: Bucket) -> CheckWorkflow:
    return CheckWorkflow(s3=bucket, store=CheckStore(table), count=look, mismatch_rate=0.02)


def history(checks: int) -> list[dict[str, Any]]:
    """The items that so many checks of the bin leave."""
    table, bucket = UniqueContents(), Bucket()
    workflow = workflow_on(table, bucket)
    for (_, told), _ in zip(uploads(bucket, 1), range(checks), strict=False):
        workflow.process(told)
    return list(table.items.values())


@contextmanager
def table_in_moto(items: Sequence[Item]) -> Iterator[Any]:
    """The checks table as the template has it, with these items."""
    properties = {name: value for name, value in table_properties().items() if name != "StreamSpecification"}
    # moto copies the table before a transaction, to have it back where that fails: with one writer none does.
    with mock_aws(), patch.object(MotoTable, "__deepcopy__", lambda table, _: table, create=True):
        table = boto3.resource("dynamodb", region_name=REGION).create_table(TableName="checks", **properties)
        with table.batch_writer() as batch:
            for item in items:
                batch.put_item(Item=item)
        yield table


def measure(place: int, rounds: int) -> dict[str, list[tuple[Usage, float]]]:
    """What the checks from the `place`-th on take, and milliseconds, by answer. Every answer comes `rounds` times: in
    one bin, but the first checks in a bin each."""
    bins, length = (rounds, 1) if place == 1 else (1, rounds)
    before = history(place - 1)
    measured: dict[str, list[tuple[Usage, float]]] = {answer: [] for answer in ANSWERS}
    for _ in range(bins):
        with table_in_moto(before) as table:
            meter, bucket = Meter(table.meta.client), Bucket()
            workflow = workflow_on(table, bucket)
            workflow.process(next(uploads(bucket, 1, site="WARM"))[1])
            meter.take()
            gc.collect()
            gc.freeze()  # what moto holds is not the workflow's to look through
            for (answer, told), _ in zip(uploads(bucket, place), range(length * len(ANSWERS)), strict=False):
                started = time.thread_time()
                workflow.process(told)
                took_s = time.thread_time() - started
                used = meter.take()
                measured[answer].append((used, (took_s - used.answering_s) * 1000))
            gc.unfreeze()
    return measured


def rows(place: int, rounds: int) -> Iterator[dict[str, Any]]:
    """What a check takes from the `place`-th on, by answer: medians."""
    for answer, found in measure(place, rounds).items():
        counts = {name: statistics.median(getattr(used, name) for used, _ in found) for name in COUNTS}
        yield {
            "from_check": place,
            "answer": answer,
            **counts,
            "ms": round(statistics.median(ms for _, ms in found), 2),
        }


def told(measured: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a table in Markdown."""
    names = list(measured[0])
    lines = [[name.replace("_", " ") for name in names], ["---:" if name != "answer" else "---" for name in names]]
    lines += [[f"{row[name]:,}" if name != "answer" else row[name] for name in names] for row in measured]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Count what a check takes, by how many came before it.")
    parser.add_argument("--rounds", type=int, default=5, help="of all answers, at each place")
    parser.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args()
    measured = [row for place in PLACES for row in rows(place, options.rounds)]
    print(json.dumps(measured, indent=2) if options.json else told(measured))


if __name__ == "__main__":
    main()
