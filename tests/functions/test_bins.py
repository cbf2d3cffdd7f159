import json

import pytest

from inventory.bins import Bin, expected_quantity, locate
from inventory.errors import RejectedUpload
from tests.builders import metadata


@pytest.mark.parametrize(
    ("key", "bin", "part"),
    [
        ("bin-images/523.jpg", Bin("", "523"), "image"),
        ("bin-images/00523.JPEG", Bin("", "00523"), "image"),
        ("metadata/523.json", Bin("", "523"), "metadata"),
        ("BOS1/bin-images/a b+c.png", Bin("BOS1", "a b+c"), "image"),
        ("eu/köln/metadata/1.2.json", Bin("eu/köln", "1.2"), "metadata"),
        ("metadata/metadata/7.json", Bin("metadata", "7"), "metadata"),
    ],
)
def test_a_key_names_its_bin_and_part(key, bin, part):
    assert locate(key) == (bin, part)
    assert key.lower() in [candidate.lower() for candidate in bin.keys(part)]


@pytest.mark.parametrize(
    "key",
    ["523.jpg", "bin-images/523.gif", "bin-images/.jpg", "metadata/523.jpg", "Bin-Images/1.jpg", "bin-images/a/1.jpg"],
)
def test_a_key_without_a_place_is_rejected_with_the_layout(key):
    with pytest.raises(RejectedUpload, match=r"bin-images/<id>.jpg"):
        locate(key)


def test_ids_are_strings():
    assert locate("bin-images/523.jpg") != locate("bin-images/00523.jpg")


@pytest.mark.parametrize("quantity", [0, 1, 100_000])
def test_the_quantity_is_read(quantity):
    assert expected_quantity(b"\xef\xbb\xbf" + metadata(quantity), "metadata/1.json") == quantity


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
        (metadata(-1), "must lie between 0 and 100,000"),
        (metadata(10**30), "must lie between 0 and 100,000"),
        (b'{"EXPECTED_QUANTITY": 1' + b"0" * 5000 + b"}", "is not JSON"),
        (metadata(["x" * 500]), "not a whole number"),
    ],
)
def test_a_bad_record_is_rejected_by_name_and_cure(content, reason):
    with pytest.raises(RejectedUpload) as rejection:
        expected_quantity(content, "metadata/1.json")
    assert reason in str(rejection.value)
    assert "metadata/1.json" in str(rejection.value)
    assert len(str(rejection.value)) < 300


def test_items_are_no_part_of_the_answer():
    assert expected_quantity(json.dumps({"EXPECTED_QUANTITY": 2, "BIN_FCSKU_DATA": {}}).encode(), "k") == 2
