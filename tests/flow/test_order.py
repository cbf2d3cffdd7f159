"""Uploads come in any order, twice, and again with new content."""

import threading


def test_image_first(warehouse):
    warehouse.photograph("7", warehouse.image_of(3))
    assert warehouse.check("7").status == "waiting"
    warehouse.report("7", 4)
    assert warehouse.check("7").status == "mismatch"
    assert warehouse.alerts(1) == [("7", "mismatch")]


def test_metadata_first(warehouse):
    warehouse.report("7", 4)
    assert warehouse.check("7").status == "waiting"
    warehouse.photograph("7", warehouse.image_of(3))
    assert warehouse.check("7").difference == -1
    assert warehouse.alerts(1) == [("7", "mismatch")]


def test_both_at_once(warehouse):
    pairs = [(str(number), warehouse.image_of(number % 6)) for number in range(12)]
    robots = [threading.Thread(target=warehouse.photograph, args=pair) for pair in pairs]
    robots += [threading.Thread(target=warehouse.report, args=(id, 2)) for id, _ in pairs]
    for robot in robots:
        robot.start()
    for robot in robots:
        robot.join()
    wrong = sorted((id, "mismatch") for id, _ in pairs if int(id) % 6 != 2)
    assert {id: warehouse.check(id).predicted for id, _ in pairs} == {id: int(id) % 6 for id, _ in pairs}
    assert warehouse.alerts(len(wrong)) == wrong


def test_each_twice(warehouse):
    image = warehouse.image_of(3)
    for _ in range(2):
        warehouse.photograph("7", image)
        warehouse.report("7", 4)
    assert warehouse.check("7").status == "mismatch"
    assert warehouse.alerts(1) == [("7", "mismatch")]


def test_an_image_replaced_later_is_another_check(warehouse):
    warehouse.report("7", 4)
    warehouse.photograph("7", warehouse.image_of(3))
    warehouse.settle()
    warehouse.photograph("7", warehouse.image_of(4))
    warehouse.settle()
    assert [check.status for check in warehouse.checks("7")] == ["mismatch", "match"]
    assert warehouse.alerts(2) == [("7", "mismatch"), ("7", "resolved")]


def test_metadata_corrected_later_is_another_check(warehouse):
    warehouse.photograph("7", warehouse.image_of(3))
    warehouse.report("7", 5)
    warehouse.settle()
    warehouse.report("7", 4)
    warehouse.settle()
    warehouse.report("7", 3)
    warehouse.settle()
    assert [check.expected for check in warehouse.checks("7")] == [5, 4, 3]
    assert warehouse.alerts(2) == [("7", "mismatch"), ("7", "resolved")]


def test_ids_are_strings(warehouse):
    for id, count in (("523", 1), ("00523", 2)):
        warehouse.photograph(id, warehouse.image_of(count))
        warehouse.report(id, count)
    assert [warehouse.check(id).predicted for id in ("523", "00523")] == [1, 2]
