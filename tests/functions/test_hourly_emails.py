"""Rejected and unpaired uploads send an email at once, then one an hour at most, and none is left out."""

import json
from datetime import datetime
from itertools import pairwise
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inventory.alert_text import Unnamed
from inventory.hourly_emails import LEASE_S, PERIOD_S, HourlyEmails
from tests.functions.conftest import REGION, account, warehouse  # noqa: F401  (fixtures)
from tests.functions.test_handlers import Context, handlers  # noqa: F401  (fixture)

RUN_S = 300
"""How often the Watchdog runs."""
emails_sent = st.lists(
    st.lists(st.tuples(st.sampled_from(["rejected", "unpaired"]), st.integers(0, RUN_S - 1)), max_size=3), max_size=20
)


@example(runs=[[("rejected", 0), ("rejected", 0)]], deaths=set())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(runs=emails_sent, deaths=st.sets(st.integers(0, 60), max_size=3))
def test_every_upload_is_named_once_and_within_an_hour_and_a_run(sent_alerts, runs, deaths):
    """Alerters and the Watchdog, which dies now and then after it has claimed a digest, over the hours."""
    sent_alerts.delete_item(TableName="sent-alerts", Key={"id": {"S": "hourly-email"}})
    emails, held, mailed, named = HourlyEmails(sent_alerts, "sent-alerts"), [], [], []

    def mail(at_s, unnamed):
        mailed.append(at_s)
        named.extend((kind, at_s) for kind, number in unnamed.numbers for _ in range(number))

    for number, uploads in enumerate([*runs, *[[]] * 15]):
        for position, (kind, second) in enumerate(sorted(uploads, key=lambda upload: upload[1])):
            at_s = number * RUN_S + second
            unnamed = emails.claim(f"{number} {position}", at_s)
            if unnamed is None:
                emails.count(kind)
                held.append((kind, at_s))
            else:
                mail(at_s, unnamed)
                emails.settle(unnamed)
        now_s = (number + 1) * RUN_S
        unnamed = emails.claim_digest(now_s)
        if unnamed and number not in deaths:
            mail(now_s, unnamed)
            emails.settle_digest(unnamed, now_s)
    for kind in ("rejected", "unpaired"):
        waits = zip(
            [at_s for one, at_s in held if one == kind], [at_s for one, at_s in named if one == kind], strict=True
        )
        assert all(0 <= end - start <= PERIOD_S + RUN_S * (1 + len(deaths)) for start, end in waits)
    assert all(second - first >= PERIOD_S for first, second in pairwise(mailed))
    assert emails.claim_digest(10**9) is None


def test_an_upload_during_the_digest_is_named_by_the_next(sent_alerts):
    emails = HourlyEmails(sent_alerts, "sent-alerts")
    emails.claim("a", 0)
    emails.count("rejected")
    claimed = emails.claim_digest(PERIOD_S)
    assert emails.claim("b", PERIOD_S) is None
    emails.count("unpaired")
    assert emails.claim_digest(PERIOD_S + 1) is None, "another run leaves it to the first"
    emails.settle_digest(claimed, PERIOD_S)
    assert emails.claim_digest(2 * PERIOD_S - 1) is None
    assert emails.claim_digest(2 * PERIOD_S) == Unnamed(unpaired=1)


@pytest.fixture
def watchdog(handlers, sent_alerts, monkeypatch):  # noqa: F811
    """The Watchdog, with `mail()` for what AlertEmail got since the last call, and a clock."""
    sns, sqs = (boto3.client(name, region_name=REGION) for name in ("sns", "sqs"))
    sns.create_topic(Name="operations")
    queue = sqs.create_queue(QueueName="mail")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    monkeypatch.setenv("REVIEW_URL", "https://review.example/")
    module = handlers("watchdog")
    sns.subscribe(TopicArn=module.config.operations_topic_arn, Protocol="sqs", Endpoint=arn)

    def mail():
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [(body["Subject"], body["Message"]) for body in (json.loads(each["Body"]) for each in messages)]

    def at(second):
        clock = SimpleNamespace(now=lambda zone: datetime.fromtimestamp(1_800_000_000 + second, zone))
        monkeypatch.setattr(module, "datetime", clock)
        return module.handler({}, Context())

    return SimpleNamespace(mail=mail, at=at, module=module)


def test_the_last_of_a_series_is_mailed_by_the_watchdog(watchdog):
    emails = watchdog.module.emails
    emails.claim("a", 1_800_000_000)
    for kind in ("rejected", "rejected", "unpaired"):
        emails.count(kind)
    watchdog.at(PERIOD_S - 1)
    assert watchdog.mail() == []
    watchdog.at(PERIOD_S)
    ((subject, text),) = watchdog.mail()
    assert subject == "Uploads that need attention: 2 rejected, 1 unpaired"
    assert text.splitlines() == [
        "Rejected and unpaired uploads send at most one email an hour.",
        "Others rejected since the last one: 2. To list them: bincheck mismatches --kind rejected",
        "Others unpaired since the last one: 1. To list them: bincheck mismatches --kind unpaired",
        "Link: https://review.example/list/rejected",
        "Link: https://review.example/list/unpaired",
    ]
    watchdog.at(3 * PERIOD_S)
    assert watchdog.mail() == []


def test_a_digest_that_fails_is_an_error_and_is_sent_with_its_numbers_by_a_later_run(watchdog, monkeypatch):
    watchdog.module.emails.claim("a", 1_800_000_000)
    watchdog.module.emails.count("rejected")
    with monkeypatch.context() as broken:
        refusal = ClientError({"Error": {"Code": "Throttling", "Message": "no"}}, "Publish")
        broken.setattr(watchdog.module, "sns", SimpleNamespace(publish=lambda **_: (_ for _ in ()).throw(refusal)))
        with pytest.raises(Exception, match="the digest"):
            watchdog.at(PERIOD_S)
    watchdog.at(PERIOD_S + LEASE_S)
    assert [subject for subject, _ in watchdog.mail()] == ["Uploads that need attention: 1 rejected"]
