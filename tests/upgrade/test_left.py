"""What earlier versions left in table, bucket and queues goes on under this one: nothing is lost, nothing told twice.

The files were written by those versions' own functions: `python -m tests.upgrade.leave COMMIT`.
"""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path

import boto3
import pytest

from inventory.check_items import read_alert
from inventory.uploads import read_message
from tests.builders import BUCKET, metadata, prediction
from tests.functions.conftest import account, warehouse  # noqa: F401  (fixtures)

LEFT = sorted(Path(__file__).parent.glob("left_by_*.json"))
STATUSES = {
    "match": "match", "open": "mismatch", "BOS1/site": "mismatch", "resolved": "match", "rejected": "rejected",
    "unpaired": "waiting", "waiting": "waiting",
}  # fmt: skip
LISTS = {"mismatch": ["BOS1/site", "open"], "rejected": ["notes.txt", "rejected"], "unpaired": ["unpaired"]}


@pytest.fixture(params=LEFT, ids=lambda path: path.stem)
def house(request, warehouse):  # noqa: F811
    """A warehouse that an earlier version has run for a day, and its messages, which may come again."""
    left = json.loads(request.param.read_text())
    for key, content in left["objects"].items():
        warehouse.s3.put_object(Bucket=BUCKET, Key=key, Body=content.encode("latin-1"))
    client = boto3.client("dynamodb", region_name="us-east-1")
    for item in left["items"]:
        client.put_item(TableName="checks", Item=item)
    warehouse.outbox.records()  # the earlier version has sent these alerts
    checked = [item["checked_at"]["S"] for item in left["items"] if "checked_at" in item]
    warehouse.clock = type(warehouse.clock).fromisoformat(max(checked)) + timedelta(seconds=1)
    warehouse.workflow = type(warehouse.workflow)(
        warehouse.s3, warehouse.store, lambda *_: prediction(2), 0.02, now=lambda: warehouse.clock
    )
    warehouse.left = left
    return warehouse


def statuses(house):
    return {bin: house.store.latest_check(house.store.find_subject(bin)).status for bin in STATUSES}


def lists(house):
    since = house.clock - timedelta(days=2)
    return {name: sorted(check.bin for check in house.store.list_open(name, since, house.clock)) for name in LISTS}


def deliver(house, *bodies):
    for body in bodies:
        for event in read_message(body):
            house.workflow.process(event)


def kinds(house):
    return Counter((alert["bin"], alert["kind"]) for alert in house.alerts())


def test_all_is_listed_as_the_earlier_version_left_it(house):
    assert lists(house) == LISTS
    assert [check.bin for check in house.store.list_open("waiting", house.clock - timedelta(days=2), house.clock)] == [
        "waiting"
    ]
    assert statuses(house) == STATUSES


@pytest.mark.parametrize("order", [1, -1])
def test_messages_that_come_again_change_nothing_and_tell_nobody(house, order):
    deliver(house, *house.left["events"][::order])
    deliver(house, *house.left["events"])
    assert statuses(house) == STATUSES
    assert kinds(house) - Counter({("notes.txt", "rejected"): 1}) == Counter()
    found = lists(house)
    assert found["mismatch"] == LISTS["mismatch"]
    assert found["unpaired"] == LISTS["unpaired"]
    assert set(found["rejected"]) == set(LISTS["rejected"])


def test_what_waited_and_what_was_told_goes_on(house):
    house.drop("metadata/unpaired.json", metadata(2))
    house.drop("bin-images/waiting.jpg", b"\xff\xd8\xff late")
    house.drop("metadata/open.json", metadata(2))
    house.drop("metadata/rejected.json", metadata(2))
    house.drop("metadata/match.json", metadata(4))
    expected = dict.fromkeys(("unpaired", "open", "rejected"), "resolved") | {"match": "mismatch"}
    assert kinds(house) == Counter(expected.items())
    assert statuses(house) == STATUSES | dict.fromkeys(("unpaired", "waiting", "open", "rejected"), "match") | {
        "match": "mismatch"
    }


def test_alerts_that_the_earlier_version_did_not_send_can_be_sent(house):
    texts = [item["alert"]["S"] for item in house.left["items"] if "alert" in item]
    for text in texts:
        house.outbox.alerts.publish(read_alert(text))
    assert len(house.alerts()) == len(texts)


def test_an_open_mismatch_of_the_earlier_version_can_be_reviewed(house):
    check = house.store.find_current("open")
    house.review(check, 2)
    assert house.store.find_current("open").actual == 2
    assert lists(house)["mismatch"] == ["BOS1/site"]
