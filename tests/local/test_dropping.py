"""Dropping bins: which files, under which keys, and what happens the second time."""

import json
import os
import unicodedata
from types import SimpleNamespace
from unittest.mock import Mock

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from inventory.bins import Bin
from inventory.refusals import DENIED, EXPIRED, UNKNOWN_CREDENTIALS
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
    files = dropping.find([str(path) for path in paths], Cloud.aws, **options)
    return [file.key for file in files if isinstance(file, dropping.Source)]


def refused(aws, *paths, **options):
    """What is not uploaded, by key: the outcome and why."""
    files = dropping.find([str(path) for path in paths], Cloud.aws, **options)
    return {file.key: (file.outcome, file.reason) for file in files if isinstance(file, dropping.Dropped)}


def test_a_folder_is_dropped_bin_by_bin(aws, site):
    root = site(lonely=("9",))
    write(root / "README.md", "not a bin")
    write(root / "bin-images" / ".DS_Store", "")
    write(root / "bin-images" / "notes.txt", "")
    assert keys(aws, root) == [
        "bin-images/1.jpg", "metadata/1.json", "bin-images/2.jpg", "metadata/2.json", "metadata/9.json",
    ]  # fmt: skip
    assert refused(aws, root) == {"bin-images/notes.txt": ("skipped", "is no .jpg or .jpeg or .png")}
    assert dropping.count([str(root)]) == 6


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


def test_a_folder_as_a_phone_and_its_computer_make_it(aws, tmp_path):
    images, records = tmp_path / "bin-images", tmp_path / "metadata"
    for name in ("IMG_1 (2).JPG", "IMG_2.Jpeg", "IMG_3 [copy].jpg", "50%#?+&=;.PNG", "IMG_4.HEIC", "Thumbs.db"):
        write(images / name, name)
    for name in ("IMG_1 (2).JSON", "IMG_2.Json", "IMG_3 [copy].json", "50%#?+&=;.json", "IMG_4.json"):
        write(records / name, "{}")
    for junk in (images / "._IMG_2.Jpeg", records / ".DS_Store", tmp_path / "__MACOSX/bin-images/._IMG_2.Jpeg"):
        write(junk, "")
    write(images / ".trashed-IMG_5.jpg", "")
    write(images / "2026" / "IMG_6.jpg", "")
    assert keys(aws, tmp_path) == [
        "bin-images/50%#?+&=;.PNG", "metadata/50%#?+&=;.json", "bin-images/IMG_1 (2).JPG", "metadata/IMG_1 (2).JSON",
        "bin-images/IMG_2.Jpeg", "metadata/IMG_2.Json", "bin-images/IMG_3 [copy].jpg", "metadata/IMG_3 [copy].json",
        "metadata/IMG_4.json",
    ]  # fmt: skip
    assert refused(aws, tmp_path) == {
        "bin-images/.trashed-IMG_5.jpg": ("skipped", "is hidden: rename it"),
        "bin-images/2026": ("skipped", "is a folder: put its files beside it"),
        "bin-images/IMG_4.HEIC": ("skipped", "is no .jpg or .jpeg or .png"),
        "bin-images/Thumbs.db": ("skipped", "is no .jpg or .jpeg or .png"),
    }


def test_links_make_no_loop_and_no_site(aws, site, tmp_path):
    site("photos/BOS1", ("1",))
    site("elsewhere/store", ("2",))
    root = tmp_path / "photos"
    for link, target in {
        "BOS1/latest": "../BOS1", "BOS1/up": "..", "AAA": "BOS1", "current": "BOS1", "outside": "../elsewhere/store",
        "outside-2": "../elsewhere/store", "above": "../..", "itself": "itself", "nowhere": "gone",
    }.items():  # fmt: skip
        (root / link).symlink_to(target)
    (tmp_path / "elsewhere/store/back").symlink_to("../../elsewhere")
    assert keys(aws, root) == [
        "BOS1/bin-images/1.jpg", "BOS1/metadata/1.json", "outside/bin-images/2.jpg", "outside/metadata/2.json",
    ]  # fmt: skip


def test_a_name_that_is_no_key_fails_alone_and_is_named(aws, inbox, site):
    root = site(bins=("1",))
    for name in (b"bad\xff", b"x" * 250):
        write(root / "bin-images" / os.fsdecode(name + b".jpg"), "x")
    outcomes = {
        d.key: (d.outcome, d.reason) for d in dropping.drop(dropping.find([str(root)], Cloud.aws, "s" * 780), inbox)
    }
    prefix = "s" * 780
    assert outcomes.pop(f"{prefix}/bin-images/bad\\xff.jpg") == ("failed", "is no name in UTF-8: rename it")
    assert outcomes.pop(f"{prefix}/bin-images/{'x' * 250}.jpg") == (
        "failed", "has a key of 1,046 bytes, and S3 takes 1,024: rename it",
    )  # fmt: skip
    assert {outcome for outcome, _ in outcomes.values()} == {"uploaded"}


def test_two_forms_of_an_accent_are_one_bin(aws, tmp_path):
    write(tmp_path / "bin-images" / unicodedata.normalize("NFD", "Regal-S\u00fcd.jpg"), "x")
    write(tmp_path / "metadata" / "Regal-S\u00fcd.json", "{}")
    files = list(dropping.find([str(tmp_path)], Cloud.aws))
    assert {file.bin for file in files} == {Bin("", "Regal-S\u00fcd")}


def test_a_folder_that_cannot_be_listed_is_named(aws, site, monkeypatch):
    site("north", ("1",))
    root = site("south", ("1",))
    iterdir = type(root).iterdir

    def denied(path):
        if path.name == "bin-images" and path.parent.name == "north":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(type(root), "iterdir", denied)
    assert refused(aws, root) == {str(root / "north"): ("failed", "cannot be listed: Permission denied")}
    assert keys(aws, root) == ["south/bin-images/1.jpg", "south/metadata/1.json"]


def test_a_limit_counts_bins(aws, site):
    assert keys(aws, site(bins=("1", "2", "3")), limit=2) == [
        "bin-images/1.jpg", "metadata/1.json", "bin-images/2.jpg", "metadata/2.json",
    ]  # fmt: skip


def test_nothing_to_drop_is_said(aws, tmp_path):
    with pytest.raises(dropping.NothingToDrop, match=r"layout is .*bin-images/<id>\.jpg"):
        keys(aws, tmp_path)
    with pytest.raises(dropping.NothingToDrop, match="does not exist"):
        keys(aws, tmp_path / "nowhere")


def test_where_there_are_no_others_the_first_files_that_are_none_of_bins_are_named(aws, tmp_path):
    for number in range(dropping.NAMED + 2):
        write(tmp_path / "bin-images" / f"{number}.heic", "")
    write(tmp_path / "bin-images" / os.fsdecode(b"\xff.gif"), "")
    with pytest.raises(dropping.NothingToDrop) as said:
        keys(aws, tmp_path, site="BOS1")
    named = [f"BOS1/bin-images/{number}.heic is no .jpg or .jpeg or .png" for number in range(dropping.NAMED)]
    assert f"no images or metadata found; {'; '.join(named)}. The layout is " in str(said.value)


def test_the_second_time_only_what_changed_is_uploaded(aws, inbox, site):
    root = site()
    first = list(dropping.drop(dropping.find([str(root)], Cloud.aws), inbox))
    assert {dropped.outcome for dropped in first} == {"uploaded"}
    write(root / "metadata" / "2.json", '{"EXPECTED_QUANTITY": 2}')
    again = list(dropping.drop(dropping.find([str(root)], Cloud.aws), inbox))
    assert [dropped.key for dropped in again if dropped.outcome == "uploaded"] == ["metadata/2.json"]
    stored = aws.s3().get_object(Bucket="inbox", Key="metadata/2.json")
    assert (json.load(stored["Body"]), stored["ContentType"]) == ({"EXPECTED_QUANTITY": 2}, "application/json")


def test_a_file_that_cannot_be_read_fails_alone(aws, inbox, site):
    root = site()
    sources = list(dropping.find([str(root)], Cloud.aws))
    (root / "bin-images" / "1.jpg").unlink()
    outcomes = {dropped.key: dropped.outcome for dropped in dropping.drop(sources, inbox)}
    assert outcomes.pop("bin-images/1.jpg") == "failed"
    assert set(outcomes.values()) == {"uploaded"}


def test_another_bucket_is_a_source(aws, inbox):
    aws.s3().create_bucket(Bucket="public")
    for id in ("1", "2", "3"):
        aws.s3().put_object(Bucket="public", Key=f"data/bin-images/{id}.jpg", Body=id.encode())
        aws.s3().put_object(Bucket="public", Key=f"data/metadata/{id}.json", Body=b"{}")
    list(dropping.drop(dropping.find(["s3://public/data"], Cloud.aws, limit=2), inbox))
    stored = [entry["Key"] for entry in aws.s3().list_objects_v2(Bucket="inbox")["Contents"]]
    assert stored == ["bin-images/1.jpg", "bin-images/2.jpg", "metadata/1.json", "metadata/2.json"]
    assert len(keys(aws, "s3://public/data")) == 6


def test_a_bucket_that_may_not_be_listed_is_said(aws):
    with pytest.raises(dropping.NothingToDrop, match="s3://missing cannot be listed"):
        keys(aws, "s3://missing")


@pytest.mark.parametrize("code", sorted(DENIED | EXPIRED | UNKNOWN_CREDENTIALS))
def test_a_public_bucket_is_read_whatever_is_wrong_with_the_credentials(aws, monkeypatch, code):
    aws.s3().create_bucket(Bucket="public")
    aws.s3().put_object(Bucket="public", Key="bin-images/1.jpg", Body=b"1")
    s3 = Cloud.s3

    def refusing(cloud, *, signed=True):
        if not signed:
            return s3(cloud)
        refused = ClientError({"Error": {"Code": code, "Message": "no"}}, "ListObjectsV2")
        return SimpleNamespace(list_objects_v2=Mock(side_effect=refused))

    monkeypatch.setattr(Cloud, "s3", refusing)
    assert keys(aws, "s3://public") == ["bin-images/1.jpg"]


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
