"""The messages of a batch are checked at the same time, and the uploads of one bin in their order."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.cold_start import ENVIRONMENT
from inventory.bins import Bin
from inventory.errors import RetryLater
from inventory.uploads import Upload
from inventory.workflow import subject_of
from tests.builders import BUCKET, JPEG, image_of, metadata, notification, seen, sqs_event, upload
from tests.functions.test_handlers import Context, checker, handlers, metrics_in  # noqa: F401  (fixtures)
from tests.template import resource

KEYS = [
    f"{folder}/{number}.{suffix}"
    for number in range(3)
    for folder, suffix in (("bin-images", "jpg"), ("metadata", "json"))
]


@pytest.fixture
def calls(checker, monkeypatch):  # noqa: F811
    """What the Checker's workflow is asked to process, in the order in which it ends. Bin 2 fails."""
    made = SimpleNamespace(uploads=[], busy=Counter(), overlaps=[])

    def process(workflow, one):
        bin = subject_of(one)
        made.overlaps += [name for name in (bin, id(workflow.store)) if made.busy[name]]
        made.busy.update([bin, id(workflow.store)])
        time.sleep(0.001)
        made.busy.subtract([bin, id(workflow.store)])
        made.uploads.append(one.key)
        if bin == Bin.named("2"):
            raise RetryLater("the endpoint is down")

    monkeypatch.setattr(type(checker.workflow), "process", process)
    monkeypatch.setattr(checker.failures, "put", lambda *_: None)
    return made


def test_a_full_batch_waits_for_the_endpoint_once(checker, warehouse, monkeypatch, capsys):  # noqa: F811
    size = resource("Checker")["Events"]["Inbox"]["Properties"]["BatchSize"]
    together = threading.Barrier(size, timeout=10)

    def count(image, inference_id):
        together.wait()
        return seen(image, inference_id)

    monkeypatch.setattr(checker, "workflow", replace(checker.workflow, count=count))
    for number in range(size):
        warehouse.put(f"bin-images/{number}.jpg", image_of(3))
    messages = [notification(warehouse.put(f"metadata/{number}.json", metadata(3))) for number in range(size)]
    assert checker.handler(sqs_event(*messages), Context()) == {"batchItemFailures": []}
    assert metrics_in(capsys.readouterr().out)["Checks"] == size == checker.MAX_BATCH


@pytest.fixture
def batch(checker, calls):  # noqa: F811
    def deliver(keys):
        for each in (calls.uploads, calls.overlaps):
            each.clear()
        return checker.handler(sqs_event(*[notification(upload(key, JPEG)) for key in keys]), Context())

    return deliver


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(keys=st.lists(st.sampled_from(KEYS), min_size=1, max_size=10))
def test_the_uploads_of_a_bin_keep_their_order_and_threads_share_no_table(batch, calls, keys):
    answer = batch(keys)
    asked = defaultdict(list)
    for key in calls.uploads:
        asked[key.split("/")[1].split(".")[0]].append(key)
    for number, found in asked.items():
        assert found == [key for key in keys if f"/{number}." in key]
    assert len(calls.uploads) == len(keys)
    assert calls.overlaps == []
    failed = [f"m{place}" for place, key in enumerate(keys) if "/2." in key]
    assert sorted(each["itemIdentifier"] for each in answer["batchItemFailures"]) == failed


def test_bins_wait_for_nobody_and_time_is_looked_at_when_their_turn_comes(checker, calls):  # noqa: F811
    context = Context()
    context.get_remaining_time_in_millis = lambda: 60_000 - 40_000 * len(calls.uploads)
    messages = [notification(upload(key, JPEG)) for key in ("metadata/0.json", "bin-images/0.jpg")]
    assert checker.handler(sqs_event(*messages), context) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    assert calls.uploads == ["metadata/0.json"]


def test_a_key_outside_the_layout_has_a_turn_too():
    stray = Upload(BUCKET, "holiday.jpg", "v", "")
    assert subject_of(stray).name == "holiday.jpg"


def test_two_threads_lose_no_metric(checker, monkeypatch):  # noqa: F811
    metrics, inside = checker.metrics, threading.Semaphore()
    add = metrics.provider.add_metric

    def slowly(**metric):
        assert inside.acquire(blocking=False), "two threads add a metric at once"
        time.sleep(0.005)
        add(**metric)
        inside.release()

    monkeypatch.setattr(metrics.provider, "add_metric", slowly)
    metrics.clear_metrics()
    threads = [threading.Thread(target=metrics.add_metric, args=("Checks", "Count", 1)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert metrics.metric_set["Checks"]["Value"] == [1.0] * 5
    metrics.clear_metrics()


def test_a_cold_start_loads_no_events_of_other_services():
    asked = "import checker, sys; print(sorted(name for name in sys.modules if 'powertools.utilities.data_cl' in name))"
    started = [sys.executable, "-c", asked]
    loaded = subprocess.run(started, env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=True).stdout
    assert loaded == "[]\n"
