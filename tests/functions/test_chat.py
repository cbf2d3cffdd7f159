"""Alerts in Slack and Teams, by the schema of Amazon Q Developer's custom notifications."""

import json
import re
from dataclasses import asdict, replace

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from inventory.alert_text import to_do
from inventory.chat import in_chat, notification
from inventory.check import LastAlert
from tests.builders import sqs_event
from tests.functions.conftest import REGION
from tests.functions.test_alerter import alerter, records  # noqa: F401  (fixtures)
from tests.functions.test_alerts import ALERTS, MATCH, MISMATCH
from tests.functions.test_handlers import Context, handlers  # noqa: F401  (a fixture)

LINK = "https://review.example/bin?bin=BOS1%2F523&check=a%2Fb"


def test_a_chat_shows_what_how_sure_and_why_what_to_do_and_where():
    alert = ALERTS["mismatch"]
    assert notification(alert, LINK) == {
        "version": "1.0",
        "source": "custom",
        "id": alert.alert_id,
        "content": {
            "textType": "client-markdown",
            "title": "Bin `BOS1/523`: recorded 3, seen 2, suspicion 25%",
            "description": "Bin `BOS1/523`: the record says 3, the image shows 2: 1 missing.\n"
            "Chance that the record is wrong: 25% (medium severity).\n"
            "Why: the model gives 2 a probability of 70%, and the recorded 3 a probability of 20%.",
            "nextSteps": [
                f"What to do: {to_do(alert)}",
                LINK,
            ],
            "keywords": ["bincheck", "mismatch", "medium", "missing"],
        },
        "metadata": {
            "threadId": MISMATCH.check_id,
            "summary": "Bin `BOS1/523`: recorded 3, seen 2, suspicion 25%",
            "eventType": "bincheck-mismatch",
            "additionalContext": {"alert_id": alert.alert_id, "check_id": MISMATCH.check_id},
        },
    }


def test_a_resolved_alert_is_in_the_thread_of_the_alert_that_it_closes():
    closing = replace(MATCH, check="a/c", resolves=asdict(LastAlert.of(MISMATCH)))
    resolved = notification(replace(ALERTS["resolved"], check=closing))
    assert resolved["metadata"]["threadId"] == notification(ALERTS["mismatch"])["metadata"]["threadId"]


@pytest.mark.parametrize("kind", ALERTS)
@pytest.mark.parametrize("hostile", ["a`*b*`<!channel>@here<https://e.example|x>&lt;\n# y", "`", "", "[x](https://e)"])
def test_names_and_reasons_format_nothing_link_nothing_and_mention_nobody(kind, hostile):
    alert = ALERTS[kind]
    said = notification(replace(alert, check=replace(alert.check, bin=hostile, reason=hostile)))
    for text in (said["content"]["title"], said["content"]["description"], *said["content"]["nextSteps"]):
        outside = re.sub(r"`[^`\n]+`", "", text)
        assert not set(outside) & set("`<>@&*_[]#")
        assert not set(text) & set("<>@&")


@given(st.text(st.characters(codec="utf-8") | st.sampled_from("`<>&@\n\x1b\u202e\u2028"), max_size=400))
def test_any_text_is_one_code_span(text):
    assert re.fullmatch(r"`[^`<>&@\n\x1b\u202e\u2028]{1,300}`", in_chat(text))


@pytest.fixture
def chatting(alerter, warehouse, monkeypatch, handlers):  # noqa: F811
    """The Alerter with a chat topic, and what a chat receives."""
    topic = boto3.resource("sns", region_name=REGION).create_topic(Name="chat")
    inbox = boto3.resource("sqs", region_name=REGION).create_queue(QueueName="chat")
    topic.subscribe(Protocol="sqs", Endpoint=inbox.attributes["QueueArn"], Attributes={"RawMessageDelivery": "true"})
    monkeypatch.setenv("CHAT_TOPIC_ARN", topic.arn)
    waiting, module = alerter.waiting, handlers("alerter")
    monkeypatch.setattr(module, "RETRY_DELAY_S", 0)
    module.waiting = waiting
    module.chats = lambda: [json.loads(message.body) for message in inbox.receive_messages(MaxNumberOfMessages=10)]
    return module


def test_each_alert_is_in_chat_once(chatting, warehouse, records):  # noqa: F811
    for _ in range(2):
        chatting.handler({"Records": records}, Context())
    assert [said["content"]["title"].split(":")[0] for said in chatting.chats()] == ["Bin `1`", "Bin `2`", "Bin `3`"]
    assert len(warehouse.alerts()) == 3


def test_a_chat_that_fails_is_retried_and_repeats_no_alert(chatting, warehouse, records, monkeypatch):  # noqa: F811
    def refused(alert):
        raise ClientError({"Error": {"Code": "Throttling", "Message": "no"}}, "Publish")

    with monkeypatch.context() as broken:
        broken.setattr(chatting.chat, "publish", refused)
        chatting.handler({"Records": records[:1]}, Context())
    (waiting,) = chatting.waiting()
    assert chatting.chats() == []
    assert chatting.handler(sqs_event(waiting), Context()) == {"batchItemFailures": []}
    assert len(chatting.chats()) == 1
    assert len(warehouse.alerts()) == 1


def test_an_alert_that_fails_is_in_chat_all_the_same_and_once(chatting, warehouse, records, monkeypatch):  # noqa: F811
    def refused(*_):
        raise ClientError({"Error": {"Code": "Throttling"}}, "Publish")

    with monkeypatch.context() as broken:
        broken.setattr(chatting.alerts, "publish", refused)
        chatting.handler({"Records": records[:1]}, Context())
    (waiting,) = chatting.waiting()
    assert chatting.handler(sqs_event(waiting), Context()) == {"batchItemFailures": []}
    assert (len(warehouse.alerts()), len(chatting.chats())) == (1, 1)


def test_a_chat_for_which_no_time_is_left_waits_in_the_queue(chatting, warehouse, records, monkeypatch):  # noqa: F811
    context, publish = Context(), chatting.alerts.publish

    def slow(*alert):
        publish(*alert)
        context.get_remaining_time_in_millis = lambda: 15_000

    monkeypatch.setattr(chatting.alerts, "publish", slow)
    chatting.handler({"Records": records[:1]}, context)
    assert (len(chatting.waiting()), len(warehouse.alerts()), chatting.chats()) == (1, 1, [])
