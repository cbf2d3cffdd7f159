import base64
import importlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.response import StreamingBody

from inventory.check_store import CheckStore
from inventory.errors import RejectedUpload, RetryLater
from tests.builders import (
    JPEG,
    LABELS,
    PRIOR,
    eventbridge_event,
    image_of,
    metadata,
    notification,
    prediction,
    seen,
    sqs_event,
)


class Context:
    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:000000000000:function:function"
    aws_request_id = "request-1"

    def __init__(self, remaining_ms=60_000):
        self.get_remaining_time_in_millis = lambda: remaining_ms


@pytest.fixture
def handlers(warehouse, monkeypatch):
    """Imports a function's module as its process would, in the stack of the test."""
    environment = {
        "ENDPOINT_NAME": "counter",
        "CHECKS_TABLE": "checks",
        "MISMATCH_TOPIC_ARN": warehouse.topic_arn,
        "MISMATCH_RATE": "0.02",
        "AUDIT_SHARE": "0",
        "WAIT_MINUTES": "15",
        "SENT_ALERTS_TABLE": "sent-alerts",
        "OPERATIONS_TOPIC_ARN": warehouse.topic_arn.replace("mismatches", "operations"),
        "POWERTOOLS_TRACE_DISABLED": "true",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    importlib.import_module("inventory.observability").metrics.clear_metrics()
    return lambda name: importlib.reload(importlib.import_module(name))


@pytest.fixture
def checker(handlers, warehouse, monkeypatch):
    module = handlers("checker")
    monkeypatch.setattr(module, "workflow", replace(module.workflow, count=seen))
    return module


def metrics_in(output):
    """The metrics of the EMF lines in a function's output, summed by name."""
    totals = {}
    for line in output.splitlines():
        entry = json.loads(line)
        for group in entry.get("_aws", {}).get("CloudWatchMetrics", []):
            for metric in group["Metrics"]:
                totals[metric["Name"]] = sum(entry[metric["Name"]])
    return totals


# Checker


def test_one_bad_message_goes_back_and_the_rest_of_its_batch_is_checked(checker, warehouse, capsys):
    image = warehouse.put("bin-images/1.jpg", image_of(3))
    record = warehouse.put("metadata/1.json", metadata(5))
    answer = checker.handler(sqs_event(notification(image), "no notification", notification(record)), Context())
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert [check.status for check in warehouse.checks("1")] == ["mismatch"]
    output = capsys.readouterr().out
    measured = metrics_in(output)
    assert 0 < measured.pop("Suspicion") < 2
    assert measured == {"AlertsPut": 1.0, "Checks": 2.0, "Mismatches": 2.0, "Returned": 1.0}
    assert "no notification" not in output


def test_a_match_counts_as_no_mismatch_so_that_their_average_is_the_mismatch_rate(checker, warehouse, capsys):
    image, record = warehouse.put("bin-images/1.jpg", image_of(3)), warehouse.put("metadata/1.json", metadata(3))
    checker.handler(sqs_event(notification(image), notification(record)), Context())
    measured = metrics_in(capsys.readouterr().out)
    assert (measured["Checks"], measured["Mismatches"]) == (2, 0)


def test_messages_for_which_no_time_is_left_go_back_untouched(checker, warehouse):
    event = sqs_event(notification(warehouse.put("bin-images/1.jpg", image_of(3))))
    answer = checker.handler(event, Context(remaining_ms=1_000))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert warehouse.checks("1") == []


def test_a_bare_notification_is_checked_and_its_failure_is_an_error(checker, warehouse):
    warehouse.put("bin-images/1.jpg", image_of(3))
    event = notification(warehouse.put("metadata/1.json", metadata(3)))
    assert len(checker.handler(event, Context())) == 1
    assert [check.status for check in warehouse.checks("1")] == ["match"]
    with pytest.raises(Exception, match="expected an S3 notification"):
        checker.handler({"hello": "world"}, Context())


def test_the_test_event_of_s3_is_ignored(checker):
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inbox"}
    assert checker.handler(sqs_event(event), Context()) == {"batchItemFailures": []}
    assert checker.handler(event, Context()) == []


@pytest.mark.parametrize("told", ["ObjectTagging:Put", "Object Tags Added"])
def test_an_event_that_changes_no_content_is_passed_over_with_a_debug_log(checker, warehouse, caplog, capsys, told):
    image = warehouse.put("bin-images/1.jpg", image_of(3))
    event = notification(image, name=told) if ":" in told else eventbridge_event(image, told)
    caplog.set_level("DEBUG", logger=checker.logger.name)
    assert checker.handler(sqs_event(event), Context()) == {"batchItemFailures": []}
    (entry,) = [record for record in caplog.records if record.message == "no upload and no removal"]
    assert (entry.levelname, entry.event_name, entry.key) == ("DEBUG", told, "bin-images/1.jpg")
    assert (warehouse.checks("1"), metrics_in(capsys.readouterr().out)) == ([], {})


def test_logs_name_the_check_and_hold_no_payload(checker, warehouse, caplog):
    warehouse.put("bin-images/1.jpg", image_of(3))
    checker.handler(sqs_event(notification(warehouse.put("metadata/1.json", metadata(5)))), Context())
    (entry,) = [record for record in caplog.records if record.message == "checked"]
    assert (entry.bin, entry.status, entry.expected, entry.predicted) == ("1", "mismatch", 5, 3)
    assert "Test item" not in str([vars(record) for record in caplog.records])


# Counter


@pytest.fixture
def counter(handlers, monkeypatch):
    module = handlers("counter")
    module.asked = []

    def invoke_endpoint(**request):
        module.asked.append(request)
        body = json.dumps(
            {"count": 2, "labels": LABELS, "probabilities": prediction(2).probabilities, "prior": PRIOR, "model": "m@1"}
        ).encode()
        return {"Body": StreamingBody(io.BytesIO(body), len(body))}

    monkeypatch.setattr(module.runtime, "invoke_endpoint", invoke_endpoint)
    return module


def over_url(body, **more):
    return {"requestContext": {"http": {"method": "POST"}}, "body": body, **more}


def test_an_image_in_an_event_is_counted(counter):
    answer = counter.handler({"image": base64.b64encode(JPEG).decode()}, Context())
    assert answer["count"] == 2
    assert json.loads(json.dumps(answer))["labels"] == list(LABELS)
    assert counter.asked[0]["Body"] == JPEG


def test_an_image_sent_to_the_url_is_counted(counter):
    answer = counter.handler(over_url(base64.b64encode(JPEG).decode(), isBase64Encoded=True), Context())
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["count"] == 2


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ({}, "there is no image"),
        ({"image": 3}, "there is no image"),
        ({"image": "%%%"}, "not base64"),
        ({"image": "\u00e9\ud800"}, "not base64"),
        ({"image": base64.b64encode(b"hello").decode()}, "neither JPEG nor PNG"),
        ({"image": base64.b64encode(b"x" * 6_291_457).decode()}, "6,291,457 bytes"),
    ],
    ids=["none", "number", "no-base64", "no-ascii", "text", "too-large"],
)
def test_what_is_no_image_is_refused_by_name(counter, event, reason):
    with pytest.raises(RejectedUpload, match=reason):
        counter.handler(event, Context())
    over_http = counter.handler(over_url(event.get("image"), isBase64Encoded=True), Context())
    assert over_http["statusCode"] == 400
    assert reason in json.loads(over_http["body"])["reason"]


def test_text_sent_to_the_url_is_refused(counter):
    assert counter.handler(over_url("hello", isBase64Encoded=False), Context())["statusCode"] == 400


def test_a_failing_endpoint_answers_503_and_counts_as_an_endpoint_error(counter, monkeypatch, capsys):
    def down(*_):
        raise RetryLater("endpoint counter failed")

    monkeypatch.setattr(counter, "count_objects", down)
    answer = counter.handler(over_url(base64.b64encode(JPEG).decode(), isBase64Encoded=True), Context())
    assert answer["statusCode"] == 503
    assert metrics_in(capsys.readouterr().out)["EndpointErrors"] == 1


# Watchdog


@pytest.fixture
def watchdog(handlers, sent_alerts):
    return handlers("watchdog")


def drop_minutes_ago(warehouse, minutes, key, content):
    warehouse.clock = datetime.now(UTC) - timedelta(minutes=minutes)
    return warehouse.drop(key, content)


def test_an_upload_that_waited_too_long_is_alerted_once(watchdog, warehouse):
    drop_minutes_ago(warehouse, 16, "BOS1/bin-images/1.jpg", image_of(3))
    drop_minutes_ago(warehouse, 14, "BOS1/bin-images/2.jpg", image_of(3))
    assert watchdog.handler({}, Context()) == {"alerted": 1}
    assert watchdog.handler({}, Context()) == {"alerted": 0}
    (alert,) = warehouse.alerts()
    assert (alert["bin"], alert["kind"], alert["predicted"]) == ("BOS1/1", "unpaired", None)
    assert alert["attributes"] == {"kind": "unpaired", "severity": "medium", "site": "BOS1"}


def test_an_upload_of_last_week_is_not_forgotten(watchdog, warehouse):
    drop_minutes_ago(warehouse, 7 * 24 * 60, "metadata/1.json", metadata(3))
    assert watchdog.handler({}, Context()) == {"alerted": 1}


def test_a_partner_that_came_is_not_alerted_even_while_its_check_still_fails(watchdog, warehouse):
    def down(content, inference_id):
        raise RetryLater("endpoint counter failed")

    drop_minutes_ago(warehouse, 16, "bin-images/1.jpg", image_of(3))
    with pytest.raises(RetryLater):
        replace(warehouse.workflow, count=down).process(warehouse.put("metadata/1.json", metadata(3)))
    assert watchdog.handler({}, Context()) == {"alerted": 0}


def test_the_same_upload_again_does_not_alert_again(watchdog, warehouse):
    drop_minutes_ago(warehouse, 16, "bin-images/1.jpg", image_of(3))
    watchdog.handler({}, Context())
    warehouse.drop("bin-images/1.jpg", image_of(3))
    assert watchdog.handler({}, Context()) == {"alerted": 0}
    (check,) = warehouse.store.list_open("unpaired", warehouse.clock - timedelta(hours=1), datetime.now(UTC))
    assert check.bin == "1"


FAILURES = [
    ClientError({"Error": {"Code": "ThrottlingException"}}, "PutItem"),
    ReadTimeoutError(endpoint_url="https://dynamodb"),
    RetryLater("the bin changed"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_a_bin_that_cannot_be_told_of_does_not_keep_back_the_others(watchdog, warehouse, monkeypatch, failure):
    commit = CheckStore.commit

    def refuse_the_first(store, state, *args):
        if state.bin.name == "1":
            raise failure
        commit(store, state, *args)

    drop_minutes_ago(warehouse, 17, "bin-images/1.jpg", image_of(3))
    drop_minutes_ago(warehouse, 16, "bin-images/2.jpg", image_of(3))
    with monkeypatch.context() as patch:
        patch.setattr(CheckStore, "commit", refuse_the_first)
        with pytest.raises(RetryLater, match="1 uploads"):
            watchdog.handler({}, Context())
    assert [alert["bin"] for alert in warehouse.alerts()] == ["2"]
    assert watchdog.handler({}, Context()) == {"alerted": 1}
    assert [alert["bin"] for alert in warehouse.alerts()] == ["1"]


def test_a_list_that_fails_keeps_neither_the_metric_nor_what_was_listed_back(watchdog, warehouse, monkeypatch, capsys):
    drop_minutes_ago(warehouse, 17, "bin-images/1.jpg", image_of(3))
    whole = CheckStore.list_open

    def breaking(store, *args):
        yield from whole(store, *args)
        raise FAILURES[0]

    monkeypatch.setattr(CheckStore, "list_open", breaking)
    with pytest.raises(RetryLater, match="their list"):
        watchdog.handler({}, Context())
    assert metrics_in(capsys.readouterr().out)["Unpaired"] == 1
    assert [alert["bin"] for alert in warehouse.alerts()] == ["1"]


def test_an_upload_that_fails_keeps_no_other_of_its_notification_back(checker, warehouse, monkeypatch):
    commit = CheckStore.commit

    def refuse_the_first(store, state, *args):
        if state.bin.name == "1":
            raise FAILURES[0]
        commit(store, state, *args)

    both = [notification(warehouse.put(f"bin-images/{id}.jpg", image_of(3))) for id in "12"]
    event = {"Records": [record for each in both for record in each["Records"]]}
    monkeypatch.setattr(CheckStore, "commit", refuse_the_first)
    assert checker.handler(sqs_event(event), Context()) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert warehouse.state("2").lone
    both = [notification(warehouse.put(f"metadata/{id}.json", metadata(3))) for id in "12"]
    event = {"Records": [record for each in both for record in each["Records"]]}
    with pytest.raises(RetryLater, match="1 uploads"):
        checker.handler(event, Context())
    assert [check.status for check in warehouse.checks("2")] == ["match"]


def test_each_upload_that_fails_is_logged_with_its_key_and_their_reasons_are_stored(
    checker, warehouse, monkeypatch, caplog
):
    def fail(image, inference_id):
        count = seen(image).count
        if count == 1:
            return prediction(1)
        raise RetryLater("endpoint counter failed") if count == 2 else ZeroDivisionError("division by zero")

    monkeypatch.setattr(checker, "workflow", replace(checker.workflow, count=fail))
    told = []
    for id in "123":
        warehouse.put(f"metadata/{id}.json", metadata(3))
        told += notification(warehouse.put(f"bin-images/{id}.jpg", image_of(int(id))))["Records"]
    event = sqs_event({"Records": told})
    assert checker.handler(event, Context()) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    entries = [record for record in caplog.records if record.message == "message goes back to the queue"]
    assert [(entry.key, entry.reason, bool(entry.exc_info)) for entry in entries] == [
        ("bin-images/2.jpg", "endpoint counter failed", False),
        ("bin-images/3.jpg", "ZeroDivisionError: division by zero", True),
    ]
    stored = checker.failures.find(event["Records"][0]["body"])
    assert stored.reason == "endpoint counter failed; ZeroDivisionError: division by zero"


def test_a_watchdog_out_of_time_leaves_the_rest_to_its_next_run(watchdog, warehouse):
    drop_minutes_ago(warehouse, 16, "bin-images/1.jpg", image_of(3))
    assert watchdog.handler({}, Context(remaining_ms=1_000)) == {"alerted": 0}
    assert watchdog.handler({}, Context()) == {"alerted": 1}


# Settings


@pytest.mark.parametrize(
    ("function", "name", "value", "reason"),
    [
        ("checker", "ENDPOINT_NAME", "", "ENDPOINT_NAME is not set"),
        ("checker", "MISMATCH_RATE", "often", "MISMATCH_RATE is 'often': it must be a number"),
        ("checker", "MISMATCH_RATE", "0.7", "must lie between 0.0001 and 0.5"),
        ("checker", "SLIPS", "-1:much", "SLIPS is '-1:much': write it as"),
        ("checker", "SLIPS", "-1:0.7,1:0.7", "add up to 1 at most"),
        ("checker", "SLIPS", "0:0.7", "no slip is 0"),
        ("watchdog", "WAIT_MINUTES", "-1", "must lie between 0 and 10080"),
        ("alerter", "ALERTS_QUEUE_URL", "", "ALERTS_QUEUE_URL is not set"),
        ("counter", "ENDPOINT_NAME", "", "ENDPOINT_NAME is not set"),
        ("reporter", "CHECKS_TABLE", "", "CHECKS_TABLE is not set"),
    ],
)
def test_a_senseless_setting_is_named_at_start(handlers, monkeypatch, function, name, value, reason):
    monkeypatch.setenv(name, value)
    with pytest.raises(Exception, match=reason):
        handlers(function)


@pytest.mark.parametrize(("function", "name"), [("counter", "MISMATCH_TOPIC_ARN"), ("watchdog", "ENDPOINT_NAME")])
def test_a_function_needs_no_setting_of_another(handlers, monkeypatch, function, name):
    monkeypatch.delenv(name)
    assert handlers(function).handler
