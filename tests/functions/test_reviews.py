"""What people find is kept for good, can be taken back, and measures the whole through the audit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory import review_queue
from inventory.check import Finding, timestamp
from inventory.claims import CLAIM_LIFE, Claims
from inventory.errors import CannotWithdraw
from inventory.reports.findings import reviewed_checks
from inventory.review_queue import Cursor, Filters, ReviewQueue
from inventory.sampling import agreed_count, is_audited, is_settled
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


def test_a_review_of_a_check_that_another_has_replaced_is_taken_back_and_opens_nothing(warehouse):
    check = dropped(warehouse)
    review(warehouse.store, check, 5, warehouse.clock)
    warehouse.drop("metadata/1.json", metadata(4))
    restored = withdraw_review(warehouse.store, check, warehouse.clock)
    assert (restored.actual, restored.reviewed_at) == (None, None)
    assert (listed(warehouse, "mismatch"), listed(warehouse, "reviewed")) == (["1"], [])
    (one,) = warehouse.store.list_open("mismatch", warehouse.clock - DAY, warehouse.clock + DAY)
    assert one.check != check.check
    warehouse.drop("metadata/1.json", metadata(5))
    assert [
        each.check for each in warehouse.store.list_open("mismatch", warehouse.clock - DAY, warehouse.clock + DAY)
    ] == [check.check]


def test_with_the_review_of_a_replaced_check_taken_back_that_of_the_current_one_holds(warehouse):
    first = dropped(warehouse)
    second = warehouse.drop("metadata/1.json", metadata(4))
    review(warehouse.store, second, 4, warehouse.clock)
    review(warehouse.store, first, 3, warehouse.clock)
    withdraw_review(warehouse.store, first, warehouse.clock)
    warehouse.drop("metadata/1.json", metadata(3))
    assert [alert["kind"] for alert in warehouse.alerts()] == ["mismatch"], "nothing was open that could be resolved"


def test_only_the_review_that_was_meant_is_taken_back(warehouse):
    check = dropped(warehouse)
    first = review(warehouse.store, check, 5, warehouse.clock, "ann")
    review(warehouse.store, check, 4, warehouse.clock + DAY, "bob")
    with pytest.raises(CannotWithdraw, match="reviewed again"):
        withdraw_review(warehouse.store, check, warehouse.clock, "ann", first.reviewed_at)
    assert warehouse.store.find(check.subject, check.check).actual == 4


@given(records=st.lists(st.integers(1, 4), min_size=1, max_size=9), number=st.integers(1, 4))
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_newest_checks_are_found_however_long_the_history(warehouse, records, number):
    """Whichever check speaks, those that were made last are read one by one, or all at once."""
    for item in warehouse.table.scan()["Items"]:
        warehouse.table.delete_item(Key={"bin": item["bin"], "check": item["check"]})
    made = []
    for recorded in records:
        warehouse.clock += DAY
        check = dropped(warehouse, shown=2, recorded=recorded)
        made += [check.check] if check.check not in made else []
    for limit in (1, 200):
        history = warehouse.store.list_history(check.subject, check.check, number, limit)
        assert [each.check for each in history.checks] == made[-number:]


# The audit


def test_the_audit_takes_its_share_whatever_a_check_says(warehouse):
    share = sum(is_audited(f"{number * 2_654_435_761 % 2**32:08x}", 0.1) for number in range(20_000)) / 20_000
    assert share == pytest.approx(0.1, abs=0.01)
    assert not is_audited("0" * 32, 0.0)
    assert is_audited("f" * 32, 1.0)


def found(*counts):
    return [Finding("v/v", "unclear" if count is None else "count", count, "", 1) for count in counts]


@pytest.mark.parametrize(
    ("counts", "agreed", "settled"),
    [
        ((), None, False),
        ((3,), 3, True),
        ((4,), None, False),
        ((None,), None, True),
        ((4, 4), 4, True),
        ((4, 5), None, False),
        ((4, None), None, False),
        ((4, None, None), None, True),
        ((None, 4), None, False),
        ((4, 5, 5), 5, True),
        ((3, 4, 4), 4, True),
    ],
)
def test_a_wrong_record_needs_two_who_agree_and_a_right_one_or_an_unclear_image_needs_one(counts, agreed, settled):
    assert agreed_count(3, found(*counts)) == agreed
    assert is_settled(3, found(*counts)) is settled


@pytest.mark.parametrize(
    ("second", "after_s", "agreed"), [("ann", 4, None), ("ann", 299, None), ("ann", 300, 4), ("bob", 4, 4)]
)
def test_an_answer_that_a_browser_sends_twice_is_no_second_look(second, after_s, agreed):
    moments = [timestamp(datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=each)) for each in (0, after_s)]
    looks = [Finding("v/v", "count", 4, *look) for look in ((moments[0], 1, "ann"), (moments[1], 2, second))]
    assert agreed_count(3, looks) == agreed


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


def test_an_audited_check_whose_image_does_not_show_it_leaves_the_queue_and_counts_nowhere(audited):
    check = dropped(audited, recorded=3)
    review(audited.store, check, None, audited.clock, "ann")
    since, until = audited.clock - DAY, audited.clock + DAY
    assert queue_of(audited) == [[]]
    assert [each.actual for each in audited.store.list_audited(since, until)] == [None]
    assert reviewed_checks(audited.store, since, until) == []


@pytest.mark.parametrize("replaced", [False, True])
def test_the_review_of_an_audited_check_is_taken_back_though_a_newer_check_speaks(audited, replaced):
    check = dropped(audited, recorded=3)
    review(audited.store, check, 3, audited.clock, "ann")
    if replaced:
        audited.drop("metadata/1.json", metadata(4))
    assert check.check not in waiting_in_audit(audited)
    withdraw_review(audited.store, check, audited.clock, "ann")
    assert check.check in waiting_in_audit(audited)


def waiting_in_audit(warehouse):
    return [
        each.check for each in warehouse.store.list_audited(warehouse.clock - DAY, warehouse.clock + DAY, settled=False)
    ]


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


def count_of(warehouse, **filters):
    return ReviewQueue(warehouse.table).count(Filters(warehouse.clock - 3 * DAY, **filters), warehouse.clock)


def test_one_of_the_audit_stands_among_the_alerts_and_an_audited_alert_once(warehouse):
    for number in range(8):
        dropped(warehouse, f"alert{number}")
    warehouse.workflow = replace(warehouse.workflow, audit_share=1.0)
    dropped(warehouse, "match", recorded=3)
    audited = [dropped(warehouse, f"both{number}") for number in range(3)]
    for size in (20, 5, 2, 1):
        bins = [bin for page in queue_of(warehouse, size) for bin in page]
        assert sorted(bins) == sorted([*(f"alert{number}" for number in range(8)), "match", "both0", "both1", "both2"])
        assert size < 5 or bins[4].startswith("both")
    assert count_of(warehouse) == (12, True)
    review(warehouse.store, audited[0], 3, warehouse.clock)
    assert count_of(warehouse) == (12, True), "it waits for a second look"
    review(warehouse.store, audited[0], 3, warehouse.clock)
    assert count_of(warehouse) == (11, True)


@given(data=st.data())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_filters_and_pages_give_each_wanted_check_once_and_count_it_once(warehouse, data):
    """Whatever is dropped and reviewed, in pages of any size, without filters and with each."""
    for item in warehouse.table.scan()["Items"]:
        warehouse.table.delete_item(Key={"bin": item["bin"], "check": item["check"]})
    warehouse.workflow = replace(warehouse.workflow, audit_share=data.draw(st.sampled_from([0.0, 0.3, 1.0])))
    drops = st.tuples(st.sampled_from(["A", "B", ""]), st.integers(0, 5), st.integers(0, 6), st.integers(0, 2))
    for site, id, recorded, reviews in data.draw(st.lists(drops, max_size=9)):
        check = dropped(warehouse, f"{site}/{id}".lstrip("/"), recorded=recorded)
        for _ in range(reviews):
            review(warehouse.store, check, data.draw(st.sampled_from([None, 3, 5])), warehouse.clock)
    since, until = warehouse.clock - 3 * DAY, warehouse.clock
    waiting = list(warehouse.store.list_audited(since, until, settled=False))
    waiting += list(warehouse.store.list_open("mismatch", since, until))
    wanted = {check.check_id: check for check in waiting}.values()
    filters = {
        name: data.draw(st.sampled_from(values))
        for name, values in (
            ("site", [None, "A", ""]),
            ("severity", [None, "high", "medium", "low"]),
            ("direction", [None, "missing"]),
        )
    }
    named = {name: value for name, value in filters.items() if value is not None}
    bins = sorted(one.bin for one in wanted if all(getattr(one, name) == value for name, value in named.items()))
    pages = queue_of(warehouse, data.draw(st.sampled_from([1, 2, 25])), **named)
    assert sorted(bin for page in pages for bin in page) == bins
    assert count_of(warehouse, **named) == (len(bins), True)


@pytest.mark.parametrize("text", ["x", "e30", "bnVsbA==", "eyJhIjoxfQ==", "eyJhIjpbImEiLCJiIiwiYyJdfQ=="])
def test_a_cursor_that_is_none_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        Cursor.decode(text)


@pytest.mark.parametrize("filters", [{}, {"site": "rare"}, {"severity": "low"}, {"direction": "extra", "site": "rare"}])
def test_a_page_and_a_count_cost_the_same_however_many_are_open(warehouse, monkeypatch, filters):
    monkeypatch.setattr(review_queue, "COUNTED", 4)
    calls, items = [], []
    events = warehouse.table.meta.client.meta.events
    events.register("after-call.dynamodb.Query", lambda parsed, **_: calls.append(parsed["ScannedCount"]))

    def cost_of_a_page():
        calls.clear()
        queue, wanted = ReviewQueue(warehouse.table), Filters(warehouse.clock - 3 * DAY, **filters)
        items[:] = [check.bin for check in queue.page(wanted, Cursor(), warehouse.clock, 5).checks]
        queue.count(wanted, warehouse.clock)
        return len(calls)

    dropped(warehouse, "rare/1", recorded=2)
    few = cost_of_a_page()
    for number in range(30):
        dropped(warehouse, f"often/{number}")
    assert cost_of_a_page() == few == 16
    assert max(calls) <= 10
    if filters.get("site"):
        assert (items, sum(calls)) == (["rare/1"], 2)


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
