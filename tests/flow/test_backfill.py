"""Bins that lay in the inbox before anybody was told of them."""

import pytest

from tests.flow.acting import without_notifications
from tests.flow.test_commands import output


@pytest.fixture
def place(warehouse):
    """Three bins that nobody was told of: two pairs, one of them short of an object, and metadata alone."""
    with without_notifications(warehouse.stack):
        for id, count in (("sound", 3), ("short", 2)):
            warehouse.photograph(id, warehouse.image_of(count))
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
