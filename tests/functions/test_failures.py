"""Why a message went back is kept where `bincheck dead-letters` finds it."""

import json

from botocore.exceptions import ClientError

from inventory.errors import RetryLater
from inventory.failures import Failures
from tests.builders import image_of, notification, sqs_event, upload
from tests.functions.test_handlers import Context, checker, handlers  # noqa: F401  (fixtures)


def failing(checker, monkeypatch, fault):  # noqa: F811
    def process(workflow, upload):
        raise fault

    monkeypatch.setattr(type(checker.workflow), "process", process)


def reason_of(warehouse, body):
    failure = Failures(warehouse.table).find(body)
    return failure and failure.reason


def test_the_last_reason_and_the_number_of_attempts_are_kept(checker, warehouse, monkeypatch):  # noqa: F811
    event = sqs_event(notification(upload("bin-images/1.jpg", image_of(3))))
    body = event["Records"][0]["body"]
    failing(checker, monkeypatch, RetryLater("endpoint counter failed"))
    checker.handler(event, Context())
    failing(checker, monkeypatch, ZeroDivisionError("division by zero"))
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "4"
    checker.handler(event, Context())
    failure = Failures(warehouse.table).find(body)
    assert (failure.reason, failure.attempts) == ("ZeroDivisionError: division by zero", 4)


def test_what_cannot_be_read_is_kept_with_its_error_and_without_its_content(checker, warehouse):  # noqa: F811
    checker.handler(sqs_event("a secret", {"hello": "a secret"}), Context())
    assert reason_of(warehouse, "a secret") == "the message is not JSON: Expecting value: line 1 column 1 (char 0)"
    assert "Records" in reason_of(warehouse, json.dumps({"hello": "a secret"}))
    assert "a secret" not in str(warehouse.table.scan()["Items"])


def test_a_reason_that_quotes_what_is_no_unicode_is_kept(checker, warehouse):  # noqa: F811
    body = json.dumps({"TopicArn": "a", "Type": "\ud800"})
    checker.handler(sqs_event(body), Context())
    assert reason_of(warehouse, body).startswith("SNS sends a ? for a, not an event")


def test_a_reason_that_cannot_be_kept_hides_no_fault(checker, warehouse, monkeypatch, caplog):  # noqa: F811
    def throttled(*_):
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem")

    failing(checker, monkeypatch, RetryLater("endpoint counter failed"))
    monkeypatch.setattr(checker.failures, "put", throttled)
    event = sqs_event(notification(upload("bin-images/1.jpg", image_of(3))))
    assert checker.handler(event, Context()) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    told = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.message for record in told] == ["message goes back to the queue", "the reason was not stored"]
    assert told[0].reason == "endpoint counter failed"


def test_a_long_reason_is_cut(warehouse):
    failures = Failures(warehouse.table)
    failures.put("body", "x" * 5000, 1, warehouse.clock)
    item = warehouse.table.scan()["Items"][0]
    assert len(json.dumps(item, default=str)) < 1024
    assert item["expires_at"] > warehouse.clock.timestamp() + 14 * 86_400
