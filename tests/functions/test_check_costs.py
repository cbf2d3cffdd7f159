"""The quantities behind docs/costs.md, counted again on the real code."""

import importlib
import io
from collections import Counter
from dataclasses import replace

import boto3
import pytest

from benchmarks.history import INBOX, Meter, history, item_bytes, look, measure, projected, record, uploads
from costs import check_costs
from costs.check_costs import quantities
from inventory.check_items import ALERT, ALERT_RETENTION, MATCH_RETENTION, STATE, STATE_RETENTION
from inventory.past import MOST_EARLIER
from tests.builders import image_of, notification, sqs_event, upload
from tests.functions.test_alerter import alerter  # noqa: F401  (a fixture)
from tests.functions.test_handlers import Context, checker, handlers  # noqa: F401  (fixtures)
from tests.simulation.cloud import Bucket
from tests.template import resource, template
from tests.watched import alarms

IMAGE, RECORD = (f"a-site-of-ours/hall-12/{name}" for name in ("bin-images/00000523.jpg", "metadata/00000523.json"))
ITEM_OVERHEAD_BYTES = 100
"""What DynamoDB adds to each item, in a table and in an index, where it charges for storage."""

RUNTIME_LOG_BYTES = 450
"""What the runtime says of an invocation: the lines START, END, REPORT and of its trace."""


@pytest.fixture
def put(warehouse):
    """Puts a file into an inbox of the name that it has in AWS, whose images are seen as the shipped model would."""
    warehouse.s3.create_bucket(Bucket=INBOX)
    warehouse.workflow = replace(warehouse.workflow, count=look)

    def put(key, content):
        warehouse.s3.put_object(Bucket=INBOX, Key=key, Body=content)
        return replace(upload(key, content), bucket=INBOX)

    return put


@pytest.fixture
def meter(warehouse):
    return Meter(warehouse.s3, warehouse.table.meta.client)


def dynamodb(used):
    """The operations, and units of reading and of writing."""
    operations = Counter({name: n for name, n in used.requests.items() if name.startswith("dynamodb.")})
    return operations, used.read_units, (used.plain_units, used.transacted_units, used.index_units)


def paid_for(of):
    """Likewise, as they are reckoned with."""
    writes = of["dynamodb_writes"], 2 * of["dynamodb_transacted_writes"], of["dynamodb_index_writes"]
    operations = Counter(
        {
            "dynamodb.GetItem": of["dynamodb_gets"],
            "dynamodb.Query": of["dynamodb_queries"],
            "dynamodb.PutItem": of["dynamodb_writes"],
            "dynamodb.TransactWriteItems": 1,
        }
    )
    return +operations, of["dynamodb_gets"] + of["dynamodb_queries"], writes


def with_alert(paid, differs):
    """Likewise, with what a mismatch adds to the transaction of its check."""
    operations, reads, (plain, transacted, index) = paid
    mismatch = quantities()["mismatch"]
    transacted += differs * 2 * mismatch["dynamodb_transacted_writes"]
    return operations, reads, (plain, transacted, index + differs * mismatch["dynamodb_index_writes"])


@pytest.mark.parametrize("differs", [0, 1], ids=["match", "mismatch"])
def test_a_bin_takes_as_many_calls_as_are_paid_for(warehouse, put, meter, differs):
    for key, content in ((IMAGE, image_of(3)), (RECORD, record(3 + differs, 1))):
        warehouse.workflow.process(put(key, content))
    used = meter.take()
    bin = quantities()["bin"]
    assert dynamodb(used) == with_alert(paid_for(bin), differs)
    assert (used.requests["s3.PutObject"], used.requests["s3.GetObject"]) == (bin["s3_put"], bin["s3_get"])


@pytest.mark.parametrize("differs", [0, 1], ids=["match", "mismatch"])
def test_a_bin_that_lies_there_takes_as_many_calls_as_a_backfill_is_told_to_cost(warehouse, put, meter, differs):
    put(RECORD, record(3 + differs, 1))
    image = put(IMAGE, image_of(3))
    meter.take()
    warehouse.workflow.process(image)
    used = meter.take()
    bin = quantities()["backfill"]
    assert dynamodb(used) == with_alert(paid_for(bin), differs)
    assert used.requests["s3.GetObject"] == bin["s3_get"]


def test_a_mismatch_wakes_the_alerter_once_which_calls_as_often_as_is_paid_for(warehouse, put, alerter):  # noqa: F811
    def told_by_the_stream(expected):
        for key, content in ((IMAGE, image_of(3)), (RECORD, record(expected, 1))):
            warehouse.workflow.process(put(key, content))
        return warehouse.outbox.records()

    mismatch = quantities()["mismatch"]
    assert told_by_the_stream(3) == []
    records = told_by_the_stream(4)
    assert len(records) == mismatch["invocations"]
    meter = Meter(alerter.sent_alerts.client, alerter.alerts._sns, alerter.queue)
    alerter.handler({"Records": records}, Context())
    used = meter.take()
    assert used.requests == {"dynamodb.PutItem": 1, "dynamodb.UpdateItem": 1, "sns.Publish": mismatch["sns_publish"]}
    assert (used.plain_units, used.index_units, used.read_units) == (mismatch["dynamodb_writes"], 0, 0)


def stored_bytes(bin, prefix=""):
    """What DynamoDB takes those items of a bin to be whose identity begins so, with what indexes hold of them."""
    client = boto3.client("dynamodb")
    table = client.describe_table(TableName="checks")["Table"]
    items = [each for each in client.scan(TableName="checks")["Items"] if each["bin"]["S"] == bin]
    items = [each for each in items if each["check"]["S"].startswith(prefix)]
    held = [projected(table, index, each)[1] for index in table["GlobalSecondaryIndexes"] for each in items]
    return sum(item_bytes(each) + ITEM_OVERHEAD_BYTES for each in [*items, *filter(None, held)])


def test_what_is_stored_is_no_larger_than_is_paid_for(warehouse, put):
    sizes = {name: 1000 * kb for name, kb in quantities()["sizes"].items()}
    for site, expected in (("a-site-of-ours/hall-12", 3), ("a-site-of-ours/hall-13", 4)):
        for key, content in ((IMAGE, image_of(3)), (RECORD, record(expected, 1))):
            warehouse.workflow.process(put(key.replace("a-site-of-ours/hall-12", site), content))
        bin = f"{site}/00000523"
        alerted = sizes["alert_kb"] if stored_bytes(bin, ALERT) else 0
        for stored, most in (
            (stored_bytes(bin, STATE), sizes["state_kb"]),
            (stored_bytes(bin), sizes["state_kb"] + sizes["check_kb"] + alerted),
        ):
            assert 0.75 * most < stored < most


def test_logs_are_no_longer_than_is_paid_for(checker, warehouse, put, alerter, monkeypatch, capsys):  # noqa: F811
    written = io.StringIO()
    monkeypatch.setattr(checker, "workflow", replace(checker.workflow, count=look))
    monkeypatch.setattr(importlib.import_module("inventory.observability").logger.registered_handler, "stream", written)

    def said():
        lines = written.getvalue() + capsys.readouterr().out
        written.seek(0), written.truncate()
        return len(lines.encode())

    for key, content in ((IMAGE, image_of(3)), (RECORD, record(4, 1))):
        checker.handler(sqs_event(notification(put(key, content))), Context())
    sizes = {name: 1000 * kb for name, kb in quantities()["sizes"].items()}
    assert 0.3 * sizes["log_kb"] < said() < sizes["log_kb"] - 2 * RUNTIME_LOG_BYTES
    alerter.handler({"Records": warehouse.outbox.records()}, Context())
    assert 0.3 * sizes["alert_log_kb"] < said() < sizes["alert_log_kb"] - RUNTIME_LOG_BYTES


def test_how_long_the_history_of_a_bin_is_changes_nothing():
    first, soon, later = (measure(place, rounds=1) for place in (1, 9, 41))
    for answer, [(used, _)] in later.items():
        ((at_first, _),), ((before, _),) = first[answer], soon[answer]
        assert used.requests == before.requests
        assert used.read_units == before.read_units
        earlier = used.requests - at_first.requests
        assert earlier.keys() <= {"dynamodb.GetItem"}
        assert earlier.total() <= MOST_EARLIER
        for name in ("items_written", "plain_units", "transacted_units", "index_units"):
            assert getattr(used, name) == getattr(before, name) == getattr(at_first, name)


def test_the_history_that_is_measured_is_the_one_that_checks_leave(warehouse, put):
    bucket = Bucket()
    workflow = replace(warehouse.workflow, s3=bucket)
    for (_, told), _ in zip(uploads(bucket, 1), range(9), strict=False):
        workflow.process(told)
    of_time = {
        "alert",
        "alert_id",
        "alerted_at",
        "checked_at",
        "checked_on",
        "expires_at",
        "open",
        "open_at",
        "revision",
        "uploads",
    }

    def lasting(items):
        told = [{name: each[name] if name not in of_time else None for name in each} for each in items]
        named = [each | {"check": ALERT if each["check"].startswith(ALERT) else each["check"]} for each in told]
        return sorted(named, key=lambda each: each["check"])

    assert lasting(history(9)) == lasting(warehouse.table.scan()["Items"])


def test_what_the_template_decides_is_reckoned_with():
    assert template()["Globals"]["Function"]["MemorySize"] == quantities()["lambda"]["memory_gb"] * 1024
    assert resource("Reporter")["MemorySize"] == quantities()["lambda"]["reporter_gb"] * 1024
    kept = check_costs.MATCH_RETENTION_DAYS, check_costs.ALERT_RETENTION_DAYS, check_costs.STATE_RETENTION_DAYS
    assert kept == (MATCH_RETENTION.days, ALERT_RETENTION.days, STATE_RETENTION.days)
    functions = [body["Properties"] for body in template()["Resources"].values() if body["Type"].endswith("::Function")]
    sources = [event["Type"] for function in functions for event in function.get("Events", {}).values()]
    assert sources.count("SQS") == quantities()["sqs"]["queues"]
    always = [alarm for name, alarm in alarms().items() if "Condition" not in template()["Resources"][name]]
    evaluated = sum(
        3
        if "ThresholdMetricId" in alarm
        else max(1, sum("MetricStat" in metric for metric in alarm.get("Metrics", [])))
        for alarm in always
    )
    assert evaluated == check_costs.ALARM_METRICS
