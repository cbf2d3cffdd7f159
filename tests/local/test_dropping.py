"""Dropping bins: which files, under which keys, and what happens the second time."""

import json

import boto3
import pytest
from moto import mock_aws

from local.stack import dropping
from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack


@pytest.fixture(autouse=True)
def aws(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield Cloud.aws()


@pytest.fixture
def inbox(aws):
    aws.s3().create_bucket(Bucket="inbox")
    return Stack(aws, "test", {"InboxBucketName": "inbox"})


@pytest.fixture
def site(tmp_path):
    def site(name="", bins=("1", "2"), lonely=()):
        for id in bins:
            write(tmp_path / name / "bin-images" / f"{id}.jpg", f"image {id}")
            write(tmp_path / name / "metadata" / f"{id}.json", '{"EXPECTED_QUANTITY": 1}')
        for id in lonely:
            write(tmp_path / name / "metadata" / f"{id}.json", "{}")
        return tmp_path

    return site


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def keys(aws, *paths, **options):
    return [source.key for source in dropping.find([str(path) for path in paths], aws, **options)]


def test_a_folder_is_dropped_bin_by_bin(aws, site):
    root = site(lonely=("9",))
    write(root / "README.md", "not a bin")
    write(root / "bin-images" / ".DS_Store", "")
    write(root / "bin-images" / "notes.txt", "")
    assert keys(aws, root) == [
        "bin-images/1.jpg", "metadata/1.json", "bin-images/2.jpg", "metadata/2.json", "metadata/9.json",
    ]  # fmt: skip
    assert dropping.count([str(root)]) == 5


def test_sites_keep_their_names_and_get_one(aws, site):
    site("north/hall 1", ("1",))
    root = site("south", ("1",))
    assert keys(aws, root, site="acme") == [
        "acme/north/hall 1/bin-images/1.jpg", "acme/north/hall 1/metadata/1.json",
        "acme/south/bin-images/1.jpg", "acme/south/metadata/1.json",
    ]  # fmt: skip


def test_single_files_and_inner_folders_go_where_they_belong(aws, site):
    root = site()
    assert keys(aws, root / "metadata" / "2.json", root / "bin-images") == [
        "metadata/2.json", "bin-images/1.jpg", "bin-images/2.jpg",
    ]  # fmt: skip


def test_a_limit_counts_bins(aws, site):
    assert keys(aws, site(bins=("1", "2", "3")), limit=2) == [
        "bin-images/1.jpg", "metadata/1.json", "bin-images/2.jpg", "metadata/2.json",
    ]  # fmt: skip


def test_nothing_to_drop_is_said(aws, tmp_path):
    with pytest.raises(dropping.NothingToDrop, match=r"layout is .*bin-images/<id>\.jpg"):
        keys(aws, tmp_path)
    with pytest.raises(dropping.NothingToDrop, match="does not exist"):
        keys(aws, tmp_path / "nowhere")


def test_the_second_time_only_what_changed_is_uploaded(aws, inbox, site):
    root = site()
    first = list(dropping.drop(dropping.find([str(root)], aws), inbox))
    assert {dropped.outcome for dropped in first} == {"uploaded"}
    write(root / "metadata" / "2.json", '{"EXPECTED_QUANTITY": 2}')
    again = list(dropping.drop(dropping.find([str(root)], aws), inbox))
    assert [dropped.key for dropped in again if dropped.outcome == "uploaded"] == ["metadata/2.json"]
    stored = aws.s3().get_object(Bucket="inbox", Key="metadata/2.json")
    assert (json.load(stored["Body"]), stored["ContentType"]) == ({"EXPECTED_QUANTITY": 2}, "application/json")


def test_a_file_that_cannot_be_read_fails_alone(aws, inbox, site):
    root = site()
    sources = list(dropping.find([str(root)], aws))
    (root / "bin-images" / "1.jpg").unlink()
    outcomes = {dropped.key: dropped.outcome for dropped in dropping.drop(sources, inbox)}
    assert outcomes.pop("bin-images/1.jpg") == "failed"
    assert set(outcomes.values()) == {"uploaded"}


def test_another_bucket_is_a_source(aws, inbox):
    aws.s3().create_bucket(Bucket="public")
    for id in ("1", "2", "3"):
        aws.s3().put_object(Bucket="public", Key=f"data/bin-images/{id}.jpg", Body=id.encode())
        aws.s3().put_object(Bucket="public", Key=f"data/metadata/{id}.json", Body=b"{}")
    list(dropping.drop(dropping.find(["s3://public/data"], aws, limit=2), inbox))
    stored = [entry["Key"] for entry in aws.s3().list_objects_v2(Bucket="inbox")["Contents"]]
    assert stored == ["bin-images/1.jpg", "bin-images/2.jpg", "metadata/1.json", "metadata/2.json"]
    assert len(keys(aws, "s3://public/data")) == 6


def test_a_bucket_that_may_not_be_listed_is_said(aws):
    with pytest.raises(dropping.NothingToDrop, match="s3://missing cannot be listed"):
        keys(aws, "s3://missing")


def test_no_more_than_a_window_of_files_is_ever_held(inbox):
    read = []

    def sources():
        for number in range(10 * dropping.WINDOW):
            yield dropping.Source(f"bin-images/{number}.jpg", lambda number=number: read.append(number) or b"x")

    files = dropping.drop(sources(), inbox)
    next(files)
    assert len(read) <= dropping.WINDOW
    files.close()
    assert len(read) <= dropping.WINDOW + dropping.WORKERS
    assert boto3.client("s3").list_objects_v2(Bucket="inbox")["KeyCount"] == len(read)
