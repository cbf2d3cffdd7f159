"""The endpoint is down, broken or slow: uploads wait, and none is lost."""

import time

from local.stack.queues import depth, redrive
from tests.flow.warehouse import wait_until


def waiting(warehouse):
    return depth(warehouse.stack, warehouse.stack.inbox_queue_url)


def pair(warehouse, id, count, expected):
    warehouse.photograph(id, warehouse.image_of(count))
    warehouse.report(id, expected)


def test_while_the_endpoint_is_down_uploads_wait_and_then_all_are_checked(warehouse, endpoint, impatient_queues):
    endpoint.down()
    try:
        for number in range(4):
            pair(warehouse, str(number), 3, number)
        time.sleep(3)
        assert waiting(warehouse) > 0
        assert all(check.status == "waiting" for number in range(4) for check in warehouse.checks(str(number)))
    finally:
        endpoint.up()
    assert [warehouse.check(str(number)).status for number in range(4)] == ["mismatch"] * 3 + ["match"]
    assert warehouse.alerts(3) == [("0", "mismatch"), ("1", "mismatch"), ("2", "mismatch")]
    assert warehouse.dead_letters == 0


def test_five_failures_lead_to_the_dead_letters_and_a_redrive_out_of_them(warehouse, endpoint, impatient_queues):
    endpoint.failing = True
    pair(warehouse, "7", 3, 4)
    warehouse.settle()
    lost = warehouse.dead_letters
    assert 1 <= lost <= 2  # the first upload of the pair may have been settled as waiting
    assert [check.status for check in warehouse.checks("7")] in ([], ["waiting"])

    endpoint.failing = False
    assert sum(redrive(warehouse.stack)) == lost
    assert warehouse.check("7").status == "mismatch"
    assert warehouse.alerts(1) == [("7", "mismatch")]
    assert warehouse.dead_letters == 0


def test_a_slow_endpoint_delays_checks_and_doubles_none(warehouse, endpoint, impatient_queues):
    endpoint.delay_s = 3.0  # longer than the queue hides a message, so it is delivered again meanwhile
    pair(warehouse, "7", 3, 4)
    wait_until(lambda: any(check.status == "mismatch" for check in warehouse.checks("7")), "the bin is checked")
    endpoint.delay_s = 0.0
    assert warehouse.check("7").status == "mismatch"
    assert warehouse.alerts(1) == [("7", "mismatch")]
