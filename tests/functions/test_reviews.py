"""What people find is kept for good, can be taken back, and measures the whole through the audit."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.check import Finding
from inventory.claims import CLAIM_LIFE, Claims
from inventory.errors import CannotWithdraw
from inventory.review_queue import Cursor, Filters, ReviewQueue
from inventory.sampling import agreed_count, is_audited
from inventory.workflow import review, withdraw_review
from tests.builders import image_of, metadata

DAY = timedelta(days=1)


@pytest.fixture
def audited(warehouse):
    """The warehouse, every check of which is in the audit."""
    warehouse.workflow = replace(warehouse.workflow, audit_share=1.0)
    return warehouse


def dropped(warehouse, bin="1", shown=3, recorded=5):
    site, _, id = bin.rpartition("/")
    folder = f"{site}/" if site else ""
    warehouse.drop(f"{folder}metadata/{id}.json", metadata(recorded))
    return warehouse.drop(f"{folder}bin-images/{id}.jpg", image_of(shown))


def listed(warehouse, name):
    return [check.bin for check in warehouse.store.list_open(name, warehouse.clock - DAY, warehouse.clock + DAY)]


def test_every_review_is_kept_with_who_when_and_the_note(warehouse):
    check = dropped(warehouse)
    review(warehouse.store, check, 3, warehouse.clock, "ann", "two lie behind the box")
    review(warehouse.store, check, 4, warehouse.clock + DAY, "bob")
    first, second = warehouse.store.list_findings(check.subject, check.check)
    assert (first.reviewer, first.actual, first.note) == ("ann", 3, "two lie behind the box")
    assert (second.reviewer, second.actual, second.reviewed_at[:10]) == ("bob", 4, "2026-03-02")
    assert warehouse.store.find(check.subject, check.check).actual == 4


def test_an_image_that_does_not_show_it_leaves_the_queue_and_stays_an_open_alert(warehouse):
    check = dropped(warehouse)
    reviewed = review(warehouse.store, check, None, warehouse.clock, "ann")
    assert (reviewed.actual, reviewed.open_list) == (None, "unclear")
    assert (listed(warehouse, "mismatch"), listed(warehouse, "reviewed"), listed(warehouse, "unclear")) == (
        [],
        [],
        ["1"],
    )
    warehouse.drop("metadata/1.json", metadata(3))
    assert [alert["kind"] for alert in warehouse.alerts()] == ["mismatch", "resolved"]


def test_a_review_taken_back_leaves_the_check_as_open_as_it_was(warehouse):
    check = dropped(warehouse)
    before = warehouse.state("1")
    review(warehouse.store, check, 5, warehouse.clock, "ann")
    restored = withdraw_review(warehouse.store, check, warehouse.clock, "ann")
    assert (restored.actual, restored.reviewed_at) == (None, None)
    assert listed(warehouse, "mismatch") == ["1"]
    after = warehouse.state("1")
    assert replace(after, revision=0) == replace(before, revision=0)
    assert warehouse.store.list_findings(check.subject, check.check) == []


def test_of_two_reviews_the_second_is_taken_back_and_the_first_holds(warehouse):
    check = dropped(warehouse)
    review(warehouse.store, check, 5, warehouse.clock, "ann")
    review(warehouse.store, check, 4, warehouse.clock, "bob")
    assert withdraw_review(warehouse.store, check, warehouse.clock).actual == 5
    assert warehouse.state("1").last_alert.actual == 5
    assert withdraw_review(warehouse.store, check, warehouse.clock).reviewed_at is None
    with pytest.raises(CannotWithdraw, match="nobody has reviewed"):
        withdraw_review(warehouse.store, check, warehouse.clock)


def test_a_review_of_a_check_that_no_longer_speaks_is_not_taken_back(warehouse):
    check = dropped(warehouse)
    review(warehouse.store, check, 5, warehouse.clock)
    warehouse.drop("metadata/1.json", metadata(4))
    with pytest.raises(CannotWithdraw, match="checked again since"):
        withdraw_review(warehouse.store, check, warehouse.clock)


# The audit


def test_the_audit_takes_its_share_whatever_a_check_says(warehouse):
    share = sum(is_audited(f"{number * 2_654_435_761 % 2**32:08x}", 0.1) for number in range(20_000)) / 20_000
    assert share == pytest.approx(0.1, abs=0.01)
    assert not is_audited("0" * 32, 0.0)
    assert is_audited("f" * 32, 1.0)


def found(*counts):
    return [Finding("v/v", "unclear" if count is None else "count", count, "", 1) for count in counts]


@pytest.mark.parametrize(
    ("counts", "agreed"),
    [((), None), ((3,), 3), ((4,), None), ((None,), None), ((4, 4), 4), ((4, 5), None), ((4, 5, 5), 5), ((3, 4, 4), 4)],
)
def test_a_wrong_record_needs_two_who_agree_and_a_right_one_needs_one(counts, agreed):
    assert agreed_count(3, found(*counts)) == agreed


@given(st.lists(st.integers(0, 4)), st.integers(0, 4))
def test_a_count_that_nobody_found_is_never_agreed_on(counts, expected):
    agreed = agreed_count(expected, found(*counts))
    assert agreed is None or counts.count(agreed) >= (1 if agreed == expected else 2)


def test_an_audited_check_stays_in_the_audit_until_people_agree(audited):
    check = dropped(audited)
    since, until = audited.clock - DAY, audited.clock + DAY
    for reviewer in ("ann", "bob"):
        assert list(audited.store.list_audited(since, until)) == []
        review(audited.store, check, 3, audited.clock, reviewer)
    (agreed,) = audited.store.list_audited(since, until)
    assert (agreed.actual, agreed.expected, agreed.predicted) == (3, 5, 3)
    withdraw_review(audited.store, check, audited.clock)
    assert list(audited.store.list_audited(since, until)) == []


def test_an_audited_match_can_be_reviewed_though_a_newer_check_speaks(audited):
    check = dropped(audited, recorded=3)
    audited.drop("metadata/1.json", metadata(4))
    review(audited.store, check, 3, audited.clock, "ann")
    assert [each.check for each in audited.store.list_audited(audited.clock - DAY, audited.clock + DAY)] == [
        check.check
    ]


def test_the_audit_counts_no_check_twice(audited):
    dropped(audited)
    assert len(list(audited.store.list_by_day(audited.clock.date()))) == 1
    assert len(audited.checks("1")) == 1


# The queue


def queue_of(warehouse, size=2, **filters):
    """All pages of the queue, each as the names of its bins."""
    queue, after, pages = ReviewQueue(warehouse.table), Cursor(), []
    while after is not None:
        wanted = Filters(warehouse.clock - 3 * DAY, **filters)
        page = queue.page(wanted, after, warehouse.clock, size)
        pages.append([check.bin for check in page.checks])
        after = page.after and Cursor.decode(page.after.encode())
    return pages


def test_the_queue_gives_each_open_check_once_the_most_suspicious_first(warehouse):
    for number, recorded in enumerate((3, 4, 5, 6, 9)):
        warehouse.clock += DAY / 2
        dropped(warehouse, f"BOS{number % 2}/{number}", recorded=recorded)
    pages = queue_of(warehouse)
    checks = [warehouse.store.find_current(bin) for page in pages for bin in page]
    assert len(checks) == 4
    assert [check.suspicion for check in checks] == sorted((check.suspicion for check in checks), reverse=True)
    assert ReviewQueue(warehouse.table).count(Filters(warehouse.clock - 3 * DAY), warehouse.clock) == (4, True)
    assert {bin for page in queue_of(warehouse, site="BOS1") for bin in page} == {"BOS1/1", "BOS1/3"}


def test_one_of_the_audit_stands_among_the_alerts(audited):
    for number in range(3):
        dropped(audited, f"alert{number}")
    dropped(audited, "match", recorded=3)
    (page,) = queue_of(audited, size=20)
    assert sorted(page) == sorted([*(f"alert{number}" for number in range(3)), *page[3:]])
    assert page.count("match") == 1
    assert len(set(page)) == len(page) == 4


@pytest.mark.parametrize("text", ["x", "e30", "bnVsbA==", "eyJhIjoxfQ==", "eyJhIjpbImEiLCJiIiwiYyJdfQ=="])
def test_a_cursor_that_is_none_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        Cursor.decode(text)


def test_a_page_costs_the_same_however_many_are_open(warehouse):
    def queries_for(count):
        for number in range(count):
            dropped(warehouse, f"bin{count}-{number}")
        calls = []
        warehouse.table.meta.client.meta.events.register(
            "before-call.dynamodb.Query", lambda **_: calls.append(1), unique_id=f"count{count}"
        )
        ReviewQueue(warehouse.table).page(Filters(warehouse.clock - 3 * DAY), Cursor(), warehouse.clock, 5)
        warehouse.table.meta.client.meta.events.unregister("before-call.dynamodb.Query", unique_id=f"count{count}")
        return len(calls)

    assert queries_for(2) == queries_for(20) == 8


# Claims


def test_two_reviewers_do_not_get_the_same_bin_until_the_claim_lapses(warehouse):
    claims, subject = Claims(warehouse.table), dropped(warehouse).subject
    assert claims.take(subject, "ann", warehouse.clock)
    assert claims.take(subject, "ann", warehouse.clock)
    assert not claims.take(subject, "bob", warehouse.clock)
    claims.release(subject, "bob")
    assert not claims.take(subject, "bob", warehouse.clock)
    assert claims.take(subject, "bob", warehouse.clock + CLAIM_LIFE)
    claims.release(subject, "bob")
    assert claims.take(subject, "ann", warehouse.clock)
    assert len(warehouse.checks("1")) == 1
