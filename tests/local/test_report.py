"""The report over checks that nobody tallied yet, tallies that are kept, and captured data."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner

from inventory.check import BinState, Check, CurrentCheck, timestamp
from inventory.check_items import check_item
from inventory.decision import Decision
from inventory.reports.tallies import Tally
from inventory.workflow import review
from local.cli import report
from local.cli.main import app
from local.stack.aws import Cloud
from local.stack.captured import InvalidCapture, captured_answers
from local.stack.deployed_stack import Stack
from tests.builders import LABELS, PRIOR, prediction
from tests.template import table_properties, template


@pytest.fixture
def account(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield


@pytest.fixture
def stack(account, monkeypatch):
    boto3.resource("dynamodb").create_table(TableName="checks", **table_properties())
    stack = Stack(Cloud.aws(), "bincheck", {"ChecksTableName": "checks"})
    monkeypatch.setattr(report, "resolve_stack", lambda _: stack)
    return stack


def reported(*arguments):
    result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(app, ["report", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def as_json(*arguments):
    return [json.loads(line) for line in reported(*arguments, "--json").splitlines()]


def put_checks(stack, number, count, status="match"):
    seen = prediction(count)
    for id in range(number):
        check = Check(
            bin=f"BOS1/{id}",
            site="BOS1",
            check=f"{count}/{id}",
            status=status,
            checked_at=timestamp(datetime.now(UTC)),
            predicted=count,
            probabilities=dict(zip(LABELS, seen.probabilities, strict=True)),
            suspicion=0.25,
            model="m@1",
        )
        stack.table.put_item(Item=check_item(check))


def test_today_is_reported_beside_the_weeks_that_were_tallied(stack):
    for ago in range(1, 29):
        day = (datetime.now(UTC) - timedelta(days=ago)).date().isoformat()
        stack.tallies.put(Tally("BOS1", day, 10, 0, 10, 1, 9.4, 1.0, {"2": 10}, {"m@1": 10}))
    put_checks(stack, 190, 2)
    put_checks(stack, 75, 5, "mismatch")
    *earlier, today = as_json("--days", "3")
    assert [one["answers"] for one in earlier] == [10, 10]
    assert (today["answers"], today["labels"], today["mean_confidence"]) == (
        265,
        {"2": 190, "5": 75},
        pytest.approx(0.94),
    )
    assert today["mismatch_rate"] == pytest.approx(75 / 265)
    assert today["reference"]["answers"] == 280
    assert today["drift"] > 0.25
    assert len(today["findings"]) == 2
    told = reported("--days", "1")
    assert "2: 72%, 5: 28%" in told
    assert "have drifted" in told


def test_a_stack_without_checks_says_so(stack):
    assert "No answers since" in reported()


def capture(answer, encoding="JSON"):
    said = json.dumps(answer)
    data = base64.b64encode(said.encode()).decode() if encoding == "BASE64" else said
    return json.dumps(
        {
            "captureData": {
                "endpointInput": {
                    "observedContentType": "image/jpeg",
                    "mode": "INPUT",
                    "data": "/9j/",
                    "encoding": "BASE64",
                },
                "endpointOutput": {
                    "observedContentType": "application/json",
                    "mode": "OUTPUT",
                    "data": data,
                    "encoding": encoding,
                },
            },
            "eventMetadata": {"eventId": "e", "inferenceId": "i", "inferenceTime": "2026-03-01T12:00:00Z"},
            "eventVersion": "0",
        }
    )


def answer(count):
    return {
        "count": count,
        "labels": LABELS,
        "probabilities": prediction(count).probabilities,
        "prior": PRIOR,
        "model": "m@1",
    }


@pytest.fixture
def capture_file(account):
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="captured")

    def put(lines, ago=0, hour=7):
        at = datetime.now(UTC) - timedelta(days=ago)
        key = f"data/counter/AllTraffic/{at:%Y/%m/%d}/{hour:02d}/file.jsonl"
        s3.put_object(Bucket="captured", Key=key, Body="\n".join(lines).encode())

    return put


def test_captured_data_are_reported_like_checks(capture_file):
    capture_file([capture(answer(6)), capture(answer(1), "BASE64"), capture({"reason": "no image"})])
    capture_file([capture(answer(6))], hour=23)
    capture_file([capture(answer(2))] * 300, ago=9)
    (today,) = as_json("--captured", "s3://captured/data/counter/AllTraffic")
    assert (today["site"], today["answers"], today["rejected"]) == ("counter/AllTraffic", 4, 1)
    assert (today["labels"], today["mismatch_rate"]) == ({"6+": 2, "1": 1}, None)
    assert today["reference"]["answers"] == 300


def test_what_is_no_captured_prediction_is_named(capture_file):
    capture_file([capture({"hello": "world"})])
    s3, today = boto3.client("s3"), datetime.now(UTC).date()
    with pytest.raises(InvalidCapture, match=r"file.jsonl holds a line that is not a captured prediction"):
        list(captured_answers(s3, "s3://captured/data/counter/AllTraffic", today))
    with pytest.raises(InvalidCapture, match="name s3://<bucket>"):
        list(captured_answers(s3, "s3://captured", today))


def put_reviewed(stack, number, expected, actual, *, audited, share):
    """So many reviewed mismatches, their suspicion being `share`; those in the audit with two answers that agree."""
    now = datetime.now(UTC)
    store = stack.checks
    for id in range(number):
        check = Check(
            bin=f"BOS1/{expected}-{audited}-{id}",
            site="BOS1",
            check=f"{expected}/{actual}",
            status="mismatch" if expected != 3 else "match",
            checked_at=timestamp(now),
            expected=expected,
            predicted=3,
            suspicion=share,
            severity="low",
            probabilities={"3": 0.9, "6+": 0.1},
        )
        state = BinState(check.subject, 1, current=CurrentCheck(check.check, check.status))
        store.commit(BinState(check.subject), Decision(state, check, append=check, audited=audited), now)
        for reviewer in ("ann", "bob"):
            review(store, check, actual, now, reviewer)


def test_the_audit_says_how_many_records_are_wrong_and_what_to_set(stack):
    put_reviewed(stack, 18, 3, 3, audited=True, share=0.005)
    put_reviewed(stack, 2, 4, 3, audited=True, share=0.3)
    put_reviewed(stack, 5, 2, 3, audited=False, share=0.995)
    printed = reported()
    assert "wrong records" in printed
    assert "1.2% to 31.7%" in printed
    (suggested,) = as_json("--suggest")
    assert suggested["audit"]["wrong"]["estimate"] == pytest.approx(0.1)
    assert suggested["audit"]["naive_wrong"] == 1.0
    assert suggested["parameters"]["MismatchRate"] == "0.1000"
    slips = dict(pair.split(":") for pair in suggested["parameters"]["Slips"].split(","))
    assert float(slips["1"]) > 0.3 > float(slips["-2"])
    assert re.fullmatch(template()["Parameters"]["Slips"]["AllowedPattern"], suggested["parameters"]["Slips"])


def test_without_a_review_of_the_audit_nothing_is_suggested(stack):
    put_checks(stack, 3, 3)
    result = CliRunner().invoke(app, ["report", "--suggest"])
    assert result.exit_code == 1
    assert "No check of the audit has been reviewed" in result.output
