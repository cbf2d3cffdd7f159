"""`bincheck smoke` with a Checker and an Alerter that do, or fail to do, their part."""

import threading
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError

from inventory.bins import Bin
from inventory.check_items import read_alert
from inventory.workflow import CheckWorkflow
from local.stack import smoke
from local.stack.smoke import SITE, SmokeFailed, run
from tests.builders import JPEG, prediction, upload

STEPS = ["subscribe", "upload", "check", "alert", "remove"]


class House:
    """A stack whose Checker and Alerter run when an upload was put: in the thread of the command."""

    def __init__(self, stack):
        topic = boto3.client("sns").create_topic(Name="alerts")["TopicArn"]
        self.stack = replace(stack, outputs={**stack.outputs, "MismatchTopicArn": topic})
        self.s3, self.sns = boto3.client("s3"), boto3.client("sns")
        self.count, self.checks, self.alerts, self.versions = 2, True, True, 0
        self.steps = []

    def after_upload(self, stack, bin):
        for number, (key, path) in enumerate(smoke._keys(bin).items()):
            self.s3.put_object(Bucket="inbox", Key=key, Body=path.read_bytes())
            if self.checks:
                workflow = CheckWorkflow(self.s3, stack.checks, lambda *_: prediction(self.count), mismatch_rate=0.02)
                workflow.process(replace(upload(key, path.read_bytes(), number + 1), bucket="inbox"))
        if self.alerts:
            for item in self.items():
                if "alert" in item:
                    alert = read_alert(item["alert"])
                    self.sns.publish(
                        TopicArn=stack.mismatch_topic_arn, Message=f'{{"check_id": "{alert.check.check_id}"}}'
                    )

    def items(self):
        return [item for item in self.stack.table.scan()["Items"] if item["bin"].startswith(SITE)]

    def remains(self):
        stored = self.s3.list_object_versions(Bucket="inbox")
        queues = boto3.client("sqs").list_queues(QueueNamePrefix="bincheck-watch").get("QueueUrls", [])
        return [*stored.get("Versions", []), *stored.get("DeleteMarkers", []), *self.items(), *queues]

    def run(self, timeout_s=2.0):
        return run(self.stack, lambda step: self.steps.append(step.name), timeout_s)


@pytest.fixture
def house(deployed, monkeypatch):
    house = House(deployed)
    monkeypatch.setattr(smoke, "_upload", house.after_upload)
    monkeypatch.setattr(smoke, "POLL_S", 0.05)
    return house


@pytest.mark.parametrize("versions", ["Suspended", "Enabled"])
def test_a_bin_goes_through_and_nothing_is_left(house, versions):
    house.s3.put_bucket_versioning(Bucket="inbox", VersioningConfiguration={"Status": versions})
    assert house.run().status == "mismatch"
    assert house.steps == STEPS
    assert house.remains() == []


def test_other_bins_stay(house):
    house.s3.put_object(Bucket="inbox", Key="bin-images/523.jpg", Body=JPEG)
    house.run()
    assert len(house.remains()) == 1


def no_checker(house):
    house.checks = False


def no_alerter(house):
    house.alerts = False


def a_blind_model(house):
    house.count = 5


@pytest.mark.parametrize(
    ("do", "reason", "steps"),
    [
        (no_checker, "check: none after 0 s. 0 messages wait", ["subscribe", "upload", "remove"]),
        (a_blind_model, "check: the bin is a match, though", ["subscribe", "upload", "remove"]),
        (no_alerter, "alert: none after 0 s", ["subscribe", "upload", "check", "remove"]),
    ],
)
def test_a_step_that_hangs_is_named_with_a_hint_and_nothing_is_left(house, do, reason, steps):
    do(house)
    with pytest.raises(SmokeFailed, match=reason) as failure:
        house.run(timeout_s=0.2)
    assert "`bincheck doctor`" in str(failure.value)
    assert house.steps == steps
    assert house.remains() == []


@pytest.mark.parametrize("step", ["subscribed", "_upload", "_wait_for_check", "_wait_for_alert"])
@pytest.mark.parametrize("fault", [KeyboardInterrupt(), ClientError({"Error": {"Code": "AccessDenied"}}, "Any")])
def test_whatever_fails_nothing_is_left(house, monkeypatch, step, fault):
    original = getattr(smoke, step)

    def fail(*arguments):
        if step == "_upload":
            original(*arguments)
        raise fault

    monkeypatch.setattr(smoke, step, fail)
    with pytest.raises(type(fault) if isinstance(fault, KeyboardInterrupt) else SmokeFailed):
        house.run()
    assert house.remains() == []


def test_what_cannot_be_removed_is_named_and_the_rest_is_removed(house, monkeypatch):
    def refuse(*_):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectVersions")

    monkeypatch.setattr(smoke, "_remove_uploads", refuse)
    with pytest.raises(SmokeFailed, match=r"its uploads .*ListObjectVersions.* of bin bincheck-smoke/"):
        house.run()
    assert house.items() == []


def test_the_bin_waits_for_the_events_of_both_uploads(house):
    """A late event of a removed upload would be a rejected check."""
    bin, keys = Bin(SITE, "1"), smoke._keys(Bin(SITE, "1"))
    (first, second), workflow = keys, CheckWorkflow(house.s3, house.stack.checks, lambda *_: prediction(2), 0.02)
    for key, path in keys.items():
        house.s3.put_object(Bucket="inbox", Key=key, Body=path.read_bytes())
    workflow.process(replace(upload(first, keys[first].read_bytes()), bucket="inbox"))
    assert house.stack.checks.find_current(bin.name).status == "mismatch"
    waiting = threading.Thread(target=smoke._wait_for_check, args=(house.stack, bin, 20.0))
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    workflow.process(replace(upload(second, keys[second].read_bytes()), bucket="inbox"))
    waiting.join(20)
    assert not waiting.is_alive()
