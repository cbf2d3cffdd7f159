"""A recheck asks the model in service about contents that another model has answered for already."""

from dataclasses import replace
from datetime import timedelta

import pytest

from inventory.errors import RejectedUpload
from tests.builders import image_of, metadata, prediction, seen
from tests.functions.test_workflow import IMAGE, RECORD, open_checks

BIN = "BOS1/523"


class Model:
    """Answers with a count of its own for every image, and counts how often it is asked."""

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count, self.asked = name, count, 0

    def __call__(self, image: bytes, inference_id: str):
        self.asked += 1
        return replace(prediction(self.count), model=self.name)


@pytest.fixture
def image(warehouse):
    """An image of three whose record says five, checked by the first model; as a recheck tells of it."""
    warehouse.drop(RECORD, metadata(5))
    image = warehouse.put(IMAGE, image_of(3))
    warehouse.workflow.process(image)
    warehouse.clock += timedelta(minutes=1)
    return replace(image, sequencer="", recheck=True)


def process(warehouse, upload, model):
    return replace(warehouse.workflow, count=model).process(upload)


def answers(warehouse):
    return [(check.model, check.status) for check in warehouse.checks(BIN)]


def test_another_model_makes_a_check_of_its_own_that_speaks_for_the_bin(warehouse, image):
    made = process(warehouse, image, Model("new@1", 5))
    assert (made.status, made.model) == ("match", "new@1")
    assert answers(warehouse) == [("test@0", "mismatch"), ("new@1", "match")]
    assert open_checks(warehouse, "mismatch") == []


def test_the_same_model_changes_nothing(warehouse, image):
    before = warehouse.checks(BIN)
    process(warehouse, image, seen)
    assert warehouse.checks(BIN) == before


def test_a_recheck_delivered_twice_is_one_check_and_one_alert(warehouse, image):
    warehouse.alerts()
    new = Model("new@1", 1)
    first, second = process(warehouse, image, new), process(warehouse, image, new)
    assert first.check_id == second.check_id
    assert answers(warehouse) == [("test@0", "mismatch"), ("new@1", "mismatch")]
    assert [alert["predicted"] for alert in warehouse.alerts()] == [1]


def test_an_upload_told_of_again_does_not_bring_the_older_answer_back(warehouse, image):
    new = Model("new@1", 5)
    process(warehouse, image, new)
    again = process(warehouse, replace(image, recheck=False), new)
    assert (again.model, new.asked) == ("new@1", 1)
    assert open_checks(warehouse, "mismatch") == []


def test_going_back_to_the_first_model_brings_its_answer_back(warehouse, image):
    process(warehouse, image, Model("new@1", 5))
    warehouse.clock += timedelta(minutes=1)
    process(warehouse, image, seen)
    assert answers(warehouse) == [("test@0", "mismatch"), ("new@1", "match"), ("test@0", "mismatch")]
    assert open_checks(warehouse, "mismatch") == [BIN]


def test_a_model_that_says_the_same_tells_nobody_again(warehouse, image):
    warehouse.alerts()
    made = process(warehouse, image, Model("new@1", 3))
    assert (made.model, made.repeats is not None) == ("new@1", True)
    assert warehouse.alerts() == []
    assert open_checks(warehouse, "mismatch") == [BIN]


def test_what_a_person_has_looked_at_is_asked_of_no_model(warehouse, image):
    (known,) = warehouse.checks(BIN)
    warehouse.review(known, 3)
    new = Model("new@1", 1)
    process(warehouse, image, new)
    assert (new.asked, len(warehouse.checks(BIN))) == (0, 1)


def test_a_model_that_refuses_the_image_leaves_the_answer_that_is_known(warehouse, image):
    def refuse(content, inference_id):
        raise RejectedUpload("the image cannot be counted")

    before = warehouse.checks(BIN)
    assert process(warehouse, image, refuse).status == "mismatch"
    assert warehouse.checks(BIN) == before


def test_contents_that_were_never_checked_are_checked_as_usual(warehouse):
    record = warehouse.put(RECORD, metadata(3))
    image = replace(warehouse.put(IMAGE, image_of(3)), sequencer="", recheck=True)
    assert warehouse.workflow.process(image).check == f"{image.version}/{record.version}"
