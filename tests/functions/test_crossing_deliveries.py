"""Deliveries, reviews and the Watchdog that cross, each as it was once seen to go wrong.

`tests/simulation` goes through all such crossings in memory; these meet DynamoDB's own conditions, as moto has them.
"""

from datetime import timedelta

import pytest

from inventory import workflow
from inventory.bins import Bin, StrayKey
from inventory.check import Check, timestamp
from inventory.check_items import BACKFILLS, FAILURES, TALLIES, check_item
from inventory.check_store import CheckStore
from inventory.errors import RetryLater
from tests.builders import BUCKET, image_of, metadata, upload

HOUR = timedelta(hours=1)


def kinds(house):
    return [alert["kind"] for alert in house.alerts()]


@pytest.fixture
def meanwhile(monkeypatch):
    """Has something happen once, when a slow delivery has read the state of its bin and looked at the inbox."""
    open_parts = workflow.open_parts

    def plan(act):
        once = []

        def slow(*args):
            found = open_parts(*args)
            if not once:
                once.append(act)
                act()
            return found

        monkeypatch.setattr(workflow, "open_parts", slow)

    return plan


# One event, delivered twice at once


def test_second_delivery_of_one_event_does_not_forget_what_people_were_told(warehouse, meanwhile):
    warehouse.drop("bin-images/1.jpg", image_of(2))
    event = warehouse.put("metadata/1.json", metadata(4))
    meanwhile(lambda: warehouse.workflow.process(event))
    warehouse.workflow.process(event)
    assert kinds(warehouse) == ["mismatch"]
    assert warehouse.state("1").last_alert
    warehouse.drop("metadata/1.json", metadata(2))
    assert kinds(warehouse) == ["resolved"]


def test_second_delivery_does_not_lead_to_a_second_alert_of_the_same(warehouse, meanwhile):
    warehouse.drop("bin-images/1.jpg", image_of(2))
    event = warehouse.put("metadata/1.json", metadata(4))
    meanwhile(lambda: warehouse.workflow.process(event))
    warehouse.workflow.process(event)
    warehouse.drop("metadata/1.json", metadata(4) + b" ")
    assert kinds(warehouse) == ["mismatch"]


def test_second_delivery_of_the_first_part_does_not_make_a_checked_bin_wait(warehouse, meanwhile):
    event = warehouse.put("bin-images/1.jpg", image_of(2))

    def partner_comes():
        warehouse.put("metadata/1.json", metadata(4))
        warehouse.workflow.process(event)

    meanwhile(partner_comes)
    warehouse.workflow.process(event)
    assert [check.status for check in warehouse.checks("1")] == ["mismatch"]
    assert warehouse.state("1").last_alert


# Reviews


def test_a_review_is_never_undone(warehouse, meanwhile):
    warehouse.drop("bin-images/1.jpg", image_of(2))
    old = warehouse.drop("metadata/1.json", metadata(4))
    event = warehouse.put("metadata/1.json", metadata(5))
    meanwhile(lambda: warehouse.review(old, 2))
    warehouse.workflow.process(event)
    listed = list(warehouse.store.list_open("reviewed", warehouse.clock - HOUR, warehouse.clock))
    assert [check.actual for check in listed] == [2]


def test_a_review_of_a_check_that_another_one_replaced_is_kept_with_that_check(warehouse):
    warehouse.drop("bin-images/1.jpg", image_of(2))
    old = warehouse.drop("metadata/1.json", metadata(4))
    new = warehouse.drop("metadata/1.json", metadata(5))
    warehouse.review(old, 2)
    found = {check.check: check.actual for check in warehouse.checks("1")}
    assert found == {old.check: 2, new.check: None}
    assert [
        check.check for check in warehouse.store.list_open("mismatch", warehouse.clock - HOUR, warehouse.clock)
    ] == [new.check]


def test_a_review_of_a_check_that_is_gone_leaves_no_trace(warehouse):
    warehouse.drop("bin-images/1.jpg", image_of(2))
    check = warehouse.drop("metadata/1.json", metadata(4))
    warehouse.table.delete_item(Key={"bin": "1", "check": check.check})
    with pytest.raises(RetryLater):
        warehouse.review(check, 2)
    assert warehouse.checks("1") == []
    assert "Item" not in warehouse.table.get_item(Key={"bin": "1", "check": check.check})


def test_a_review_of_the_last_check_after_it_was_read_is_taken_into_account(warehouse, monkeypatch):
    counts, given_past = [], workflow.given_past

    def slow(prediction, confirmed):
        if not counts:
            warehouse.review(first, 2)
        counts.append(confirmed.count)
        return given_past(prediction, confirmed)

    warehouse.drop("bin-images/1.jpg", image_of(3))
    first = warehouse.drop("metadata/1.json", metadata(3))
    warehouse.clock += 2 * HOUR
    warehouse.drop("bin-images/1.jpg", image_of(4))
    monkeypatch.setattr(workflow, "given_past", slow)
    check = warehouse.drop("metadata/1.json", metadata(4))
    assert counts == [3, 2]
    assert check.compared_with == first.check_id
    assert [each.actual for each in warehouse.checks("1") if each.check == first.check] == [2]


# Waiting


def test_a_bin_imaged_every_ten_minutes_without_ever_a_record_is_told_of_once(warehouse):
    for number in range(144):
        warehouse.drop("bin-images/1.jpg", image_of(2) + b" " * number)
        warehouse.clock += timedelta(minutes=10)
        warehouse.watchdog()
    assert kinds(warehouse) == ["unpaired"]


def test_an_upload_told_of_as_unpaired_is_not_told_of_again_by_a_late_second_delivery(warehouse, meanwhile):
    event = warehouse.put("bin-images/1.jpg", image_of(2))
    warehouse.workflow.process(event)
    warehouse.clock += timedelta(minutes=20)
    meanwhile(warehouse.watchdog)
    warehouse.workflow.process(event)
    warehouse.watchdog()
    assert kinds(warehouse) == ["unpaired"]


def test_a_partner_that_comes_after_the_watchdog_read_its_list_is_not_said_to_be_missing(warehouse):
    warehouse.drop("bin-images/1.jpg", image_of(2))
    warehouse.clock += timedelta(minutes=20)
    (waiting,) = warehouse.store.list_open("waiting", warehouse.clock - HOUR, warehouse.clock)
    event = warehouse.put("metadata/1.json", metadata(2))
    timeout = timedelta(minutes=15)
    assert workflow.alert_overdue(warehouse.s3, warehouse.store, waiting, timeout, warehouse.clock) is None
    warehouse.workflow.process(event)
    assert workflow.alert_overdue(warehouse.s3, warehouse.store, waiting, timeout, warehouse.clock) is None
    assert kinds(warehouse) == []


def test_a_lone_part_that_is_removed_waits_no_longer_once_the_watchdog_looks(warehouse):
    warehouse.drop("bin-images/1.jpg", image_of(2))
    warehouse.s3.delete_object(Bucket=BUCKET, Key="bin-images/1.jpg")
    warehouse.clock += timedelta(minutes=20)
    assert warehouse.watchdog() == []
    assert warehouse.checks("1") == []
    assert kinds(warehouse) == []


def test_a_partner_that_took_the_place_of_a_removed_part_waits_from_then_on(warehouse):
    warehouse.drop("bin-images/1.jpg", image_of(2))
    warehouse.s3.delete_object(Bucket=BUCKET, Key="bin-images/1.jpg")
    warehouse.put("metadata/1.json", metadata(2))
    warehouse.clock += timedelta(minutes=20)
    assert warehouse.watchdog() == []
    warehouse.clock += timedelta(minutes=20)
    assert [check.metadata for check in warehouse.watchdog()] == [f"s3://{BUCKET}/metadata/1.json"]


# Uploads that are gone before they are looked at, and keys without a place


@pytest.mark.parametrize("times", [3, 120])
def test_a_bin_whose_images_were_removed_too_early_can_be_checked_again(warehouse, times):
    warehouse.put("metadata/8.json", metadata(2))
    for number in range(times):
        warehouse.clock += timedelta(minutes=1)
        event = warehouse.put("bin-images/8.jpg", image_of(2) + b" " * number)
        warehouse.s3.delete_object(Bucket=BUCKET, Key="bin-images/8.jpg")
        warehouse.workflow.process(event)
    assert kinds(warehouse) == ["rejected"]
    assert len(list(warehouse.store.list_open("rejected", warehouse.clock - 3 * HOUR, warehouse.clock))) == 1
    warehouse.clock += timedelta(minutes=1)
    assert warehouse.drop("bin-images/8.jpg", image_of(2)).status == "match"
    assert kinds(warehouse) == ["resolved"]


def test_the_same_bytes_removed_as_image_and_as_record_are_two_rejections(warehouse):
    for key in ("bin-images/1.jpg", "metadata/1.json"):
        event = warehouse.put(key, b"")
        warehouse.s3.delete_object(Bucket=BUCKET, Key=key)
        warehouse.workflow.process(event)
    assert sorted(check.image or check.metadata for check in warehouse.checks("1")) == [
        f"s3://{BUCKET}/bin-images/1.jpg",
        f"s3://{BUCKET}/metadata/1.json",
    ]


@pytest.mark.parametrize("key", ["status/heartbeat.json", "bin-images/.DS_Store", "logs/2026-11-25"])
def test_a_stray_key_is_told_of_once(warehouse, key):
    for number in range(20):
        warehouse.clock += timedelta(minutes=1)
        warehouse.drop(key, f"beat {number}".encode())
    standing = [check.bin for check in warehouse.store.list_open("rejected", warehouse.clock - HOUR, warehouse.clock)]
    assert (kinds(warehouse), standing) == (["rejected"], [key])


# Versions, and several keys of one part


def test_new_content_is_checked_under_the_null_version(warehouse, monkeypatch):
    get_object = warehouse.s3.get_object
    monkeypatch.setattr(warehouse.s3, "get_object", lambda **asked: {**get_object(**asked), "VersionId": "null"})
    warehouse.drop("bin-images/1.jpg", image_of(2))
    warehouse.drop("metadata/1.json", metadata(2))
    check = warehouse.drop("metadata/1.json", metadata(5))
    assert (check.expected, check.status) == (5, "mismatch")


@pytest.mark.parametrize("newest", ["bin-images/523.jpg", "bin-images/523.png", "bin-images/523.JPG"])
def test_of_two_keys_of_a_part_the_one_that_s3_modified_last_is_looked_at(warehouse, monkeypatch, newest):
    """Their sequencers say the opposite: S3 documents that those of two keys cannot be compared."""
    get_object, older = warehouse.s3.get_object, "bin-images/523.jpeg"

    def dated(**asked):
        answer = get_object(**asked)
        return {**answer, "LastModified": answer["LastModified"] + (asked["Key"] == newest) * timedelta(seconds=1)}

    monkeypatch.setattr(warehouse.s3, "get_object", dated)
    warehouse.drop("metadata/523.json", metadata(3))
    for key, count, sequencer in ((older, 2, 99), (newest, 3, 1)):
        warehouse.put(key, image_of(count))
        check = warehouse.workflow.process(upload(key, image_of(count), sequencer))
    assert (check.predicted, check.image) == (3, f"s3://{BUCKET}/{newest}")
    late = warehouse.workflow.process(upload(older, image_of(2), 99))
    assert late.check == check.check


def test_where_the_newer_key_is_removed_the_older_one_is_the_part_again(warehouse):
    warehouse.drop("metadata/523.json", metadata(3))
    warehouse.drop("bin-images/523.jpg", image_of(2))
    warehouse.drop("bin-images/523.png", image_of(3))
    warehouse.s3.delete_object(Bucket=BUCKET, Key="bin-images/523.png")
    assert warehouse.drop("metadata/523.json", metadata(2)).predicted == 2


def test_contents_whose_name_begins_like_others_are_others(warehouse):
    for identity in ("a/b", "a/b/model", "a/bc", "a/b-"):
        check = Check("1", "", identity, "match", timestamp(warehouse.clock))
        warehouse.table.put_item(Item=check_item(check))
    found = warehouse.store.find_by_contents(Bin("", "1"), "a/b")
    assert sorted(check.check for check in found) == ["a/b", "a/b/model"]


# Names


def test_a_stray_key_stays_apart_from_the_bin_that_is_called_so(warehouse):
    warehouse.drop("BOS1/523", b"stray")
    assert [check.status for check in warehouse.checks("BOS1/523")] == ["rejected"]
    warehouse.clock += timedelta(minutes=1)
    warehouse.drop("BOS1/bin-images/523.jpg", image_of(2))
    warehouse.drop("BOS1/metadata/523.json", metadata(2))
    assert [(check.status, check.stray) for check in warehouse.checks("BOS1/523")] == [
        ("rejected", True),
        ("match", False),
    ]
    assert warehouse.store.find_current("BOS1/523").status == "match"
    (stray,) = warehouse.store.list_open("rejected", warehouse.clock - HOUR, warehouse.clock)
    assert (stray.bin, stray.subject) == ("BOS1/523", StrayKey("BOS1/523"))
    assert kinds(warehouse) == ["rejected"]


@pytest.mark.parametrize("name", ["tallies", "failures", "backfills", "keys", "state", "alert", "pairing"])
def test_a_bin_may_have_any_name(warehouse, name):
    table = warehouse.table
    for partition in (TALLIES, FAILURES, BACKFILLS, "tallies", "failures", "backfills"):
        table.put_item(Item={"bin": partition, "check": "2026-02-28#BOS1", "answers": 1, "reason": "r"})
    warehouse.drop(f"bin-images/{name}.jpg", image_of(2))
    warehouse.drop(f"metadata/{name}.json", metadata(2))
    assert warehouse.store.current_check(warehouse.state(name)).status == "match"
    assert [check.status for check in warehouse.checks(name)] == ["match"]
    assert warehouse.store.find_subject(name) == Bin("", name)


# Costs


def test_a_look_writes_as_much_however_long_the_history(warehouse, monkeypatch):
    written = []
    commit = CheckStore.commit
    monkeypatch.setattr(CheckStore, "commit", lambda store, *args: (written.append(args[1]), commit(store, *args))[1])
    warehouse.drop("bin-images/1.jpg", image_of(2))
    for number in range(40):
        warehouse.drop("metadata/1.json", metadata(3 + number % 4) + b" " * number)
    sizes = [len(repr(decision)) for decision in written[5:]]
    assert max(sizes) < 1.2 * min(sizes)
