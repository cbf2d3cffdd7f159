"""The Alerter sends each alert of the outbox once, and one that fails holds up no other."""

import json
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError

from inventory.alerts import Alerts
from inventory.check_items import read_alert
from inventory.failures import Failures
from tests.builders import image_of, metadata, sqs_event
from tests.functions.conftest import REGION
from tests.functions.test_handlers import Context, handlers, metrics_in  # noqa: F401  (fixtures)
from tests.template import resource


@pytest.fixture
def alerter(handlers, warehouse, monkeypatch):  # noqa: F811
    sent = {name: resource("SentAlertsTable")[name] for name in ("AttributeDefinitions", "KeySchema", "BillingMode")}
    boto3.client("dynamodb", region_name=REGION).create_table(TableName="sent-alerts", **sent)
    queue = boto3.resource("sqs", region_name=REGION).create_queue(QueueName="alerts")
    monkeypatch.setenv("ALERTS_QUEUE_URL", queue.url)
    monkeypatch.setenv("SENT_ALERTS_TABLE", "sent-alerts")
    monkeypatch.setattr(warehouse.outbox, "send", lambda: None)
    module = handlers("alerter")
    monkeypatch.setattr(module, "RETRY_DELAY_S", 0)
    module.waiting = lambda: [message.body for message in queue.receive_messages(MaxNumberOfMessages=10)]
    return module


@pytest.fixture
def records(alerter, warehouse):
    """What the stream tells of three bins that disagree."""
    for id in "123":
        warehouse.drop(f"bin-images/{id}.jpg", image_of(3))
        warehouse.drop(f"metadata/{id}.json", metadata(5))
    return warehouse.outbox.records()


def refuse(alerter, monkeypatch, bin, error="InvalidParameter"):
    publish = Alerts.publish

    def refusing(alerts, alert):
        if alert.check.bin == bin:
            raise ClientError({"Error": {"Code": error, "Message": "no"}}, "Publish")
        publish(alerts, alert)

    monkeypatch.setattr(Alerts, "publish", refusing)


def bins(warehouse):
    return [alert["bin"] for alert in warehouse.alerts()]


def test_alerts_of_the_stream_are_sent_in_their_order(alerter, warehouse, records, capsys):
    alerter.handler({"Records": records}, Context())
    assert bins(warehouse) == ["1", "2", "3"]
    assert alerter.waiting() == []
    assert metrics_in(capsys.readouterr().out)["AlertsSent"] == 3


def test_what_is_handed_out_twice_is_sent_once(alerter, warehouse, records):
    texts = [record["dynamodb"]["NewImage"]["alert"]["S"] for record in records]
    alerter.handler({"Records": records}, Context())
    alerter.handler({"Records": records}, Context())
    alerter.handler(sqs_event(*texts), Context())
    assert bins(warehouse) == ["1", "2", "3"]


def test_two_alerts_of_one_check_are_both_sent(alerter, warehouse):
    for number, expected in enumerate((5, 3, 5)):
        warehouse.drop("bin-images/1.jpg", image_of(3))
        warehouse.drop("metadata/1.json", metadata(expected))
        assert number or warehouse.state("1").last_alert
    alerter.handler({"Records": warehouse.outbox.records()}, Context())
    sent = warehouse.alerts()
    assert [alert["kind"] for alert in sent] == ["mismatch", "resolved", "mismatch"]
    assert sent[0]["check_id"] == sent[2]["check_id"]
    assert len({alert["alert_id"] for alert in sent}) == 3
    assert [alert["revision"] for alert in sent] == sorted({alert["revision"] for alert in sent})


def test_an_alert_that_fails_goes_into_the_queue_and_holds_up_no_other(alerter, warehouse, records, monkeypatch):
    with monkeypatch.context() as broken:
        refuse(alerter, broken, "2", "Throttling")
        alerter.handler({"Records": records}, Context())
        assert bins(warehouse) == ["1", "3"]
        (waiting,) = alerter.waiting()
        assert alerter.handler(sqs_event(waiting), Context()) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
        assert Failures(warehouse.table).find(waiting).reason.startswith("ClientError: An error occurred (Throttling)")
    assert alerter.handler(sqs_event(waiting), Context()) == {"batchItemFailures": []}
    assert bins(warehouse) == ["2"]


def test_where_the_queue_fails_too_the_stream_hands_out_its_records_again(alerter, warehouse, records, monkeypatch):
    with monkeypatch.context() as broken:
        refuse(alerter, broken, "2")
        broken.setattr(alerter, "config", replace(alerter.config, alerts_queue_url="https://sqs/none"))
        with pytest.raises(Exception, match="NonExistentQueue"):
            alerter.handler({"Records": records}, Context())
        assert bins(warehouse) == ["1"]
    alerter.handler({"Records": records}, Context())
    assert bins(warehouse) == ["2", "3"]


def test_a_sender_that_dies_after_the_publish_is_heard_twice_at_most_and_never_not(
    alerter, warehouse, records, monkeypatch
):
    publish = Alerts.publish

    class Killed(BaseException):
        pass

    def dying(alerts, alert):
        publish(alerts, alert)
        raise Killed

    text = records[0]["dynamodb"]["NewImage"]["alert"]["S"]
    with monkeypatch.context() as broken:
        broken.setattr(Alerts, "publish", dying)
        broken.setattr(alerter, "MIN_REMAINING_TIME_MS", 0)
        with pytest.raises(Killed):
            alerter.handler({"Records": records[:1]}, Context(remaining_ms=1))
    alerter.handler(sqs_event(text), Context())  # its lease has run out
    alerter.handler(sqs_event(text), Context())
    assert bins(warehouse) == ["1", "1"]


def test_one_that_another_process_is_sending_waits_in_the_queue(alerter, warehouse, records, monkeypatch):
    publish, text = Alerts.publish, records[0]["dynamodb"]["NewImage"]["alert"]["S"]

    def slow(alerts, alert):
        monkeypatch.setattr(Alerts, "publish", publish)
        alerter.handler({"Records": records[:1]}, Context())
        publish(alerts, alert)

    monkeypatch.setattr(Alerts, "publish", slow)
    alerter.handler({"Records": records[:1]}, Context())
    assert bins(warehouse) == ["1"]
    assert alerter.waiting() == [text]
    alerter.handler(sqs_event(text), Context())
    assert bins(warehouse) == []


def test_alerts_for_which_no_time_is_left_wait_in_the_queue(alerter, warehouse, records):
    alerter.handler({"Records": records}, Context(remaining_ms=15_000))
    waiting = alerter.waiting()
    assert (len(waiting), bins(warehouse)) == (3, [])
    assert len(alerter.handler(sqs_event(*waiting), Context(remaining_ms=15_000))["batchItemFailures"]) == 3
    alerter.handler(sqs_event(*waiting), Context())
    assert sorted(bins(warehouse)) == ["1", "2", "3"]


def test_an_item_that_holds_no_alert_holds_up_no_other(alerter, warehouse, records):
    broken = {"eventName": "INSERT", "dynamodb": {"NewImage": {"check": {"S": "/alert/1"}}}}
    alerter.handler({"Records": [broken, *records]}, Context())
    assert bins(warehouse) == ["1", "2", "3"]
    (waiting,) = alerter.waiting()
    assert alerter.handler(sqs_event(waiting), Context())["batchItemFailures"]


def test_what_is_no_alert_goes_back_with_its_reason_and_not_its_content(alerter, warehouse):
    assert alerter.handler(sqs_event("a secret"), Context())["batchItemFailures"]
    assert "a secret" not in Failures(warehouse.table).find("a secret").reason


def test_an_alert_reads_as_it_was_put(warehouse):
    warehouse.drop("bin-images/1.jpg", image_of(3))
    check = warehouse.drop("metadata/1.json", metadata(5))
    (record,) = warehouse.outbox.records()
    image = record["dynamodb"]["NewImage"]
    alert = read_alert(image["alert"]["S"])
    assert (alert.check, alert.kind, alert.alert_id) == (check, "mismatch", image["alert_id"]["S"])
    assert json.loads(image["alert"]["S"])["check"]["suspicion"] == check.suspicion
