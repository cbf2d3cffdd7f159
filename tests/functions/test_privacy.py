"""No image, no item's name and no payload gets into a log, whichever way a function ends."""

import base64
import io
import json
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from inventory.counting import count_objects
from inventory.errors import RejectedUpload, RetryLater
from tests.builders import JPEG, LABELS, PRIOR, metadata, metadata_of, notification, prediction, sqs_event
from tests.functions.test_handlers import (  # noqa: F401  (fixtures)
    Context,
    checker,
    counter,
    drop_minutes_ago,
    handlers,
    over_url,
    watchdog,
)

MARKER = "Strawberry-Jam-340g"
SECRET_IMAGE = JPEG + MARKER.encode()
GOOD = {
    "count": 2,
    "labels": LABELS,
    "probabilities": prediction(2).probabilities,
    "prior": PRIOR,
    "model": "m@1",
}


def item(**more):
    return {"asin": MARKER, "name": MARKER, "quantity": 2} | more


RECORDS = {
    "success": metadata_of(5, item()),
    "not JSON": f'{{"name": "{MARKER}"'.encode(),
    "not UTF-8": MARKER.encode() + b"\xff",
    "a list": json.dumps([MARKER]).encode(),
    "no quantity": json.dumps({MARKER: item()}).encode(),
    "a quantity in words": metadata(MARKER),
    "a quantity out of range": json.dumps({"EXPECTED_QUANTITY": -1, "BIN_FCSKU_DATA": {"1": item()}}).encode(),
    "an item that is none": json.dumps({"EXPECTED_QUANTITY": 2, "BIN_FCSKU_DATA": {"1": MARKER}}).encode(),
    "a size in words": metadata_of(2, item(length={"unit": MARKER, "value": MARKER})),
}


def answer(body):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return {"Body": StreamingBody(io.BytesIO(content), len(content))}


def refusal(code, status, said):
    fields = {"OriginalStatusCode": status, "OriginalMessage": said}
    return ClientError({"Error": {"Code": code, "Message": f"Received error {status} with {said}"}, **fields}, "Invoke")


ANSWERS = {
    "success": GOOD,
    "not JSON": MARKER.encode(),
    "a number in words": GOOD | {"probabilities": [MARKER]},
    "other labels": GOOD | {"labels": [MARKER] * 7},
    "a count in words": GOOD | {"count": MARKER},
    "a list": [MARKER],
    "a refused image": refusal("ModelError", 400, json.dumps({"reason": MARKER})),
    "a refusal in other words": refusal("ModelError", 400, MARKER),
    "a crash": refusal("ModelError", 500, MARKER),
    "a fault that nobody expects": RuntimeError("out of memory"),
}


@pytest.fixture
def said(caplog, capsys):
    """All that a function wrote since the last call: its log with fields and traces, and its metrics."""

    def since():
        log = caplog.text + str([vars(record) for record in caplog.records]) + capsys.readouterr().out
        caplog.clear()
        return log

    return since


def endpoint(monkeypatch, module, answered):
    def invoke_endpoint(**_):
        if isinstance(answered, Exception):
            raise answered
        return answer(answered)

    monkeypatch.setattr(module.runtime, "invoke_endpoint", invoke_endpoint)


@pytest.fixture
def asking(checker):  # noqa: F811
    """The Checker, asking an endpoint rather than reading the count out of the image."""
    count = lambda content, name: count_objects(checker.runtime, "counter", content, name)  # noqa: E731
    checker.workflow = replace(checker.workflow, count=count)
    return checker


def check(checker, warehouse, id, image, record):  # noqa: F811
    first = warehouse.put(f"bin-images/{id}.jpg", image)
    second = warehouse.put(f"metadata/{id}.json", record)
    return checker.handler(sqs_event(notification(first, second)), Context())


def test_what_a_record_holds_is_not_logged(asking, warehouse, monkeypatch, said):
    for number, (kind, record) in enumerate(RECORDS.items()):
        endpoint(monkeypatch, asking, GOOD)
        check(asking, warehouse, number, SECRET_IMAGE, record)
        (made,) = warehouse.checks(str(number))
        assert made.check_id in (log := said()), kind
        assert MARKER not in log, kind


def test_what_the_endpoint_answers_is_not_logged(asking, warehouse, monkeypatch, said):
    for number, (kind, answered) in enumerate(ANSWERS.items()):
        endpoint(monkeypatch, asking, answered)
        check(asking, warehouse, number, SECRET_IMAGE, metadata_of(5, item()))
        assert "checked" in (log := said()) or "goes back to the queue" in log, kind
        assert MARKER not in log, kind


def test_neither_an_image_that_is_none_nor_a_message_that_says_nothing_is_logged(asking, warehouse, said):
    check(asking, warehouse, 1, MARKER.encode(), metadata_of(5, item()))
    assert warehouse.checks("1")[0].status == "rejected"
    for message in (MARKER, json.dumps({"Records": [{"s3": MARKER}]}), json.dumps({"Records": MARKER})):
        asking.handler(sqs_event(message), Context())
    assert "goes back to the queue" in (log := said())
    assert MARKER not in log


def test_the_counter_logs_nothing_of_what_it_gets(counter, monkeypatch, said):  # noqa: F811
    for kind, answered in ANSWERS.items():
        for sent in (SECRET_IMAGE, MARKER.encode(), None):
            encoded = base64.b64encode(sent).decode() if sent else MARKER + "%"
            endpoint(monkeypatch, counter, answered)
            for event in ({"image": encoded}, over_url(encoded, isBase64Encoded=True)):
                with suppress(RejectedUpload, RetryLater, RuntimeError):
                    counter.handler(event, Context())
            log = said()
            assert MARKER not in log, kind
            assert encoded not in log


def test_an_upload_without_a_partner_is_logged_by_its_bin_only(watchdog, warehouse, monkeypatch, said):  # noqa: F811
    monkeypatch.setattr(watchdog, "config", replace(watchdog.config, pairing_timeout=timedelta(0)))
    drop_minutes_ago(warehouse, 1, "metadata/1.json", metadata_of(5, item()))
    assert watchdog.handler({}, Context()) == {"alerted": 1}
    assert MARKER not in said()
