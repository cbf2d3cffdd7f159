"""Whom a check tells something new: a matter is told of once, and again when it changes or ends."""

from dataclasses import replace
from datetime import timedelta

import pytest

from inventory.inspection import CHECKER_TIMEOUT
from tests.builders import metadata, picture, prediction

IMAGE, RECORD = "BOS1/bin-images/523.jpg", "BOS1/metadata/523.json"
BIN = "BOS1/523"


def see(warehouse, count, expected=None):
    """Another picture of the bin, its file unlike all before it, and maybe another record."""
    warehouse.clock += timedelta(hours=1)
    if expected is not None:
        warehouse.drop(RECORD, metadata(expected))
    return warehouse.drop(IMAGE, picture(count) + b" " * warehouse.clock.hour)


def told(warehouse):
    return [(alert["kind"], alert["expected"], alert["predicted"]) for alert in warehouse.alerts()]


def open_matters(warehouse):
    day_before = warehouse.clock - timedelta(days=1)
    return [check.check_id for check in warehouse.table.open_since("mismatch", day_before, warehouse.clock)]


def test_a_bin_that_keeps_disagreeing_is_told_of_once_and_its_newest_check_stands_open(warehouse):
    first = see(warehouse, 3, expected=5)
    second, third = see(warehouse, 3), see(warehouse, 3)
    assert (first.repeats, second.repeats, third.repeats) == (None, first.check_id, first.check_id)
    assert told(warehouse) == [("mismatch", 5, 3)]
    assert open_matters(warehouse) == [third.check_id]


def test_another_answer_of_the_picture_is_told(warehouse):
    see(warehouse, 3, expected=5)
    see(warehouse, 4)
    assert told(warehouse) == [("mismatch", 5, 3), ("mismatch", 5, 4)]


def test_the_same_count_on_the_other_side_of_the_record_is_another_answer(warehouse):
    see(warehouse, 3, expected=5)
    see(warehouse, 3, expected=2)
    assert told(warehouse) == [("mismatch", 5, 3), ("mismatch", 2, 3)]


def test_a_matter_that_grows_more_severe_is_told_again(warehouse):
    sure = warehouse.inspector
    warehouse.inspector = replace(sure, count=lambda *_: prediction(3, certainty=0.6))
    assert see(warehouse, 3, expected=4).severity == "low"
    warehouse.inspector = sure
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
    assert open_matters(warehouse) == []


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
    assert open_matters(warehouse) == []


def test_the_same_fault_of_an_upload_is_told_once(warehouse):
    see(warehouse, 3)
    for content in (b"[]", b"[ ]", b"{}"):
        warehouse.drop(RECORD, content)
    reasons = [alert["reason"] for alert in warehouse.alerts()]
    assert len(reasons) == len(set(reasons)) == 2


def test_a_partner_that_comes_after_all_closes_the_matter_of_its_absence(warehouse):
    warehouse.drop(RECORD, metadata(3))
    (waiting,) = warehouse.checks(BIN)
    warehouse.table.mark_alerted(waiting, warehouse.clock)
    warehouse.drop(IMAGE, picture(3))
    (closed,) = warehouse.alerts()
    assert (closed["kind"], closed["resolves"]["check_id"]) == ("resolved", waiting.check_id)


def test_an_answer_whose_alert_never_went_out_does_not_hush_the_next_one(warehouse, monkeypatch):
    def fail(*_):
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(type(warehouse.inspector.alerts), "publish", fail)
        with pytest.raises(ConnectionError):
            see(warehouse, 3, expected=5)
    see(warehouse, 3)
    assert told(warehouse) == [("mismatch", 5, 3)]


def test_a_check_that_speaks_once_more_is_told_even_if_its_checker_is_killed(warehouse, monkeypatch):
    def fail(*_):
        raise ConnectionError

    see(warehouse, 3, expected=5)
    warehouse.drop(RECORD, metadata(3))
    with monkeypatch.context() as broken:
        broken.setattr(type(warehouse.inspector.alerts), "publish", fail)
        with pytest.raises(ConnectionError):
            warehouse.drop(RECORD, metadata(5))
    warehouse.clock += CHECKER_TIMEOUT
    warehouse.drop(RECORD, metadata(5))
    assert told(warehouse) == [("mismatch", 5, 3), ("resolved", 3, 3), ("mismatch", 5, 3)]


def test_a_check_that_was_cut_off_and_speaks_again_is_told_once_and_closed(warehouse, monkeypatch):
    def fail(*_):
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(type(warehouse.table), "mark_alerted", fail)
        with pytest.raises(ConnectionError):
            see(warehouse, 3, expected=5)
    for expected in (3, 5, 5, 3):
        warehouse.clock += 2 * CHECKER_TIMEOUT
        warehouse.drop(RECORD, metadata(expected))
    assert told(warehouse) == [("mismatch", 5, 3), ("resolved", 3, 3), ("mismatch", 5, 3), ("resolved", 3, 3)]


@pytest.mark.parametrize(
    ("actual", "expected", "news"),
    [(5, 5, 0), (3, 5, 1), (5, 6, 1)],
    ids=["false-alarm", "wrong-record", "false-alarm-of-another-record"],
)
def test_after_a_review_only_what_was_no_false_alarm_is_news(warehouse, actual, expected, news):
    check = see(warehouse, 3, expected=5)
    warehouse.table.review(check, actual, warehouse.clock)
    assert open_matters(warehouse) == []
    warehouse.alerts()
    see(warehouse, 3, expected=expected)
    assert len(warehouse.alerts()) == news
