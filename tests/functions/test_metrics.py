"""What alarms and dashboard look at, the functions really measure."""

import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ReadTimeoutError

from tests.builders import JPEG, image_of, metadata, notification, sqs_event
from tests.functions.test_alerter import alerter  # noqa: F401  (fixture)
from tests.functions.test_handlers import Context, checker, drop_minutes_ago, handlers, watchdog  # noqa: F401  (fixtures)
from tests.template import resource
from tests.watched import OURS, watched


def checker_measures(checker, warehouse, monkeypatch):  # noqa: F811
    first, second = warehouse.put("bin-images/1.jpg", image_of(3)), warehouse.put("metadata/1.json", metadata(5))
    alone = warehouse.put("metadata/2.json", metadata(5))
    no_place = warehouse.put("somewhere.txt", b"")
    checker.handler(sqs_event(notification(first, second), notification(alone, no_place)), Context())

    def silent(**_):
        raise ReadTimeoutError(endpoint_url="http://endpoint")

    monkeypatch.setattr(checker.runtime, "invoke_endpoint", silent)
    monkeypatch.setattr(checker.workflow.__class__, "_judge", lambda *_: checker.count(JPEG, "check"))
    checker.handler(sqs_event(notification(warehouse.put("bin-images/2.jpg", image_of(3)))), Context())


@pytest.fixture
def measured(handlers, warehouse, monkeypatch, capsys, request):  # noqa: F811
    """The names of the metrics that each function published, by its service."""
    names = {}

    def read(function):
        said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        groups = [group for entry in said for group in entry.get("_aws", {}).get("CloudWatchMetrics", [])]
        assert {json.dumps(group["Dimensions"]) for group in groups} == {'[["service"]]'}
        service = resource(function)["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"]
        names[service] = {metric["Name"] for group in groups for metric in group["Metrics"]}

    capsys.readouterr()
    checker_measures(request.getfixturevalue("checker"), warehouse, monkeypatch)
    read("Checker")
    drop_minutes_ago(warehouse, 16, "bin-images/3.jpg", image_of(3))
    send = request.getfixturevalue("alerter").handler  # its fixture makes the table of sent alerts
    request.getfixturevalue("watchdog").handler({}, Context())
    read("Watchdog")
    send({"Records": warehouse.outbox.records()}, Context())
    send(sqs_event("no alert"), Context())
    read("Alerter")
    handlers("reporter").handler({"day": str(datetime.now(UTC).date())}, Context())
    read("Reporter")
    return names


def test_what_is_watched_is_measured(measured):
    ours = {(metric.service, metric.name) for metric in watched() if metric.namespace == OURS}
    assert ours <= {(service, name) for service, names in measured.items() for name in names}
