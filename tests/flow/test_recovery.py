"""The embedded cloud is killed in the middle of work, and stopped and started."""

import os
import signal
import time
from contextlib import contextmanager

from local.embedded.service import Service
from local.stack.queues import depth
from tests.flow.warehouse import wait_until


def kill(cloud):
    service = Service(cloud.folder, "cloud", "/")
    os.kill(service.running().pid, signal.SIGKILL)
    while service.running():
        pass


def wait_for_checkpoint(cloud, stack):
    """Earlier tests have changed the stack for a while; a kill is not to bring that back."""
    asked_at = time.time()
    state = cloud.folder / "state" / "sqs.json"

    def is_saved():
        depth(stack, stack.inbox_queue_url)  # only a cloud that is used saves its state
        return state.exists() and state.stat().st_mtime > asked_at

    wait_until(is_saved, "the state is saved")


def test_a_killed_cloud_goes_on_where_it_was_and_loses_no_upload(warehouse, cloud):
    wait_for_checkpoint(cloud, warehouse.stack)
    before = [str(number) for number in range(4)]
    for id in before:
        warehouse.photograph(id, warehouse.image_of(3))
        warehouse.report(id, 3)
    kill(cloud)
    assert cloud.status().cloud_url is None

    stack = cloud.up()
    assert stack.outputs == warehouse.stack.outputs
    warehouse.photograph("after", warehouse.image_of(3))
    warehouse.report("after", 3)
    warehouse.settle()
    statuses = {id: [check.status for check in warehouse.checks(id)] for id in [*before, "after"]}
    assert statuses == {id: ["match"] for id in statuses}


def test_what_was_found_is_still_there_after_a_stop(warehouse, cloud):
    warehouse.photograph("7", warehouse.image_of(3))
    warehouse.report("7", 4)
    found = warehouse.check("7")
    cloud.down()
    cloud.up()
    assert warehouse.check("7") == found


def test_an_alert_that_nobody_took_before_a_stop_goes_out_after_it_and_so_do_later_ones(warehouse, cloud):
    with without_alerter(warehouse.stack):
        warehouse.photograph("before", warehouse.image_of(3))
        warehouse.report("before", 4)
        assert warehouse.check("before").status == "mismatch"
        cloud.down()
        cloud.up()
    warehouse.photograph("after", warehouse.image_of(3))
    warehouse.report("after", 4)
    assert warehouse.alerts(2) == [("after", "mismatch"), ("before", "mismatch")]


@contextmanager
def without_alerter(stack):
    """Have nobody read the outbox for a while."""
    functions = stack.cloud.functions()
    mappings = functions.list_event_source_mappings(FunctionName=stack.outputs["AlerterFunctionName"])
    (stream,) = [one["UUID"] for one in mappings["EventSourceMappings"] if "/stream/" in one["EventSourceArn"]]
    functions.update_event_source_mapping(UUID=stream, Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=stream, Enabled=True)
