"""The Alerter sends each alert of the outbox once, and one that fails holds up no other."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError

from inventory.alert_text import Unnamed, body_text
from inventory.alerts import Alerts
from inventory.check import Alert, Check
from inventory.check_items import read_alert
from inventory.failures import Failures
from inventory.hourly_emails import PERIOD_S
from inventory.links import Links
from inventory.settings import AlerterSettings
from tests.builders import image_of, metadata, sqs_event
from tests.functions.conftest import REGION, TIMEOUT
from tests.functions.test_handlers import Context, handlers, metrics_in  # noqa: F401  (fixtures)
from tests.template import resource


@pytest.fixture
def alerter(handlers, warehouse, monkeypatch, sent_alerts):  # noqa: F811
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

    def refusing(alerts, alert, unnamed=None):
        if alert.check.bin == bin:
            raise ClientError({"Error": {"Code": error, "Message": "no"}}, "Publish")
        publish(alerts, alert, unnamed)

    monkeypatch.setattr(Alerts, "publish", refusing)


def bins(warehouse):
    return [alert["bin"] for alert in warehouse.alerts()]


def test_alerts_of_the_stream_are_sent_in_their_order(alerter, warehouse, records, capsys):
    alerter.handler({"Records": records}, Context())
    assert bins(warehouse) == ["1", "2", "3"]
    assert alerter.waiting() == []
    assert metrics_in(capsys.readouterr().out)["AlertsSent"] == 3


@pytest.mark.parametrize(
    ("settings", "start"),
    [
        ({"REVIEW_URL": "https://review.example", "AWS_REGION": REGION}, "https://review.example/bin?bin=1&check="),
        ({"AWS_REGION": REGION}, "https://us-east-1.console.aws.amazon.com/s3/object/inbox?"),
        ({"AWS_REGION": REGION, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, None),
    ],
)
def test_an_alert_links_to_the_review_page_or_to_the_console_that_there_is(
    alerter, warehouse, records, monkeypatch, settings, start
):
    with monkeypatch.context() as environment:
        for name, value in settings.items():
            environment.setenv(name, value)
        config = AlerterSettings.from_environment()
    monkeypatch.setattr(alerter.alerts, "_links", Links(config.review_url, config.console_region))
    alerter.handler({"Records": records[:1]}, Context())
    (alert,) = warehouse.alerts()
    assert alert["link"].startswith(start) if start else alert["link"] is None


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
        assert bins(warehouse) == ["1", "3"]
    alerter.handler({"Records": records}, Context())
    assert bins(warehouse) == ["2"]


def test_a_sender_that_dies_after_the_publish_is_heard_twice_at_most_and_never_not(
    alerter, warehouse, records, monkeypatch
):
    publish = Alerts.publish

    class Killed(BaseException):
        pass

    def dying(alerts, alert, unnamed=None):
        publish(alerts, alert, unnamed)
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

    def slow(alerts, alert, unnamed=None):
        monkeypatch.setattr(Alerts, "publish", publish)
        alerter.handler({"Records": records[:1]}, Context())
        publish(alerts, alert, unnamed)

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


# At most one email an hour about rejected and unpaired uploads


@pytest.fixture
def emails(alerter, warehouse, monkeypatch):
    """Publishes that many alerts of a kind at a time in seconds: what the subscriber of the template got by email."""
    topic = boto3.resource("sns", region_name=REGION).Topic(warehouse.topic_arn)
    inbox = boto3.resource("sqs", region_name=REGION).create_queue(QueueName="email")
    policy = json.dumps(resource("HighSeverityEmail")["FilterPolicy"])
    topic.subscribe(
        Protocol="sqs",
        Endpoint=inbox.attributes["QueueArn"],
        Attributes={"FilterPolicy": policy, "RawMessageDelivery": "true"},
    )
    texts = []
    publish = Alerts.publish

    def noting(alerts, alert, unnamed=None):
        publish(alerts, alert, unnamed)
        texts.append(unnamed)

    monkeypatch.setattr(Alerts, "publish", noting)

    def emails(kind, number, at_s):
        monkeypatch.setattr(alerter, "time", SimpleNamespace(time=lambda: float(at_s)))
        for id in itertools.islice(names, number):
            warehouse.drop(f"metadata/{id}.json", metadata(3))
            if kind == "rejected":
                warehouse.drop(f"bin-images/{id}.jpg", b"")
        if kind == "unpaired":
            warehouse.clock += TIMEOUT
            warehouse.watchdog()
        texts.clear()
        alerter.handler({"Records": warehouse.outbox.records()}, Context())
        got = [json.loads(message.body)["kind"] for message in inbox.receive_messages(MaxNumberOfMessages=10)]
        return list(zip(got, [unnamed for unnamed in texts if unnamed is not None], strict=True))

    names = itertools.count()
    return emails


def test_a_first_upload_that_was_not_checked_is_mailed_at_once_and_the_rest_with_the_next_hour(emails, warehouse):
    assert emails("rejected", 3, at_s=0) == [("rejected", Unnamed())]
    assert emails("unpaired", 2, at_s=PERIOD_S - 1) == []
    assert emails("unpaired", 2, at_s=PERIOD_S) == [("unpaired", Unnamed(rejected=2, unpaired=2))]
    assert emails("rejected", 1, at_s=3 * PERIOD_S) == [("rejected", Unnamed(unpaired=1))]
    assert emails("rejected", 1, at_s=4 * PERIOD_S) == [("rejected", Unnamed())]
    assert len(warehouse.alerts()) == 9  # whoever subscribed to all of them gets them as before


def test_an_email_whose_publishing_fails_is_sent_with_its_numbers_later(alerter, warehouse, emails, monkeypatch):
    emails("rejected", 3, at_s=0)
    with monkeypatch.context() as broken:
        broken.setattr(Alerts, "publish", lambda *_: (_ for _ in ()).throw(RuntimeError("no topic")))
        assert emails("rejected", 1, at_s=PERIOD_S) == []
    (waiting,) = alerter.waiting()
    seen = []
    publish = Alerts.publish
    monkeypatch.setattr(
        Alerts, "publish", lambda alerts, alert, unnamed=None: (seen.append(unnamed), publish(alerts, alert, unnamed))
    )
    assert emails("rejected", 2, at_s=PERIOD_S + 1) == []
    alerter.handler(sqs_event(waiting), Context())
    assert seen == [None, None, Unnamed(rejected=4)]


def test_an_hourly_email_says_how_many_others_there_are():
    check = Check("1", "", "a/b", "rejected", "2026-03-01T12:00:00.000+00:00", reason="no JSON")
    lines = body_text(Alert("rejected", check, 1), None, Unnamed(rejected=1_200, unpaired=3)).splitlines()
    assert lines[-3:] == [
        "Rejected and unpaired uploads send at most one email an hour.",
        "Others rejected since the last one: 1,200. To list them: bincheck mismatches --kind rejected",
        "Others unpaired since the last one: 3. To list them: bincheck mismatches --kind unpaired",
    ]


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


def test_an_alert_of_a_later_version_is_read_without_what_is_new(warehouse):
    warehouse.drop("bin-images/1.jpg", image_of(3))
    warehouse.drop("metadata/1.json", metadata(5))
    text = warehouse.outbox.records()[0]["dynamodb"]["NewImage"]["alert"]["S"]
    later = json.loads(text)
    later["check"]["of_a_later_version"] = 1
    assert read_alert(json.dumps(later)) == read_alert(text)
