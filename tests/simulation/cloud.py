"""DynamoDB's table and S3's bucket in memory, with the semantics that the workflow relies on.

They answer at once and alone: a call is one step, and what happens between two calls of a process is for whoever drives
it to say (`on_call`). `on_answer` is told what a caller learned, and `digest` names all that they hold: two runs whose
processes have learned the same, in clouds that hold the same, go on alike. Each expression that the store uses is
understood, and no other; `test_cloud.py` holds the table against moto.
"""

import hashlib
import io
import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

Key = tuple[str, str]
EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC)


class ConditionalCheckFailedException(ClientError):
    pass


class TransactionCanceledException(ClientError):
    pass


class Table:
    """A table whose key is `bin` and `check`. `on_call(operation)` is told of each call before it takes effect, and
    `on_commit(writes)` of what one call wrote: the items before and after, by key. Items share their parts with whoever
    wrote or read them, which is refused at the next write if one was changed."""

    name = "checks"

    def __init__(self) -> None:
        self.items: dict[Key, dict[str, Any]] = {}
        self._digests: dict[Key, int] = {}
        self.on_call: Callable[[str], None] = lambda _: None
        self.on_answer: Callable[[Hashable], None] = lambda _: None
        self.on_commit: Callable[[Mapping[Key, tuple[Any, Any]]], None] = lambda _: None
        exceptions = SimpleNamespace(
            ConditionalCheckFailedException=ConditionalCheckFailedException,
            TransactionCanceledException=TransactionCanceledException,
        )
        client = SimpleNamespace(exceptions=exceptions, transact_write_items=self.transact_write_items)
        self.meta = SimpleNamespace(client=client)

    def digest(self) -> Hashable:
        return frozenset(self._digests.items())

    def get_item(self, Key: Mapping[str, str], ConsistentRead: bool = False) -> dict[str, Any]:
        assert ConsistentRead, "a decision on a stale item"
        self.on_call("GetItem")
        item = self.items.get(_key(Key))
        self.on_answer(self._digests.get(_key(Key)))
        return {"Item": dict(item)} if item else {}

    def query(
        self,
        KeyConditionExpression: Any,
        IndexName: str = "",
        ConsistentRead: bool = False,
        ScanIndexForward: bool = True,
    ) -> dict[str, Any]:
        assert ConsistentRead or IndexName, "a decision on stale items"
        assert ScanIndexForward, "in the order of an index"
        self.on_call("Query")
        conditions = list(_conditions(KeyConditionExpression))
        found = [
            dict(item)
            for _, item in sorted(self.items.items())
            if all(name in item and matches(item[name], *values) for name, matches, values in conditions)
        ]
        self.on_answer(tuple(self._digests[_key(item)] for item in found))
        return {"Items": found}

    def put_item(self, Item: dict[str, Any], **condition: Any) -> None:
        self.on_call("PutItem")
        if not self._holds(_key(Item), condition):
            self.on_answer("refused")
            raise ConditionalCheckFailedException({"Error": {"Code": "ConditionalCheckFailedException"}}, "PutItem")
        self._apply([("Put", {"Item": Item})])

    def update_item(self, Key: Mapping[str, str], **update: Any) -> None:
        self.on_call("UpdateItem")
        if not self._holds(_key(Key), update):
            self.on_answer("refused")
            raise ConditionalCheckFailedException({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        self._apply([("Update", {"Key": Key, **update})])

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> None:
        self.on_call("TransactWriteItems")
        writes = [(kind, request) for write in TransactItems for kind, request in write.items()]
        keys = [_key(request.get("Item") or request["Key"]) for _, request in writes]
        assert len(set(keys)) == len(keys), "a transaction cannot write one item twice"
        assert len(keys) <= 100, "a transaction holds a hundred writes at most"
        held = [self._holds(key, request) for key, (_, request) in zip(keys, writes, strict=True)]
        if not all(held):
            reasons = [{"Code": "None" if holds else "ConditionalCheckFailed"} for holds in held]
            error: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            self.on_answer("cancelled")
            raise TransactionCanceledException(error, "TransactWriteItems")
        self._apply(writes)

    def _holds(self, key: Key, request: Mapping[str, Any]) -> bool:
        condition = request.get("ConditionExpression")
        if condition is None:
            return True
        item, names = self.items.get(key, {}), request.get("ExpressionAttributeNames", {})
        if absent := re.fullmatch(r"attribute_not_exists\((\S+)\)", condition):
            return names.get(absent[1], absent[1]) not in item
        name, value = condition.split(" = ")
        return name in item and item[name] == request["ExpressionAttributeValues"][value]

    def _apply(self, writes: list[tuple[str, dict[str, Any]]]) -> None:
        changes = {}
        for kind, request in writes:
            key = _key(request.get("Item") or request["Key"])
            before = self.items.get(key)
            assert before is None or self._digests[key] == _digest(before), "a caller changed what it had read"
            after = dict(request["Item"]) if kind == "Put" else _updated(before or request["Key"], request)
            self.items[key] = after
            self._digests[key] = _digest(after)
            changes[key] = (before, after)
        self.on_answer("written")
        self.on_commit(changes)


class Bucket:
    """A bucket without versions, or with them; LastModified counts the puts in seconds."""

    def __init__(self, *, versions: bool = False) -> None:
        self.objects: dict[str, tuple[bytes, str, int]] = {}
        self.on_call: Callable[[str], None] = lambda _: None
        self.on_answer: Callable[[Hashable], None] = lambda _: None
        self._versions = versions
        self.puts = 0

    def put(self, key: str, content: bytes) -> str:
        """Put an object; its version as an event of S3 tells it."""
        self.puts += 1
        etag = hashlib.md5(content, usedforsecurity=False).hexdigest()
        version = f"v{self.puts}" if self._versions else etag
        self.objects[key] = (content, version, self.puts)
        return version

    def remove(self, key: str) -> None:
        self.objects.pop(key, None)

    def digest(self) -> Hashable:
        return frozenset((key, version, number) for key, (_, version, number) in self.objects.items()), self.puts

    def get_paginator(self, operation: str) -> "Bucket":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str, **_: Any) -> list[dict[str, Any]]:
        return [self.list_objects_v2(Bucket, Prefix)]

    def list_objects_v2(self, Bucket: str, Prefix: str = "", **_: Any) -> dict[str, Any]:
        self.on_call("ListObjectsV2")
        keys = sorted(key for key in self.objects if key.startswith(Prefix))
        self.on_answer(tuple(keys))
        return {"Contents": [{"Key": key, "ETag": f'"{self.objects[key][1]}"'} for key in keys]}

    def put_object(self, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:
        self.put(Key, Body)

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        self.on_call("GetObject")
        self.on_answer(self.objects.get(Key, (b"", "", 0))[1:])
        if Key not in self.objects:
            raise ClientError({"Error": {"Code": "NoSuchKey"}}, "GetObject")
        content, version, number = self.objects[Key]
        return {
            "Body": io.BytesIO(content),
            "ETag": f'"{version}"',
            "ContentLength": len(content),
            "LastModified": EPOCH + timedelta(seconds=number),
        }


def _digest(item: Mapping[str, Any]) -> int:
    return hash(repr(sorted(item.items())))


def _key(item: Mapping[str, Any]) -> Key:
    return item["bin"], item["check"]


def _conditions(expression: Any) -> Iterator[tuple[str, Callable[..., bool], tuple[Any, ...]]]:
    """The parts of one of boto3's key conditions: attribute, comparison, operands."""
    told = expression.get_expression()
    if told["operator"] == "AND":
        for part in told["values"]:
            yield from _conditions(part)
        return
    compare: dict[str, Callable[..., bool]] = {
        "=": lambda value, other: value == other,
        "begins_with": lambda value, prefix: value.startswith(prefix),
        "BETWEEN": lambda value, least, most: least <= value <= most,
    }
    key, *operands = told["values"]
    yield key.name, compare[told["operator"]], tuple(operands)


def _updated(item: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    names, values = request["ExpressionAttributeNames"], request.get("ExpressionAttributeValues", {})
    after = dict(item)
    for clause, assignments in re.findall(r"(SET|REMOVE) (.*?)(?= REMOVE |$)", request["UpdateExpression"]):
        for assignment in assignments.split(", "):
            name, _, value = assignment.partition(" = ")
            if clause == "SET":
                after[names.get(name, name)] = values[value]
            else:
                after.pop(names.get(name, name), None)
    return after
