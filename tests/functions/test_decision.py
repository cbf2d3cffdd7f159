"""What is news to people: what is open is told of once, and again when it changes or ends."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.builders import image_of, metadata, prediction
from tests.functions.conftest import TIMEOUT

IMAGE, RECORD = "BOS1/bin-images/523.jpg", "BOS1/metadata/523.json"
BIN = "BOS1/523"


def see(warehouse, count, expected=None):
    """Another image of the bin, its file unlike all before it, and maybe another record."""
    warehouse.clock += timedelta(hours=1)
    if expected is not None:
        warehouse.drop(RECORD, metadata(expected))
    return warehouse.drop(IMAGE, image_of(count) + b" " * warehouse.clock.hour)


def told(warehouse):
    return [(alert["kind"], alert["expected"], alert["predicted"]) for alert in warehouse.alerts()]


def open_checks(warehouse):
    day_before = warehouse.clock - timedelta(days=1)
    return [check.check_id for check in warehouse.store.list_open("mismatch", day_before, warehouse.clock)]


def test_a_bin_that_keeps_disagreeing_is_told_of_once_and_its_newest_check_stands_open(warehouse):
    first = see(warehouse, 3, expected=5)
    second, third = see(warehouse, 3), see(warehouse, 3)
    assert (first.repeats, second.repeats, third.repeats) == (None, first.check_id, first.check_id)
    assert told(warehouse) == [("mismatch", 5, 3)]
    assert open_checks(warehouse) == [third.check_id]


def test_another_answer_of_the_image_is_told(warehouse):
    see(warehouse, 3, expected=5)
    see(warehouse, 4)
    assert told(warehouse) == [("mismatch", 5, 3), ("mismatch", 5, 4)]


def test_the_same_count_on_the_other_side_of_the_record_is_another_answer(warehouse):
    see(warehouse, 3, expected=5)
    see(warehouse, 3, expected=2)
    assert told(warehouse) == [("mismatch", 5, 3), ("mismatch", 2, 3)]


def test_a_matter_that_grows_more_severe_is_told_again(warehouse):
    sure = warehouse.workflow
    warehouse.workflow = replace(sure, count=lambda *_: prediction(3, certainty=0.6))
    assert see(warehouse, 3, expected=4).severity == "low"
    warehouse.workflow = sure
    assert see(warehouse, 3).severity == "medium"
    see(warehouse, 3)
    assert [alert["severity"] for alert in warehouse.alerts()] == ["low", "medium"]


def test_a_check_that_agrees_closes_the_matter_and_says_so_to_those_who_heard_of_it(warehouse):
    opened = see(warehouse, 3, expected=5)
    closing = see(warehouse, 5)
    see(warehouse, 5)
    heard, closed = warehouse.alerts()
    assert (closed["kind"], closed["check_id"]) == ("resolved", closing.check_id)
    assert closed["resolves"]["check_id"] == opened.check_id
    assert closed["attributes"] == {**heard["attributes"], "kind": "resolved"}
    assert open_checks(warehouse) == []


def test_a_bin_that_agreed_all_along_is_not_told_of(warehouse):
    see(warehouse, 3, expected=3)
    see(warehouse, 3)
    assert told(warehouse) == []


def test_after_a_matter_was_closed_the_same_disagreement_is_news(warehouse):
    for count in (3, 5, 3):
        see(warehouse, count, expected=5)
    assert [kind for kind, *_ in told(warehouse)] == ["mismatch", "resolved", "mismatch"]


def test_the_very_same_record_restored_is_news_once(warehouse):
    see(warehouse, 3, expected=5)
    for expected in (3, 5, 5, 3):
        warehouse.drop(RECORD, metadata(expected))
    assert told(warehouse) == [("mismatch", 5, 3), ("resolved", 3, 3), ("mismatch", 5, 3), ("resolved", 3, 3)]
    assert [check.status for check in warehouse.checks(BIN)].count("mismatch") == 1
    assert open_checks(warehouse) == []


def test_the_same_fault_of_an_upload_is_told_once(warehouse):
    see(warehouse, 3)
    for content in (b"[]", b"[ ]", b"{}"):
        warehouse.drop(RECORD, content)
    reasons = [alert["reason"] for alert in warehouse.alerts()]
    assert len(reasons) == len(set(reasons)) == 2


def test_a_partner_that_comes_after_all_closes_the_matter_of_its_absence(warehouse):
    warehouse.drop(RECORD, metadata(3))
    (waiting,) = warehouse.checks(BIN)
    warehouse.clock += TIMEOUT
    warehouse.watchdog()
    assert [alert["kind"] for alert in warehouse.alerts()] == ["unpaired"]
    warehouse.drop(IMAGE, image_of(3))
    (closed,) = warehouse.alerts()
    assert (closed["kind"], closed["resolves"]["check_id"]) == ("resolved", waiting.check_id)


@pytest.mark.parametrize(
    ("actual", "expected", "news"),
    [(5, 5, 0), (3, 5, 1), (5, 6, 1)],
    ids=["false-alarm", "wrong-record", "false-alarm-of-another-record"],
)
def test_after_a_review_only_what_was_no_false_alarm_is_news(warehouse, actual, expected, news):
    check = see(warehouse, 3, expected=5)
    warehouse.review(check, actual)
    assert open_checks(warehouse) == []
    warehouse.alerts()
    see(warehouse, 3, expected=expected)
    assert len(warehouse.alerts()) == news
