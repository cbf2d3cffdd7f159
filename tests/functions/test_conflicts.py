"""DynamoDB refuses a write while a transaction works on its item, as happens where both halves of a pair come."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.awsrequest import AWSResponse

from inventory import clients
from inventory.check_store import CheckStore
from inventory.errors import RetryLater
from inventory.workflow import MAX_ATTEMPTS
from tests.builders import image_of, metadata

IMAGE, RECORD = "bin-images/523.jpg", "metadata/523.json"
HARMLESS = "DynamoDB_20120810.ListTables"
CONFLICT = {"__type": "TransactionConflictException"}


def cancelled(code):
    return {"__type": "TransactionCanceledException", "CancellationReasons": [{"Code": code}, {"Code": "None"}]}


class Refusal(AWSResponse):
    """What DynamoDB answers in place of carrying out a write."""

    def __init__(self, error):
        super().__init__("https://dynamodb", 400, {}, None)
        self._content = json.dumps(error).encode()


@pytest.fixture
def table(warehouse, monkeypatch):
    monkeypatch.setattr("random.uniform", lambda least, most: 0.0)
    return clients.checks_table("checks")


def refuse(table, operation, error, times, only=b""):
    """Have the next calls of an operation, or of those that say something, refused; the list grows with every call."""
    calls = []

    def answer(request, **_):
        if only not in request.body:
            return None
        calls.append(request)
        if len(calls) > times:
            return None
        request.headers["X-Amz-Target"] = HARMLESS  # moto carries out what it sees, whatever is answered
        return Refusal(error)

    table.meta.client.meta.events.register_first(f"before-send.dynamodb.{operation}", answer)
    return calls


def workflow(warehouse, table):
    return replace(warehouse.workflow, store=CheckStore(table))


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ("PutItem", CONFLICT),
        ("TransactWriteItems", cancelled("TransactionConflict")),
        ("TransactWriteItems", cancelled("ThrottlingError")),
        ("TransactWriteItems", cancelled("ProvisionedThroughputExceeded")),
    ],
)
def test_a_write_that_is_refused_for_a_moment_is_made_a_moment_later(warehouse, table, operation, error):
    calls = refuse(table, operation, error, times=2)
    for key, content in ((RECORD, metadata(3)), (IMAGE, image_of(3))):
        check = workflow(warehouse, table).process(warehouse.put(key, content))
    assert (check.status, len(calls)) == ("match", 3)


def test_a_write_that_is_always_refused_is_tried_four_times(warehouse, table):
    calls = refuse(table, "PutItem", CONFLICT, times=99)
    with pytest.raises(table.meta.client.exceptions.TransactionConflictException):
        workflow(warehouse, table).process(warehouse.put(IMAGE, image_of(3)))
    assert len(calls) == 4


def test_a_condition_that_does_not_hold_is_tried_once(warehouse, table):
    warehouse.put(RECORD, metadata(3))
    calls = refuse(table, "TransactWriteItems", cancelled("ConditionalCheckFailed"), times=99)
    with pytest.raises(RetryLater):
        workflow(warehouse, table).process(warehouse.put(IMAGE, image_of(3)))
    assert len(calls) == MAX_ATTEMPTS


def test_an_older_mismatch_leaves_the_open_list_however_long_the_transaction_is_refused(warehouse, table):
    warehouse.drop(RECORD, metadata(3))
    warehouse.drop(IMAGE, image_of(4))
    refused = refuse(table, "TransactWriteItems", cancelled("TransactionConflict"), times=4)
    assert workflow(warehouse, table).process(warehouse.put(IMAGE, image_of(3))).status == "match"
    assert len(refused) == 5
    hour = timedelta(hours=1)
    assert list(warehouse.store.list_open("mismatch", warehouse.clock - hour, warehouse.clock + hour)) == []


def test_a_transaction_one_of_whose_reasons_is_final_is_tried_once(warehouse, table):
    warehouse.drop(RECORD, metadata(3))
    error = {
        "__type": "TransactionCanceledException",
        "CancellationReasons": [{"Code": "ThrottlingError"}, {"Code": "ItemCollectionSizeLimitExceeded"}],
    }
    calls = refuse(table, "TransactWriteItems", error, times=99)
    with pytest.raises(table.meta.client.exceptions.TransactionCanceledException):
        workflow(warehouse, table).process(warehouse.put(IMAGE, image_of(3)))
    assert len(calls) == 1
