"""A table that version 0.1 filled: its bins go on where they were, and nobody hears of anything twice."""

from datetime import date, timedelta

import pytest

from inventory.check import timestamp
from inventory.reports.tally_store import TallyStore
from tests.builders import image_of, metadata, upload
from tests.functions.legacy import NEWEST, checked, pairing, waiting

DAY = timedelta(days=1)
MISMATCH = {"expected": 4, "predicted": 2, "difference": -2, "direction": "missing"}


@pytest.fixture
def house(warehouse):
    """A warehouse with the files of bin 1, which the old version checked an hour ago; `put` adds its items."""
    warehouse.image = warehouse.put("bin-images/1.jpg", image_of(2))
    warehouse.record = warehouse.put("metadata/1.json", metadata(4))
    warehouse.identity = f"{warehouse.image.version}/{warehouse.record.version}"
    warehouse.ago = timestamp(warehouse.clock - timedelta(hours=1))
    return warehouse


def keep(house, *items):
    for item in items:
        house.table.put_item(Item=item)


def old_mismatch(house, **more):
    parts = {"image": house.image.key, "metadata": house.record.key}
    keep(
        house,
        pairing("1", told=house.identity, **parts),
        checked("1", house.identity, "mismatch", house.ago, **MISMATCH, alerted_at=house.ago, **more),
    )


def kinds(house):
    return [alert["kind"] for alert in house.alerts()]


def listed(house, open_list):
    return [check.check for check in house.store.list_open(open_list, house.clock - 2 * DAY, house.clock)]


def test_a_check_that_was_told_is_found_and_not_told_again(house):
    old_mismatch(house)
    for event in (house.image, house.record):
        assert house.workflow.process(event).check == house.identity
    assert (kinds(house), listed(house, "mismatch")) == ([], [house.identity])


def test_what_was_told_is_resolved_once_the_bin_agrees(house):
    old_mismatch(house)
    assert house.drop("metadata/1.json", metadata(2)).status == "match"
    assert (kinds(house), listed(house, "mismatch")) == (["resolved"], [])


def test_an_alert_that_never_went_out_goes_out(house):
    keep(house, pairing("1", told=house.identity), checked("1", house.identity, "mismatch", house.ago, **MISMATCH))
    house.workflow.process(house.image)
    assert kinds(house) == ["mismatch"]


def test_of_several_open_checks_one_is_left(house):
    old_mismatch(house)
    at = timestamp(house.clock - 2 * timedelta(hours=1))
    keep(house, *(checked("1", f"{number:032x}/-", "rejected", at, reason="gone") for number in range(120)))
    house.workflow.process(house.image)
    assert (listed(house, "mismatch"), listed(house, "rejected")) == ([house.identity], [])


def test_a_part_that_waits_goes_on_waiting_since_then_and_is_told_of_once(house):
    house.s3.delete_object(Bucket="inbox", Key=house.record.key)
    alone = f"{house.image.version}/-"
    keep(house, waiting(pairing("1", image=house.image.key), alone, house.ago, image=f"s3://inbox/{house.image.key}"))
    assert [check.checked_at for check in house.checks("1")] == [house.ago]
    assert [check.check for check in house.watchdog()] == [alone]
    assert house.watchdog() == []
    house.workflow.process(house.image)
    assert (kinds(house), listed(house, "waiting"), listed(house, "unpaired")) == (["unpaired"], [], [alone])


def test_one_that_was_told_of_as_unpaired_is_resolved_by_its_partner(house):
    alone = f"{house.image.version}/-"
    address = f"s3://inbox/{house.image.key}"
    keep(house, waiting(pairing("1", image=house.image.key), alone, house.ago, image=address, alerted_at=house.ago))
    house.drop("metadata/1.json", metadata(2))
    assert (kinds(house), listed(house, "unpaired")) == (["resolved"], [])


def test_a_false_alarm_stays_quiet(house):
    old_mismatch(house, listed=False, actual=4, reviewed_at=house.ago, open=f"reviewed#{house.ago[:10]}")
    house.drop("bin-images/1.jpg", image_of(2) + b" ")
    assert kinds(house) == []
    assert listed(house, "reviewed") == [house.identity]


def test_a_review_is_kept_of_a_bin_that_was_not_touched_since(house):
    old_mismatch(house)
    check = house.store.current_check(house.store.load(house.store.find_subject("1")))
    house.review(check, 2)
    assert (listed(house, "mismatch"), listed(house, "reviewed")) == ([], [house.identity])


def test_an_upload_of_back_then_that_is_told_of_late_is_known(house):
    old_mismatch(house)
    house.s3.delete_object(Bucket="inbox", Key=house.image.key)
    late = upload(house.image.key, image_of(2), sequencer=0)
    assert late.sequencer < NEWEST
    assert house.workflow.process(late).check == house.identity
    assert kinds(house) == []


def test_two_that_touch_an_old_bin_at_once_make_one_state_of_it(house, monkeypatch):
    old_mismatch(house)
    store = type(house.store)
    adopt = store._adopt

    def slow(*args):
        monkeypatch.setattr(store, "_adopt", adopt)
        house.drop("metadata/1.json", metadata(2))
        return adopt(*args)

    monkeypatch.setattr(store, "_adopt", slow)
    house.workflow.process(house.image)
    assert (kinds(house), listed(house, "mismatch")) == (["resolved"], [])


def test_a_stray_key_of_back_then_can_be_reviewed_and_hides_no_newer_check(house):
    old = checked("notes/1.txt", f"{'0' * 32}/-", "rejected", house.ago, reason="no place")
    keep(house, old)
    house.clock += timedelta(minutes=1)
    house.drop("notes/1.txt", b"again")
    assert [check.stray for check in house.checks("notes/1.txt")] == [False, True]
    check = house.store.find_current("notes/1.txt")
    assert (check.check, check.stray) == (old["check"], False)
    house.review(check, 0)
    assert listed(house, "reviewed") == [old["check"]]
    assert [check.stray for check in house.store.list_open("rejected", house.clock - DAY, house.clock)] == [True]


def test_tallies_of_back_then_are_still_compared_with(warehouse):
    tally = {"answers": 3, "rejected": 0, "compared": 3, "mismatches": 1, "confidence": 1, "suspicion": 1}
    more = {"site": "", "day": "2026-02-27", "labels": {"2": 3}, "models": {"m@1": 3}}
    warehouse.table.put_item(Item={"bin": "tallies", "check": "2026-02-27#", **tally, **more})
    (found,) = TallyStore(warehouse.table).between(date(2026, 2, 1), date(2026, 2, 28))
    assert (found.day, found.answers) == ("2026-02-27", 3)
