import json

import pytest

from inventory.errors import RejectedUpload
from inventory.metadata import Product, Record, read_record
from tests.builders import item, metadata, metadata_of


@pytest.mark.parametrize("quantity", [0, 1, 100_000])
def test_the_quantity_is_read(quantity):
    assert read_record(b"\xef\xbb\xbf" + metadata(quantity), "metadata/1.json").expected == quantity


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "must be an object"),
        (b"{}", "lacks EXPECTED_QUANTITY"),
        (metadata("three"), 'EXPECTED_QUANTITY is "three", not a whole number'),
        (metadata("3"), "write it as digits without quotes"),
        (metadata(True), "true, not a whole number"),
        (metadata(2.5), "2.5, not a whole number"),
        (metadata(None), "null, not a whole number"),
        (b'{"EXPECTED_QUANTITY": NaN}', "NaN, not a whole number"),
        (b'{"EXPECTED_QUANTITY": -1e999}', "-Infinity, not a whole number"),
        (b'{"EXPECTED_QUANTITY": ' + b"[" * 900 + b"]" * 900 + b"}", "not a whole number"),
        (metadata(-1), "must lie between 0 and 100,000"),
        (metadata(10**30), "must lie between 0 and 100,000"),
        (b'{"EXPECTED_QUANTITY": 1' + b"0" * 5000 + b"}", "is not JSON"),
        (metadata(["x" * 500]), "not a whole number"),
    ],
)
def test_a_bad_record_is_rejected_by_name_and_cure(content, reason):
    with pytest.raises(RejectedUpload) as rejection:
        read_record(content, "metadata/1.json")
    assert reason in str(rejection.value)
    assert "metadata/1.json" in str(rejection.value)
    assert len(str(rejection.value)) < 300


def test_what_is_recorded_of_products_is_read_in_cubic_inches():
    centimetres = item(1, 2.54, 2.54, 25.4, unit="CM")
    record = read_record(metadata_of(3, item(2, 1, 2, 3.5), item(0, 1, 1, 1), centimetres), "k")
    assert record.products == (Product(2, 7), Product(1, pytest.approx(10)))
    assert record.volume_in3 == pytest.approx(24)


def test_objects_recorded_too_many_may_be_any_of_those_recorded():
    record = Record(3, (Product(2, 7), Product(1, 10)))
    assert record.volumes_in3(2) == [(2 / 3, 17), (1 / 3, 14)]
    assert record.volumes_in3(1) == [(2 / 3, 8.5), (1 / 3, 7)]
    assert record.volumes_in3(3) == [(1, 24)]
    assert record.volumes_in3(4) == [(1, 32)]
    assert Record(1, (Product(1, 7),)).volumes_in3(0) == [(1, 0)]


@pytest.mark.parametrize(
    "items",
    [
        (),
        (item(0, 1, 2, 3),),
        (item(1, 1, 2, 3), item(1, 1, 2, None)),
        (item(1, 1, 2, 0),),
        (item(1, 1, 2, 3, unit="cubits"),),
        (item("two", 1, 2, 3),),
        (item(1, 1e200, 1e200, 1e200),),
        (item(1, 1e60, 1, 1),),
        ({"quantity": 1},),
        ("no item",),
        (None,),
    ],
)
def test_sizes_that_are_not_known_are_no_fault_of_the_file(items):
    assert read_record(metadata_of(2, *items), "k") == Record(2)


@pytest.mark.parametrize("items", [[], "text", None, 7])
def test_items_of_another_form_are_no_fault_either(items):
    content = json.dumps({"EXPECTED_QUANTITY": 2, "BIN_FCSKU_DATA": items}).encode()
    assert read_record(content, "k") == Record(2)
