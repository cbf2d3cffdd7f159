"""From what a person found to the precision of alerts, and to labels that training reads."""

import csv
import json
from dataclasses import replace

import pytest

from inventory.reports.audit import ReviewedCheck
from inventory.reports.findings import Reviewed, precision
from local.stack.reviews import export
from tests.builders import image_of, item, metadata_of
from tests.functions.conftest import account, warehouse  # noqa: F401  (fixtures)

RECORD = metadata_of(5, item(5, 2, 3, 4))


@pytest.fixture
def reviewed(warehouse):  # noqa: F811
    """Bins that were found to hold so many, and what the export made of them."""

    def reviewed(**found):
        for name, actual in found.items():
            bin = name.replace("_", "/")
            site, _, id = bin.rpartition("/")
            folder = f"{site}/" if site else ""
            warehouse.drop(f"{folder}bin-images/{id}.jpg", image_of(3))
            warehouse.drop(f"{folder}metadata/{id}.json", RECORD)
            warehouse.review(warehouse.store.current_check(warehouse.state(bin)), actual)
        return list(warehouse.store.list_open("reviewed", warehouse.clock, warehouse.clock))

    return reviewed


def test_precision_counts_reviewed_mismatches_by_severity(reviewed):
    right, wrong = reviewed(a=3, b=5)
    agreed = replace(right, status="match")
    severe = replace(right, severity="high")
    unclear = replace(right, actual=None)
    assert precision([right, wrong, agreed, severe, unclear]) == {
        "high": Reviewed(1, 1),
        "medium": Reviewed(2, 1),
    }


def test_a_later_review_replaces_an_earlier_one(reviewed):
    reviewed(a=3)
    (check,) = reviewed(a=4)
    assert check.actual == 4


def test_labels_are_exported_as_training_reads_them(reviewed, warehouse, tmp_path):  # noqa: F811
    outcomes = [each.outcome for each in export(reviewed(a=4, BOS1_523=5), warehouse.s3, tmp_path, {}, {})]
    assert outcomes == ["exported"] * 2
    assert (tmp_path / "bin-images/BOS1~523.jpg").read_bytes() == image_of(3)
    records = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "metadata").iterdir()}
    assert records == {"a": {"EXPECTED_QUANTITY": 4}, "BOS1~523": json.loads(RECORD)}
    with (tmp_path / "index.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["id"], row["bin"], row["recorded"], row["expected_quantity"]) for row in rows] == [
        ("BOS1~523", "BOS1/523", "5", "5"),
        ("a", "a", "5", "4"),
    ]


def test_a_label_says_how_it_was_drawn_what_it_stands_for_and_whether_it_judges(reviewed, warehouse, tmp_path):  # noqa: F811
    found = reviewed(a=4, b=4, c=4, d=7)
    ids = {check.bin: check.check_id for check in found}
    sample = {ids[bin]: ReviewedCheck(5, 3, 4, 0.3, audited=bin != "b") for bin in ("a", "b", "d")}
    weights = {ids["a"]: 40.0, ids["b"]: 1.5, ids["d"]: 40.0}
    assert {each.outcome for each in export(found, warehouse.s3, tmp_path, sample, weights)} == {"exported"}
    with (tmp_path / "index.csv").open() as file:
        rows = {row["id"]: (row["drawn"], row["weight"], row["split"]) for row in csv.DictReader(file)}
    assert rows == {
        "a": ("audit", "40", "val"),
        "b": ("alert", "1.5", "train"),
        "c": ("other", "0", "train"),
        "d": ("audit", "40", "train"),  # no other label has its count
    }


def test_an_image_that_is_gone_or_replaced_is_skipped_with_a_reason(reviewed, warehouse, tmp_path):  # noqa: F811
    found = reviewed(gone=4, replaced=4)
    warehouse.s3.delete_object(Bucket="inbox", Key="bin-images/gone.jpg")
    warehouse.s3.put_object(Bucket="inbox", Key="bin-images/replaced.jpg", Body=image_of(4))
    skipped = {each.bin: each.reason for each in export(found, warehouse.s3, tmp_path, {}, {})}
    assert "no longer exists" in skipped["gone"]
    assert "replaced since" in skipped["replaced"]
    assert not (tmp_path / "index.csv").exists()


def test_of_a_bucket_with_versions_the_reviewed_one_is_exported(reviewed, warehouse, tmp_path):  # noqa: F811
    warehouse.s3.put_bucket_versioning(Bucket="inbox", VersioningConfiguration={"Status": "Enabled"})
    found = reviewed(a=4)
    warehouse.s3.put_object(Bucket="inbox", Key="bin-images/a.jpg", Body=image_of(4))
    assert [each.outcome for each in export(found, warehouse.s3, tmp_path, {}, {})] == ["exported"]
    assert (tmp_path / "bin-images/a.jpg").read_bytes() == image_of(3)
