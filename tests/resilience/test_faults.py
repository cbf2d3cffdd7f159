"""Calls are taken for what they are, so that the faults that are meant for them meet them."""

import json

import pytest

from tests.resilience.faults import Target, call

STATE = {"bin": {"S": "s/1"}, "check": {"S": "/state"}}
CHECK = {"bin": {"S": "s/1"}, "check": {"S": "a/b"}}
ALERT = {"bin": {"S": "s/1"}, "check": {"S": "/alert/000000000001"}}
NOTE = {"bin": {"S": "failures/"}, "check": {"S": "digest"}}


def made(operation="", path="/", request="", **said):
    return call(path, {"X-Amz-Target": operation, "amz-sdk-request": request}, json.dumps(said).encode())


@pytest.mark.parametrize(
    ("target", "made"),
    [
        (Target.COUNT, made(path="/endpoints/counter/invocations")),
        (Target.READ, made("DynamoDB_20120810.GetItem", Key=CHECK)),
        (Target.READ, made("DynamoDB_20120810.Query")),
        (Target.COMMIT, made("DynamoDB_20120810.PutItem", Item=STATE)),
        (Target.COMMIT, made("DynamoDB_20120810.TransactWriteItems", TransactItems=[])),
        (Target.CLAIM, made("DynamoDB_20120810.PutItem", Item={"id": {"S": "alerter.send#digest"}})),
        (Target.CLAIM, made("DynamoDB_20120810.DeleteItem", Key={"id": {"S": "alerter.send#digest"}})),
        (Target.REMEMBER, made("DynamoDB_20120810.UpdateItem", Key={"id": {"S": "alerter.send#digest"}})),
        (Target.NOTE, made("DynamoDB_20120810.PutItem", Item=NOTE)),
        (Target.PUBLISH, made()),
        (Target.QUEUE, made("AmazonSQS.SendMessage")),
    ],
)
def test_a_call_is_what_it_does(target, made):
    assert made.target is target


def test_a_commit_puts_checks_besides_the_state_and_an_alert():
    puts = [{"Put": {"Item": item}} for item in (STATE, CHECK, ALERT)]
    delist = {"Update": {"Key": CHECK}}
    assert made("DynamoDB_20120810.TransactWriteItems", TransactItems=[*puts, delist]).checks == [("s/1", "a/b")]


@pytest.mark.parametrize(
    ("request_header", "attempt", "is_last"),
    [
        ("attempt=1", 1, False),
        ("ttl=20261125T150035Z; attempt=2; max=4", 2, False),
        ("ttl=20261125T150035Z; attempt=4; max=4", 4, True),
        ("ttl=20261125T150035Z; attempt=4; max=44", 4, False),
    ],
)
def test_an_attempt_tells_whether_it_is_the_last(request_header, attempt, is_last):
    one = made("AmazonSQS.SendMessage", request=request_header)
    assert (one.attempt, one.is_last) == (attempt, is_last)
