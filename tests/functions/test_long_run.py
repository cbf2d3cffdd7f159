"""What months, outages and other names of files do to a bin."""

from dataclasses import replace
from datetime import timedelta

import pytest

from inventory.check import timestamp
from inventory.errors import RetryLater
from tests.builders import BUCKET, image_of, metadata, prediction
from tests.functions.legacy import checked, pairing

DAY = timedelta(days=1)
IMAGE, RECORD = "bin-images/1.jpg", "metadata/1.json"


def kinds(house):
    return [alert["kind"] for alert in house.alerts()]


def expire(house, days):
    """Let so many days pass, and DynamoDB remove what has expired by then."""
    house.clock += days * DAY
    for item in house.table.scan()["Items"]:
        if item.get("expires_at", float("inf")) < house.clock.timestamp():
            house.table.delete_item(Key={name: item[name] for name in ("bin", "check")})


def down(*_):
    raise RetryLater("the endpoint is down")


def test_alerts_of_a_bin_whose_state_expired_have_new_names_and_greater_revisions(warehouse):
    warehouse.drop(IMAGE, image_of(2))
    warehouse.drop(RECORD, metadata(4))
    warehouse.drop(RECORD, metadata(2))
    first, closed = warehouse.alerts()
    expire(warehouse, 125)
    assert "Item" not in warehouse.table.get_item(Key={"bin": "1", "check": "/state"})
    warehouse.drop(IMAGE, image_of(2))
    warehouse.drop(RECORD, metadata(4))
    (again,) = warehouse.alerts()
    assert again["alert_id"] not in (first["alert_id"], closed["alert_id"])
    assert again["revision"] > closed["revision"] > first["revision"]


def test_a_bin_of_version_0_1_is_adopted_once_also_after_its_state_expired(warehouse):
    image, record = warehouse.put(IMAGE, image_of(2)), warehouse.put(RECORD, metadata(4))
    identity, ago = f"{image.version}/{record.version}", timestamp(warehouse.clock - DAY)
    warehouse.table.put_item(Item=pairing("1", told=identity, image=IMAGE, metadata=RECORD))
    warehouse.table.put_item(Item=checked("1", identity, "mismatch", ago, alerted_at=ago, expected=4, predicted=2))
    warehouse.drop(RECORD, metadata(2))
    assert kinds(warehouse) == ["resolved"]
    expire(warehouse, 125)
    warehouse.drop(RECORD, metadata(2))
    assert kinds(warehouse) == []


def test_what_a_person_reviewed_is_kept(warehouse):
    warehouse.drop(IMAGE, image_of(2))
    warehouse.review(warehouse.drop(RECORD, metadata(2)), 3)
    expire(warehouse, 400)
    listed = warehouse.store.list_open("reviewed", warehouse.clock - 500 * DAY, warehouse.clock)
    assert [check.actual for check in listed] == [3]


def test_of_rejections_the_one_that_speaks_is_kept_and_those_before_it_expire(warehouse):
    for number in range(5):
        warehouse.drop("status/heartbeat.json", f"beat {number}".encode())
    expire(warehouse, 400)
    (left,) = warehouse.checks("status/heartbeat.json")
    listed = warehouse.store.list_open("rejected", warehouse.clock - 500 * DAY, warehouse.clock)
    assert [check.check for check in listed] == [left.check]


def test_whoever_heard_of_a_severe_mismatch_hears_of_its_end(warehouse):
    sure = warehouse.workflow
    warehouse.drop(IMAGE, image_of(3))
    warehouse.drop(RECORD, metadata(4))
    (severe,) = warehouse.alerts()
    warehouse.workflow = replace(sure, count=lambda *_: prediction(2, certainty=0.4))
    warehouse.drop(IMAGE, image_of(2))
    (mild,) = warehouse.alerts()
    warehouse.workflow = sure
    warehouse.drop(IMAGE, image_of(4))
    (closed,) = warehouse.alerts()
    assert (mild["severity"], severe["severity"]) == ("low", "medium")
    assert closed["attributes"]["severity"] == "medium"
    assert closed["attributes"]["suspicion"] == severe["attributes"]["suspicion"]


def test_a_review_of_a_mismatch_leaves_open_that_the_partner_is_missing(warehouse):
    warehouse.drop(IMAGE, image_of(0))
    old = warehouse.drop(RECORD, metadata(4))
    warehouse.s3.delete_object(Bucket=BUCKET, Key=IMAGE)
    warehouse.drop(RECORD, metadata(2))
    warehouse.clock += timedelta(minutes=20)
    warehouse.watchdog()
    assert kinds(warehouse) == ["mismatch", "unpaired"]
    warehouse.review(old, 0)
    warehouse.drop(IMAGE, image_of(2))
    assert kinds(warehouse) == ["resolved"]


def test_a_false_alarm_is_forgotten_once_the_bin_agrees(warehouse):
    warehouse.drop(IMAGE, image_of(2))
    warehouse.review(warehouse.drop(RECORD, metadata(4)), 4)
    warehouse.drop(IMAGE, image_of(2) + b" ")
    warehouse.drop(IMAGE, image_of(4))
    warehouse.drop(IMAGE, image_of(2) + b"  ")
    assert kinds(warehouse) == ["mismatch", "mismatch"]


@pytest.mark.parametrize("key", ["bin-images/1.JPG", "bin-images/1.Png", "bin-images/1.jpeg"])
def test_an_outage_of_the_endpoint_makes_no_image_missing_whatever_its_ending(warehouse, key):
    warehouse.drop(RECORD, metadata(2))
    warehouse.put("bin-images/1.5.jpg", image_of(2))
    event = warehouse.put(key, image_of(2))
    with pytest.raises(RetryLater):
        replace(warehouse.workflow, count=down).process(event)
    warehouse.clock += timedelta(minutes=20)
    warehouse.watchdog()
    assert warehouse.workflow.process(event).status == "match"
    assert kinds(warehouse) == []


def test_bins_that_have_both_parts_do_not_keep_the_watchdog_from_those_that_have_not(warehouse):
    for number in range(3):
        warehouse.drop(f"bin-images/{number}.jpg", image_of(2))
        with pytest.raises(RetryLater):
            replace(warehouse.workflow, count=down).process(warehouse.put(f"metadata/{number}.json", metadata(2)))
    warehouse.clock += timedelta(minutes=20)
    warehouse.watchdog()
    assert list(warehouse.store.list_open("waiting", warehouse.clock - DAY, warehouse.clock)) == []
    assert kinds(warehouse) == []


def test_a_bin_of_which_something_is_open_is_remembered_for_ever(warehouse):
    warehouse.drop("bin-images/alone.jpg", image_of(2))
    warehouse.drop("bin-images/differs.jpg", image_of(2))
    warehouse.drop("metadata/differs.json", metadata(4))
    warehouse.drop("bin-images/agrees.jpg", image_of(2))
    warehouse.drop("metadata/agrees.json", metadata(2))
    expire(warehouse, 1000)
    known = {name: warehouse.state(name).revision > 0 for name in ("alone", "differs", "agrees")}
    assert known == {"alone": True, "differs": True, "agrees": False}


def test_a_key_that_is_nearly_too_long_has_a_partner_that_cannot_be(warehouse, monkeypatch):
    site = "s" * (1024 - len("/metadata/1.json"))
    get_object = warehouse.s3.get_object

    def limited(**asked):
        assert len(asked["Key"]) <= 1024
        return get_object(**asked)

    monkeypatch.setattr(warehouse.s3, "get_object", limited)
    assert warehouse.drop(f"{site}/metadata/1.json", metadata(2)).status == "waiting"
