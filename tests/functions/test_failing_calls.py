"""Each AWS call of a function fails, one after the other and in each way: what is lost, what comes twice.

`EVERY_CALL=1 pytest` goes through all of them; otherwise it is the first and the last of each operation. A fault
outlasts botocore's attempts. It is raised before the call takes effect, or after it, where the answer is lost.
"""

import itertools
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.builders import image_of, metadata, notification, seen, sqs_event
from tests.functions.conftest import REGION
from tests.functions.test_handlers import Context, handlers, metrics_in  # noqa: F401  (a fixture)

FAULTS: tuple[Callable[[str], Exception], ...] = (
    lambda operation: ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, operation),
    lambda operation: ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, operation),
    lambda operation: ReadTimeoutError(endpoint_url=f"https://{operation}"),
    lambda operation: EndpointConnectionError(endpoint_url=f"https://{operation}"),
)


@dataclass
class Calls:
    """The calls of one invocation. The one at the position `failing` fails, after its effect if `lost`."""

    failing: int | None = None
    lost: bool = False
    fault: Callable[[str], Exception] = FAULTS[0]
    made: list[str] = field(default_factory=list)

    @property
    def failed(self) -> str:
        return self.made[self.failing] if self.failing is not None else ""

    @contextmanager
    def fail(self, monkeypatch: Any) -> Iterator[None]:
        genuine = BaseClient._make_api_call

        def call(client: BaseClient, operation: str, parameters: Any) -> Any:
            self.made.append(" ".join(filter(None, (operation, parameters.get("IndexName")))))
            fails = len(self.made) - 1 == self.failing
            if fails and not self.lost:
                raise self.fault(operation)
            answer = genuine(client, operation, parameters)
            if fails:
                raise self.fault(operation)
            return answer

        with monkeypatch.context() as patch:
            patch.setattr(BaseClient, "_make_api_call", call)
            yield


@dataclass
class Subject:
    """A function under test. `new_round()` makes work for it. `results()` counts what came of each unit since; the last
    word of a unit says whose it is.

    `redelivered(event, answer, fault)` are the events that AWS delivers after an invocation. The work of all units
    needs the calls that are `shared`. After a fault in one that `repeats`, a message was sent and nobody knows it: it
    comes again.
    """

    handler: Callable[[Any], Any]
    units: tuple[str, ...]
    metrics: dict[str, float]
    new_round: Callable[[], Any]
    results: Callable[[], Counter[str]]
    redelivered: Callable[[Any, Any, Exception | None], list[Any]]
    shared: Callable[[Calls], bool] = lambda calls: False
    repeats: Callable[[Calls], bool] = lambda calls: False

    def invoke(self, event: Any, calls: Calls, monkeypatch: Any) -> list[Any]:
        answer = fault = None
        with calls.fail(monkeypatch):
            try:
                answer = self.handler(event)
            except Exception as error:
                fault = error
        return self.redelivered(event, answer, fault)


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "answer-lost"])
@pytest.mark.parametrize("function", ["reporter", "watchdog", "alerter", "checker"])
def test_whichever_call_fails_the_others_have_their_results_and_the_next_run_completes(
    function, lost, request, monkeypatch, capsys
):
    subject: Subject = request.getfixturevalue(f"{function}_subject")
    once_each, whole = Counter(subject.units), Calls()
    event = subject.new_round()
    capsys.readouterr()
    assert subject.invoke(event, whole, monkeypatch) == []
    assert subject.results() == once_each
    measured = metrics_in(capsys.readouterr().out)
    assert {name: measured[name] for name in subject.metrics} == subject.metrics
    for position in positions(whole.made):
        operation = whole.made[position]
        calls = Calls(position, lost, FAULTS[(position + lost) % len(FAULTS)])
        about = (position, operation, calls.fault(operation))
        event = subject.new_round()
        capsys.readouterr()
        events = subject.invoke(event, calls, monkeypatch)
        done, measured = subject.results(), metrics_in(capsys.readouterr().out)
        assert calls.failed == operation, about
        if not subject.shared(calls):
            assert len({unit.split()[-1] for unit in once_each - done}) <= 1, (about, done)
            assert measured.keys() >= subject.metrics.keys(), (about, measured)
        assert events or not once_each - done, (about, "nobody hears of it", done)
        for _ in range(8):
            if events:
                events += subject.invoke(events.pop(0), Calls(), monkeypatch)
        assert events == [], about
        done = subject.results()
        assert not once_each - done, (about, done)
        assert (done - once_each).total() <= subject.repeats(calls), (about, done)


def positions(made: list[str]) -> list[int]:
    """The first and the last call of each operation; every call where the environment has EVERY_CALL."""
    if os.environ.get("EVERY_CALL"):
        return list(range(len(made)))
    last = {operation: position for position, operation in enumerate(made)}
    return sorted({*map(made.index, last), *last.values()})


SITES = ("A", "B", "C")


@pytest.fixture
def reporter_subject(handlers, warehouse, sent_alerts, monkeypatch):  # noqa: F811
    for site in SITES:
        warehouse.drop(f"{site}/bin-images/1.jpg", image_of(3))
        warehouse.drop(f"{site}/metadata/1.json", metadata(5))
    warehouse.alerts()
    monkeypatch.setenv("DIGEST_TOPIC_ARN", warehouse.topic_arn)
    module = handlers("reporter")
    monkeypatch.setattr(module, "LEASE_MS", 0)

    class DayAfter(datetime):
        @classmethod
        def now(cls, zone):
            return datetime(2026, 3, 2, 0, 30, tzinfo=zone)

    monkeypatch.setattr(module, "datetime", DayAfter)
    day, told = datetime(2026, 3, 1, tzinfo=UTC).date(), Counter()

    def new_round():
        told.clear()
        warehouse.alerts()
        for item in sent_alerts.scan(TableName="sent-alerts")["Items"]:
            sent_alerts.delete_item(TableName="sent-alerts", Key={"id": item["id"]})
        for site in SITES:
            warehouse.table.delete_item(Key={"bin": "tallies/", "check": f"{day}#{site}"})
        return {}

    def results():
        told.update(f"digest {digest['site']}" for digest in warehouse.alerts())
        tallied = Counter(f"tally {tally.site}" for tally in module.tallies.between(day, day))
        return told + tallied

    return Subject(
        handler=lambda event: module.handler(event, Context()),
        units=tuple(f"{kind} {site}" for kind in ("tally", "digest") for site in SITES),
        new_round=new_round,
        redelivered=lambda event, _, fault: [event] if fault else [],
        results=results,
        metrics={"DriftedSites": 0, "DisagreeingSites": 0},
        shared=lambda calls: calls.failed.startswith("Query"),
        repeats=lambda calls: calls.failed == "UpdateItem" or (calls.failed == "Publish" and calls.lost),
    )


@pytest.fixture
def watchdog_subject(handlers, warehouse, sent_alerts, monkeypatch):  # noqa: F811
    operations = boto3.client("sns", region_name=REGION).create_topic(Name="operations")["TopicArn"]
    queue = boto3.resource("sqs", region_name=REGION).create_queue(QueueName="mail")
    boto3.client("sns", region_name=REGION).subscribe(
        TopicArn=operations, Protocol="sqs", Endpoint=queue.attributes["QueueArn"]
    )
    module = handlers("watchdog")
    warehouse.clock = datetime.now(UTC) - timedelta(minutes=16)
    numbers, told = itertools.count(), Counter()

    def new_round():
        results()
        told.clear()
        number = next(numbers)
        sent_alerts.put_item(
            TableName="sent-alerts",
            Item={"id": {"S": "hourly-email"}, "holder": {"S": "a"}, "free_at": {"N": "0"}, "rejected": {"N": "1"}},
        )
        for bin in "abc":
            warehouse.drop(f"bin-images/{bin}{number}.jpg", image_of(3))
        return {}

    def redelivered(event, _, fault):
        sent_alerts.update_item(  # its lease has run out
            TableName="sent-alerts",
            Key={"id": {"S": "hourly-email"}},
            UpdateExpression="SET free_at = :past",
            ExpressionAttributeValues={":past": {"N": "0"}},
        )
        return [event] if fault else []

    def results():
        told.update(alert["bin"][0] for alert in warehouse.alerts())
        for message in queue.receive_messages(MaxNumberOfMessages=10):
            told["digest"] += 1
            message.delete()
        return told.copy()

    return Subject(
        handler=lambda event: module.handler(event, Context()),
        units=("a", "b", "c", "digest"),
        new_round=new_round,
        redelivered=redelivered,
        results=results,
        metrics={"Unpaired": 3},
        shared=lambda calls: calls.failed == "Query open-by-day",
        repeats=lambda calls: calls.made[: calls.failing + 1].count("UpdateItem") == 2 or calls.failed == "Publish",
    )


@pytest.fixture
def alerter_subject(handlers, warehouse, sent_alerts, monkeypatch):  # noqa: F811
    sns, sqs = boto3.client("sns", region_name=REGION), boto3.resource("sqs", region_name=REGION)
    chat, inbox = sns.create_topic(Name="chat")["TopicArn"], sqs.create_queue(QueueName="chat")
    sns.subscribe(TopicArn=chat, Protocol="sqs", Endpoint=inbox.attributes["QueueArn"])
    queue = sqs.create_queue(QueueName="alerts")
    monkeypatch.setenv("ALERTS_QUEUE_URL", queue.url)
    monkeypatch.setenv("CHAT_TOPIC_ARN", chat)
    monkeypatch.setattr(warehouse.outbox, "send", lambda: None)
    module = handlers("alerter")
    monkeypatch.setattr(module, "RETRY_DELAY_S", 0)
    monkeypatch.setattr(module, "MIN_REMAINING_TIME_MS", -10)
    numbers, told = itertools.count(), Counter()
    outdated = Context(remaining_ms=-1)  # the lease of one that is being sent is over at once

    def received():
        told.update(f"alert {alert['bin'][0]}" for alert in warehouse.alerts())
        for message in inbox.receive_messages(MaxNumberOfMessages=10):
            told[f"chat {json.loads(json.loads(message.body)['Message'])['content']['title'][5]}"] += 1
            message.delete()
        return told.copy()

    def new_round():
        received()
        told.clear()
        number = next(numbers)
        item = {"id": {"S": "hourly-email"}, "holder": {"S": "another"}, "free_at": {"N": str(2**40)}}
        sent_alerts.put_item(TableName="sent-alerts", Item=item)
        for bin, record in (("a", metadata(5)), ("b", b"no record"), ("c", metadata(4))):
            warehouse.drop(f"bin-images/{bin}{number}.jpg", image_of(3))
            warehouse.drop(f"metadata/{bin}{number}.json", record)
        return {"Records": warehouse.outbox.records()}

    def redelivered(event, answer, fault):
        failed = {each["itemIdentifier"] for each in (answer or {}).get("batchItemFailures", ())}
        bodies = [each["body"] for each in event["Records"] if each.get("messageId") in failed]
        for message in queue.receive_messages(MaxNumberOfMessages=10):
            bodies.append(message.body)
            message.delete()
        return ([event] if fault else []) + ([sqs_event(*bodies)] if bodies else [])

    return Subject(
        handler=lambda event: module.handler(event, outdated),
        units=tuple(f"{topic} {bin}" for topic in ("alert", "chat") for bin in "abc"),
        new_round=new_round,
        redelivered=redelivered,
        results=received,
        metrics={"AlertsSent": 3},
        repeats=lambda calls: calls.failed in ("UpdateItem", "Publish"),
    )


@pytest.fixture
def checker_subject(handlers, warehouse, monkeypatch):  # noqa: F811
    module = handlers("checker")
    monkeypatch.setattr(module, "workflow", replace(module.workflow, count=seen))
    monkeypatch.setattr(module, "threads", ThreadPoolExecutor(1))
    numbers, told, bins = itertools.count(), Counter(), []

    def results():
        told.update(f"alert {alert['bin'][0]}" for alert in warehouse.alerts())
        return told + Counter(f"check {bin[0]}" for bin in bins for _ in warehouse.checks(bin))

    def new_round():
        results()
        told.clear()
        number = next(numbers)
        bins[:] = [f"{bin}{number}" for bin in "abc"]
        messages = []
        for bin in bins:
            warehouse.put(f"bin-images/{bin}.jpg", image_of(3))
            messages.append(notification(warehouse.put(f"metadata/{bin}.json", metadata(5))))
        return sqs_event(*messages)

    def redelivered(event, answer, _):
        failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
        records = [each for each in event["Records"] if each["messageId"] in failed]
        return [{"Records": records}] if records else []

    return Subject(
        handler=lambda event: module.handler(event, Context()),
        units=tuple(f"{kind} {bin}" for kind in ("check", "alert") for bin in "abc"),
        new_round=new_round,
        redelivered=redelivered,
        results=results,
        metrics={"Checks": 3, "AlertsPut": 3},
    )
