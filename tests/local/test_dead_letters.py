import json
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from inventory.check import Alert, Check
from inventory.check_items import alert_item
from local.stack import queues
from local.stack.dead_letters import UNKNOWN, drop, list_dead_letters
from local.stack.queues import QueueFailed, depth, receive, redrive
from tests.builders import notification, upload

ARN = "arn:aws:sqs:us-east-1:123456789012:bincheck-InboxDeadLetters"


@pytest.fixture
def bury(deployed):
    """Put bodies among the dead letters."""

    def bury(*bodies):
        for body in bodies:
            deployed.cloud.sqs().send_message(QueueUrl=deployed.dead_letters_url, MessageBody=body)

    return bury


def body_of(*keys):
    return json.dumps(notification(*(upload(key, b"x") for key in keys)))


def alert_of(bin):
    """What the queue holds of an alert."""
    check = Check(bin, "", "a/b", "mismatch", "2026-03-01T12:00:00.000+00:00", expected=5, predicted=3)
    return alert_item(Alert("mismatch", check, 1), datetime(2026, 3, 1, tzinfo=UTC))["alert"]


def test_bins_and_the_last_reason_are_told(deployed, bury):
    body = body_of("BOS1/bin-images/1.jpg", "notes.txt")
    bury(body)
    deployed.failures.put(body, "endpoint counter failed", 5, datetime(2026, 3, 1, tzinfo=UTC))
    (letter,) = list_dead_letters(deployed)
    assert letter.bins == ("BOS1/1", "notes.txt")
    assert (letter.reason, letter.attempts) == ("endpoint counter failed", 5)
    assert letter.failed_at == "2026-03-01T00:00:00.000+00:00"
    assert abs((datetime.now(UTC) - letter.sent_at).total_seconds()) < 60


def test_of_an_alert_that_was_never_sent_the_bin_is_told(deployed, bury):
    bury(alert_of("BOS1/1"))
    deployed.failures.put(alert_of("BOS1/1"), "ClientError: no topic", 5, datetime(2026, 3, 1, tzinfo=UTC))
    (letter,) = list_dead_letters(deployed)
    assert (letter.bins, letter.keys, letter.reason) == (("BOS1/1",), (), "ClientError: no topic")


@pytest.mark.parametrize(
    "change",
    [{"kind": None}, {"check": 3}, {"check": {"bin": "1"}}, {"revision": "first"}, {"revision": float("inf")}],
)
def test_what_only_looks_like_an_alert_is_listed_all_the_same(deployed, bury, change):
    bury(json.dumps(json.loads(alert_of("1")) | change))
    (letter,) = list_dead_letters(deployed)
    assert letter.reason


def test_without_a_note_the_reason_is_what_can_be_seen(deployed, bury):
    bury("no notification", body_of("bin-images/1.jpg"))
    unreadable, silent = sorted(list_dead_letters(deployed), key=lambda letter: letter.keys)
    assert "the message is not JSON" in unreadable.reason
    assert silent.reason == UNKNOWN


def test_looking_takes_nothing_away(deployed, bury):
    bury(*(body_of(f"bin-images/{number}.jpg") for number in range(25)))
    assert len(list_dead_letters(deployed)) == 25
    assert len(list_dead_letters(deployed)) == 25


def test_what_is_dropped_is_archived_whole(deployed, bury, tmp_path):
    bodies = [body_of(f"bin-images/{number}.jpg") for number in range(12)]
    bury(*bodies)
    archive = tmp_path / "archive.jsonl"
    archive.write_text('{"body": "of an earlier time"}\n')
    assert sum(drop(deployed, archive)) == 12
    kept = [json.loads(line) for line in archive.read_text().splitlines()]
    assert {line["body"] for line in kept} == {*bodies, "of an earlier time"}
    assert list_dead_letters(deployed) == []


def test_what_cannot_be_archived_is_not_dropped(deployed, bury, tmp_path):
    bury(body_of("bin-images/1.jpg"))
    with pytest.raises(FileNotFoundError):
        list(drop(deployed, tmp_path / "missing" / "archive.jsonl"))
    assert depth(deployed, deployed.dead_letters_url) == 1


@pytest.fixture
def sqs(deployed, monkeypatch):
    """The queue service as AWS has it, which moves messages by itself; its answers are told beforehand."""
    client = deployed.cloud.sqs()
    address = deployed.dead_letters_url
    monkeypatch.setattr(type(deployed), "dead_letters_url", address)
    monkeypatch.setattr(type(deployed.cloud), "sqs", lambda _: client)
    monkeypatch.setattr(queues, "POLL_S", 0)
    with Stubber(client) as stubber:
        attributes = {"QueueUrl": address, "AttributeNames": ["QueueArn"]}
        stubber.add_response("get_queue_attributes", {"Attributes": {"QueueArn": ARN}}, attributes)
        yield stubber


def looks(sqs, *answers):
    for answer in answers:
        sqs.add_response("list_message_move_tasks", {"Results": [answer]}, {"SourceArn": ARN, "MaxResults": 1})


def test_sqs_moves_the_dead_letters_to_where_they_came_from_and_tells_how_many(deployed, sqs):
    sqs.add_response("start_message_move_task", {"TaskHandle": "task"}, {"SourceArn": ARN})
    looks(
        sqs,
        {"Status": "RUNNING"},
        {"Status": "RUNNING", "ApproximateNumberOfMessagesMoved": 7},
        {"Status": "COMPLETED", "ApproximateNumberOfMessagesMoved": 9},
    )
    assert list(redrive(deployed)) == [0, 7, 2]


def test_a_move_that_fails_says_why_and_what_is_left(deployed, sqs):
    sqs.add_response("start_message_move_task", {"TaskHandle": "task"}, {"SourceArn": ARN})
    failed = {
        "Status": "FAILED",
        "ApproximateNumberOfMessagesMoved": 3,
        "FailureReason": "CouldNotDetermineMessageSource",
    }
    looks(sqs, failed)
    with pytest.raises(QueueFailed, match=r"after 3 dead letters \(CouldNotDetermineMessageSource\)"):
        list(redrive(deployed))


def test_a_move_that_is_not_allowed_is_not_made_by_hand(deployed, sqs):
    sqs.add_client_error("start_message_move_task", "AccessDenied")
    with pytest.raises(ClientError, match="AccessDenied"):
        list(redrive(deployed))


def test_where_sqs_moves_nothing_each_goes_back_to_its_own_queue(deployed, bury, monkeypatch):
    def unknown(client, **_):
        raise ClientError({"Error": {"Code": "InvalidAction"}}, "StartMessageMoveTask")

    def received(stack, queue_url):
        """moto does not tell where a dead letter came from."""
        return [
            {**message, "Attributes": {"DeadLetterQueueSourceArn": f"arn:aws:sqs:us-east-1:1:{message['Body']}"}}
            for message in receive(stack, queue_url)
        ]

    client = deployed.cloud.sqs()
    monkeypatch.setattr(type(client), "start_message_move_task", unknown)
    monkeypatch.setattr(type(deployed.cloud), "sqs", lambda _: client)
    monkeypatch.setattr(queues, "receive", received)
    sources = deployed.inbox_queue_url, deployed.backfill_queue_url, deployed.alerts_queue_url
    bury(*(url.rsplit("/", 1)[-1] for url in sources))
    assert sum(redrive(deployed)) == 3
    assert [depth(deployed, url) for url in sources] == [1, 1, 1]
    assert depth(deployed, deployed.dead_letters_url) == 0
