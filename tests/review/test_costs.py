"""The quantities of the review page behind docs/costs.md, counted again on the real page."""

from collections import Counter

import boto3
import pytest

from benchmarks.history import item_bytes, projected
from costs.check_costs import quantities
from costs.review_costs import answers_usd, month_usd
from tests.template import resource
from tests.watched import alarms


def test_an_answer_takes_as_many_calls_as_are_paid_for(office, ann):
    for number in range(30):
        office.drop(f"bin{number}")
    page, calls = ann.press(ann.get("/"), "Start reviewing"), []
    for client in (office.warehouse.s3, office.warehouse.table.meta.client):
        client.meta.events.register("before-call", lambda model, **_: calls.append(model.name))
    (form,) = (each for each in page.all("form") if "data-ahead" in each.attributes)
    ann.client.get(form.attributes["data-ahead"], follow_redirects=False)
    ann.press(page, "4")
    answer = quantities()["review"]
    assert Counter(calls) == {
        "GetItem": answer["dynamodb_gets"],
        "Query": answer["dynamodb_queries"],
        "PutItem": answer["dynamodb_writes"],
        "TransactWriteItems": 1,
        "HeadObject": 1,
        "GetObject": answer["s3_get"] - 2,
    }


def test_what_the_queue_reads_is_no_larger_than_is_paid_for(office):
    office.drop("a-site-of-ours/hall-12/00000523")
    client = boto3.client("dynamodb")
    table = client.describe_table(TableName="checks")["Table"]
    (index,) = [one for one in table["GlobalSecondaryIndexes"] if one["IndexName"] == "open-by-suspicion"]
    items = [projected(table, index, item)[1] for item in client.scan(TableName="checks")["Items"]]
    (size,) = [item_bytes(item) for item in items if item]
    assert size < 400
    assert 30 * size / 4096 / 2 < quantities()["review"]["dynamodb_query_units"]


def test_what_the_template_decides_is_reckoned_with():
    assert resource("Review")["MemorySize"] == quantities()["lambda"]["review_gb"] * 1024
    assert sum(name.startswith("Review") for name in alarms()) == quantities()["review"]["alarm_metrics"]


def test_answers_cost_what_they_do_by_hand():
    usd = answers_usd()
    assert usd["DynamoDB"] == pytest.approx(((2 + 6 + 5) * 0.625 + (5 + 17 * 1.5) * 0.125) / 1000)
    assert usd["Lambda"] == pytest.approx(1000 * 3 * 0.15 * 1.66667e-5 + 3 * 0.0002)
    assert sum(month_usd(4).values()) == pytest.approx(4 * 0.015 + 0.40 + 0.30)
