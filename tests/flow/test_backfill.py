"""Bins that lay in the inbox before anybody was told of them, and the commands as a person types them."""

import json
from contextlib import contextmanager

import pytest

from tests.flow.test_commands import output


@contextmanager
def unannounced(stack):
    """Nobody is told of what is put in the inbox meanwhile."""
    s3, bucket = stack.cloud.s3(), stack.inbox_bucket
    told = s3.get_bucket_notification_configuration(Bucket=bucket)
    told.pop("ResponseMetadata")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={})
    yield
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=told)


@pytest.fixture
def place(warehouse):
    """Three bins that nobody was told of: two pairs, one of them short of an object, and metadata alone."""
    with unannounced(warehouse.stack):
        for id, count in (("sound", 3), ("short", 2)):
            warehouse.photograph(id, warehouse.picture(count))
            warehouse.report(id, 3)
        warehouse.report("lone", 3)
    return f"s3://{warehouse.stack.inbox_bucket}/{warehouse.site}"


def answers(warehouse):
    return {id: [(one.status, one.model) for one in warehouse.checks(id)] for id in ("sound", "short", "lone")}


def test_what_lies_there_is_checked_once_and_again_by_another_model(bincheck, warehouse, endpoint, place):
    assert "3 bins below" in output(bincheck("backfill", place, "--dry-run"))
    assert answers(warehouse) == {"sound": [], "short": [], "lone": []}

    assert "3 bins enqueued" in output(bincheck("backfill", place))
    once = {"sound": [("match", "test@0")], "short": [("mismatch", "test@0")], "lone": [("waiting", None)]}
    assert answers(warehouse) == once
    assert warehouse.alerts(1) == [("short", "mismatch")]

    calls = endpoint.calls
    output(bincheck("backfill", place))
    assert (answers(warehouse), endpoint.calls) == (once, calls)

    endpoint.model = "new@1"
    output(bincheck("backfill", place, "--recheck"))
    assert answers(warehouse) == {
        "sound": [("match", "test@0"), ("match", "new@1")],
        "short": [("mismatch", "test@0"), ("mismatch", "new@1")],
        "lone": [("waiting", None)],
    }


def test_what_fails_for_good_is_told_with_the_reason_and_archived(
    bincheck,
    warehouse,
    endpoint,
    place,
    impatient_queue,
    tmp_path,
):
    endpoint.failing = True
    failed = bincheck("backfill", place)
    said, _ = failed.communicate(timeout=60)
    assert failed.returncode == 4
    assert "2 messages ended in the dead letters" in said

    letters = [json.loads(line) for line in output(bincheck("dead-letters", "--json")).splitlines()]
    assert {letter["bins"][0] for letter in letters} == {f"{warehouse.site}/sound", f"{warehouse.site}/short"}
    assert {letter["attempts"] for letter in letters} == {5}
    assert all("endpoint bincheck-counter failed" in letter["reason"] for letter in letters)
    assert "endpoint bincheck-counter failed" in " ".join(output(bincheck("dead-letters")).split())

    archive = tmp_path / "archive.jsonl"
    assert "2 dead letters dropped" in output(bincheck("dead-letters", "--drop", "--archive", archive))
    assert {json.loads(line)["message_id"] for line in archive.read_text().splitlines()} == {
        letter["message_id"] for letter in letters
    }
    assert "No dead letters" in output(bincheck("dead-letters"))
