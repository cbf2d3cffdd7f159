"""The quantities behind docs/costs.md, counted again on the real code."""

import json
from collections import Counter

import boto3
import pytest

from inventory.check import MATCHES_KEPT
from tests.builders import metadata, notification, picture, sqs_event
from tests.functions.test_handlers import Context, checker, handlers  # noqa: F401  (fixtures)
from tests.template import resource, template
from tests.watched import alarms, watched_by
from training.jobs import check_costs
from training.jobs.check_costs import quantities

INDEXES = {
    index["IndexName"]: index["KeySchema"][0]["AttributeName"]
    for index in resource("ChecksTable")["GlobalSecondaryIndexes"]
}


@pytest.fixture
def calls(warehouse):
    """Calls of each operation since the last look, and writes of indexes as `index`."""
    counted, plain = Counter(), boto3.client("dynamodb")
    indexed = {}

    def note(model, **_):
        counted[model.name] += 1

    def note_index(model, **_):
        now = {}
        for item in plain.scan(TableName="checks")["Items"]:
            for index, key in INDEXES.items():
                if key in item:
                    projection = (
                        "site",
                        "status",
                        "checked_at",
                        "predicted",
                        "probabilities",
                        "suspicion",
                        "model",
                        key,
                    )
                    seen = item if index == "open-by-day" else {name: item.get(name) for name in projection}
                    now[index, item["bin"]["S"], item["check"]["S"]] = json.dumps(seen, sort_keys=True)
        counted["index"] += sum(indexed.get(key) != now.get(key) for key in indexed.keys() | now.keys())
        indexed.clear()
        indexed.update(now)

    dynamodb = warehouse.table.meta.client
    for client in (warehouse.s3, dynamodb, warehouse.workflow.alerts._sns):
        client.meta.events.register("before-parameter-build", note)
    for write in ("PutItem", "UpdateItem", "TransactWriteItems"):
        dynamodb.meta.events.register(f"after-call.dynamodb.{write}", note_index)
    return counted


@pytest.mark.parametrize("differs", [0, 1], ids=["match", "mismatch"])
def test_a_bin_takes_as_many_calls_as_are_paid_for(warehouse, calls, differs):
    warehouse.drop("BOS1/bin-images/1.jpg", picture(3))
    warehouse.drop("BOS1/metadata/1.json", metadata(3 + differs))
    bin, mismatch = quantities()["bin"], quantities()["mismatch"]
    assert dict(calls) == {
        "PutObject": bin["s3_put"],
        "GetObject": bin["s3_get"],
        "UpdateItem": 2 + differs * mismatch["dynamodb_writes"],
        "PutItem": bin["dynamodb_writes"] - 2,
        "TransactWriteItems": bin["dynamodb_transacted_writes"] / 2,
        "Query": bin["dynamodb_reads"],
        "index": bin["dynamodb_index_writes"] + differs * mismatch["dynamodb_index_writes"],
        **({"Publish": mismatch["sns_publish"]} if differs else {}),
    }


@pytest.mark.parametrize("differs", [0, 1], ids=["match", "mismatch"])
def test_a_bin_that_lies_there_takes_as_many_calls_as_a_backfill_is_told_to_cost(warehouse, calls, differs):
    warehouse.put("BOS1/metadata/1.json", metadata(3 + differs))
    image = warehouse.put("BOS1/bin-images/1.jpg", picture(3))
    calls.clear()
    warehouse.workflow.process(image)
    bin, mismatch = quantities()["backfill"], quantities()["mismatch"]
    assert dict(calls) == {
        "GetObject": bin["s3_get"],
        "UpdateItem": bin["dynamodb_writes"] + differs * mismatch["dynamodb_writes"],
        "TransactWriteItems": bin["dynamodb_transacted_writes"] / 2,
        "Query": bin["dynamodb_reads"],
        "index": bin["dynamodb_index_writes"] + differs * mismatch["dynamodb_index_writes"],
        **({"Publish": mismatch["sns_publish"]} if differs else {}),
    }


def test_items_and_logs_are_no_larger_than_is_paid_for(checker, warehouse, capsys):  # noqa: F811
    for key, content in {"bin-images/1.jpg": picture(3), "metadata/1.json": metadata(4)}.items():
        upload = warehouse.put(f"a-site-of-ours/hall-12/{key.replace('1.', '00000523-2026-11-21.')}", content)
        checker.handler(sqs_event(notification(upload)), Context())
    said = len(capsys.readouterr().out.encode())
    items = [len(json.dumps(item)) for item in boto3.client("dynamodb").scan(TableName="checks")["Items"]]
    sizes = quantities()["sizes"]
    assert max(items) < 1024 * sizes["item_kb"]
    assert sum(items) < 1000 * sizes["table_kb"]
    assert 400 < said < 1000 * sizes["log_kb"]


def test_what_the_template_decides_is_reckoned_with():
    assert template()["Globals"]["Function"]["MemorySize"] == quantities()["lambda"]["memory_gb"] * 1024
    assert resource("Reporter")["MemorySize"] == quantities()["lambda"]["reporter_gb"] * 1024
    assert MATCHES_KEPT.days == check_costs.MATCHES_KEPT_DAYS
    always = [alarm for name, alarm in alarms().items() if "Condition" not in template()["Resources"][name]]
    evaluated = sum(3 if "ThresholdMetricId" in alarm else len(watched_by(alarm)) for alarm in always)
    assert evaluated == check_costs.ALARM_METRICS
