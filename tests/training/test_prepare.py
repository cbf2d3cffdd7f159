"""From a folder or bucket to a training set: which bins it takes, where they go, and why others are skipped."""

import csv
import json
import math
import shutil
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy", reason="scipy is not installed: uv sync --group train")
pytest.importorskip("matplotlib", reason="matplotlib is not installed: uv sync --group train")
datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed: uv sync --group train")

import boto3  # noqa: E402
from moto import mock_aws  # noqa: E402

from samples.render import write_training_set  # noqa: E402
from training import data_report, pack  # noqa: E402
from training import prepare as prepare_module  # noqa: E402
from training.data.bins import LabelledBin, read_bins  # noqa: E402
from training.data.grouping import ALIKE, alike_pairs, assign, groups_of, neighbour_pairs, similarity  # noqa: E402
from training.data.metadata import parse_record  # noqa: E402
from training.data.sources import Folder  # noqa: E402
from training.prepare import parse_options, prepare  # noqa: E402
from training.report.pages import Page  # noqa: E402

from .builders import far_apart, photo, record, write_bins  # noqa: E402


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_bins(tmp_path / "source", far_apart(30))


@pytest.fixture(autouse=True)
def page_without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plots take most of a small run's time: a test that looks at the page undoes this."""
    monkeypatch.setattr(data_report, "data_page", lambda root, *_: Page(root.name))


def run(source: Path | str, out: Path, *more: str) -> dict[str, Any]:
    return prepare(parse_options(["--source", str(source), "--out", str(out), "--jobs", "2", *more]))


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(newline="")))


def reasons(out: Path) -> dict[str, str]:
    return {row["id"]: row["reason"] for row in rows(out / "skipped.csv")}


# What a metadata file records


def item(unit: str, value: float, weight_unit: str, weight: float, quantity: int) -> dict[str, Any]:
    sides = {side: {"unit": unit, "value": value} for side in ("length", "width", "height")}
    return {**sides, "weight": {"unit": weight_unit, "value": weight}, "quantity": quantity}


def facts(*items: dict[str, Any]) -> tuple[float, ...]:
    held = dict(enumerate(items))
    return parse_record(json.dumps({"BIN_FCSKU_DATA": held, "EXPECTED_QUANTITY": 0}).encode(), "1").facts


def test_facts_are_in_inches_and_pounds_whatever_the_units() -> None:
    imperial, metric = item("IN", 2, "pounds", 0.5, 3), item("CM", 25.4, "grams", 453.59237, 1)
    assert facts(imperial, metric) == pytest.approx((3 * 8 + 1000, 1000, 2.5))


def test_one_unknown_size_leaves_volumes_unknown_but_not_the_weight() -> None:
    volume, largest, weight = facts(item("IN", 2, "ounces", 8, 2), item("cubits", 1, "pounds", 1, 1))
    assert math.isnan(volume)
    assert math.isnan(largest)
    assert weight == pytest.approx(2)


def test_empty_bin_holds_nothing() -> None:
    assert parse_record(record(0), "1").facts == (0, 0, 0)


def test_a_count_needs_no_items() -> None:
    for items in ("", ', "BIN_FCSKU_DATA": {}', ', "BIN_FCSKU_DATA": {"B1": {"quantity": -1}}'):
        read = parse_record(f'{{"EXPECTED_QUANTITY": 2{items}}}'.encode(), "1")
        assert (read.count, read.items) == (2, {})
        assert all(map(math.isnan, read.facts))


# Which bins stay together


def test_ids_are_strings_on_number_lines_of_their_own() -> None:
    ids = ["00523", "00524", "523", "r524", "no number"]
    assert neighbour_pairs(ids).tolist() == [[0, 1]]
    assert groups_of(ids, [{}] * 5).tolist() == [0, 0, 1, 2, 3]


def test_bins_that_share_most_items_join_their_blocks() -> None:
    items = [{"A": 2, "B": 1}, {}, {"A": 2, "C": 1}, {"A": 1, "D": 5}]
    assert similarity(items[0], items[2]) == ALIKE
    assert groups_of(["10", "11", "200", "300"], items).tolist() == [0, 0, 0, 1]


def test_alike_pairs_are_those_that_a_comparison_of_all_pairs_finds() -> None:
    rng = np.random.default_rng(0)
    items = [dict.fromkeys(rng.integers(0, 12, rng.integers(0, 4)).astype(str).tolist(), 1) for _ in range(60)]
    several = [sum(held.values()) > 1 for held in items]
    alike = [
        (i, j)
        for i, j in combinations(range(60), 2)
        if several[i] and several[j] and similarity(items[i], items[j]) >= ALIKE
    ]
    assert len(alike) > 10
    assert alike_pairs(items).tolist() == [list(pair) for pair in alike]


def test_groups_are_dealt_out_whole_and_every_class_in_proportion() -> None:
    rng = np.random.default_rng(1)
    groups, classes = np.repeat(np.arange(200), 5), rng.integers(0, 4, 1000)
    splits = np.array(assign(groups, classes, (0.8, 0.1, 0.1), seed=3))
    assert all(len(set(splits[groups == group])) == 1 for group in range(200))
    assert all(np.mean(splits[classes == k] == "val") == pytest.approx(0.1, abs=0.02) for k in range(4))
    assert assign(groups, classes, (0.8, 0.1, 0.1), seed=3) == splits.tolist()
    assert assign(groups, classes, (0.8, 0.1, 0.1), seed=4) != splits.tolist()
    assert "test" not in assign(groups, classes, (0.9, 0.1, 0.0), seed=3)


# From source to set


def test_rendered_bins_become_a_set_that_training_and_image_folder_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    write_training_set(tmp_path / "source", 24, seed=98)
    labels = tmp_path / "source" / "index.csv"
    report = run(tmp_path / "source", out := tmp_path / "set", "--labels", str(labels), "--split", "random",
                 "--fractions", "0.5", "0.5", "0", "--counts", "1-5", "--size", "48")  # fmt: skip
    truth = {
        row["id"]: int(row["expected_quantity"]) for row in rows(labels) if 1 <= int(row["expected_quantity"]) <= 5
    }
    bins = {split: read_bins(out, split) for split in ("train", "val")}
    assert {one.id: one.count for split in bins.values() for one in split} == truth
    assert all(one.facts[0] > 0 for one in bins["train"])
    folder = datasets.ImageFolder(out / "train")
    assert len(folder) == len(bins["train"])
    assert folder.classes == sorted({f"{one.count:02d}" for one in bins["train"]})
    assert folder[0][0].size == (48, 48)
    assert all(int(row["width"]) > 300 for row in rows(out / "index.csv"))
    assert report["bins"] == len(truth)
    assert "Leakage" in (out / "report.html").read_text()


def test_unreadable_pairs_are_listed_and_left_out(source: Path, tmp_path: Path) -> None:
    (source / "bin-images" / "1000.jpg").write_bytes(photo(0)[:300])
    (source / "bin-images" / "1050.jpg").unlink()
    (source / "metadata" / "1100.json").unlink()
    (source / "metadata" / "1150.json").write_bytes(b"{")
    report = run(source, out := tmp_path / "set")
    assert report["skipped"] == 4
    skipped = reasons(out)
    assert skipped["1000"].startswith("corrupt image: the image ")
    assert skipped["1050"] == "missing image"
    assert skipped["1100"] == "missing metadata and no label"
    assert skipped["1150"].startswith("malformed metadata: metadata/1150.json is not JSON")
    assert len(rows(out / "index.csv")) == 26


def test_images_are_copied_unchanged(source: Path, tmp_path: Path) -> None:
    run(source, out := tmp_path / "set")
    for row in rows(out / "index.csv"):
        assert (out / row["path"]).read_bytes() == (source / "bin-images" / f"{row['id']}.jpg").read_bytes()


def test_images_are_not_made_smaller_than_can_be_read(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(source, tmp_path / "set", "--size", "31")
    assert "--size must be 32 or more" in capsys.readouterr().err


@pytest.mark.parametrize("size", [(), ("--size", "32")])
def test_killed_run_goes_on_where_it_stopped(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[str, ...]
) -> None:
    read, fetched = Folder.read, []

    def read_and_die(folder: Folder, key: str) -> bytes | None:
        if len(fetched) == 12:
            raise KeyboardInterrupt
        if key.startswith("bin-images"):
            fetched.append(key)
        return read(folder, key)

    monkeypatch.setattr(Folder, "read", read_and_die)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "killed", *size)
    placed = len(list((tmp_path / "killed").glob("*/*/*.jpg")))
    monkeypatch.setattr(Folder, "read", lambda folder, key: fetched.append(key) or read(folder, key))
    run(source, tmp_path / "killed", *size)
    assert placed > 0
    assert len(fetched) - 12 == 30 - placed
    run(source, tmp_path / "unbroken", *size)
    assert (tmp_path / "killed" / "index.csv").read_text() == (tmp_path / "unbroken" / "index.csv").read_text()


def test_another_split_moves_images_and_leaves_none_behind(source: Path, tmp_path: Path) -> None:
    run(source, out := tmp_path / "set")
    before = rows(out / "index.csv")
    run(source, out, "--seed", "5")
    after = rows(out / "index.csv")
    assert [row["path"] for row in before] != [row["path"] for row in after]
    assert {path.relative_to(out).as_posix() for path in out.glob("t*/*/*")} <= {row["path"] for row in after}


def test_random_split_is_reported_to_leak_and_groups_not(tmp_path: Path) -> None:
    neighbours = {str(2000 + 50 * block + place): 1 + place % 2 for block in range(12) for place in range(4)}
    source = write_bins(tmp_path / "source", neighbours)
    leakage = {split: run(source, tmp_path / split, "--split", split)["leakage"] for split in ("groups", "random")}
    assert leakage["groups"]["neighbours"] == {
        "pairs": 36, "parted": 0, "share_with_kin_in_train": {"val": 0, "test": 0},
    }  # fmt: skip
    assert leakage["random"]["neighbours"]["parted"] > 0
    assert leakage["random"]["neighbours"]["share_with_kin_in_train"]["test"] > 0.5


def test_given_split_and_labels_win_over_metadata(source: Path, tmp_path: Path) -> None:
    (labels := tmp_path / "labels.csv").write_text(
        "id,expected_quantity,split\n1000,12,train\n1050,12,val\n1100,12,test\n"
    )
    report = run(source, out := tmp_path / "set", "--labels", str(labels), "--split", "given")
    assert [one.count for one in read_bins(out, "val")] == [12]
    assert (out / "val" / "10+" / "1050.jpg").is_file()
    assert set(reasons(out).values()) == {"no split in --labels"}
    assert report["counts"] == {split: {"10+": 1} for split in ("train", "val", "test")}


def test_the_published_split_is_a_list_of_numbers(tmp_path: Path) -> None:
    source = write_bins(tmp_path / "source", {f"{number:05}": 1 + number % 3 for number in range(95, 125)})
    (listed := tmp_path / "random_val.txt").write_text("99\n100\n101\n123456\n")
    run(source, tmp_path / "set", "--val-ids", str(listed))
    assert {row["id"] for row in rows(tmp_path / "set" / "index.csv") if row["split"] != "train"} == {
        "00099",
        "00100",
        "00101",
    }
    listed.write_text("123456\n")
    with pytest.raises(ValueError, match=r"split val is empty .*: correct --val-ids"):
        run(source, tmp_path / "other", "--val-ids", str(listed))


def test_a_given_split_needs_no_test(source: Path, tmp_path: Path) -> None:
    (labels := tmp_path / "labels.csv").write_text("id,expected_quantity,split\n1000,1,train\n1050,1,val\n")
    run(source, out := tmp_path / "set", "--labels", str(labels), "--split", "given")
    assert [one.count for one in read_bins(out, "val")] == [1]


def test_same_bins_give_the_same_report_of_figures(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "one", "--limit", "24")
    run(source, tmp_path / "other", "--limit", "24", "--jobs", "1")
    for name in ("index.csv", "report.json"):
        assert (tmp_path / "one" / name).read_text() == (tmp_path / "other" / name).read_text()


def test_report_has_mean_quantity_share_below_ten_and_tail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    counts = [2, 4, 12, 60] * 8
    source = write_bins(tmp_path / "source", {str(1000 + 50 * number): count for number, count in enumerate(counts)})
    quantity = run(source, tmp_path / "set", "--fractions", "0.5", "0.25", "0.25")["quantity"]
    assert quantity["mean"] == pytest.approx(19.5)
    assert quantity["share_below_ten"] == 0.5
    assert quantity["tail"] == {"10": 16, "20": 8, "50": 8, "100": 0}
    assert quantity["by_quantity"] == {"2": 8, "4": 8, "12": 8, "60": 8}
    page = (tmp_path / "set" / "report.html").read_text()
    assert "535,234" in page
    assert page.count("data:image/jpeg") == 16  # at most eight of each class, from train


# On several machines


def test_machines_that_share_the_images_make_the_set_of_one(source: Path, tmp_path: Path) -> None:
    (source / "bin-images" / "1000.jpg").write_bytes(photo(0)[:300])
    (source / "bin-images" / "2450.jpg").unlink()
    run(source, one := tmp_path / "one")
    for share in ("1/3", "2/3", "3/3"):
        run(source, machine := tmp_path / share[0], "--shard", share)
        shutil.copytree(machine, tmp_path / "joined", dirs_exist_ok=True)  # as S3 does with outputs of one prefix
    joined = tmp_path / "joined"
    for split in ("train", "val", "test"):
        alone, together = ([one.id for one in read_bins(root, split)] for root in (one, joined))
        assert alone == together
    files = [
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*.j*g")}
        | {path.relative_to(root): path.read_bytes() for path in root.glob("metadata/*")}
        for root in (one, joined)
    ]
    assert files[0] == files[1]
    skipped = {row["id"] for path in joined.glob("skipped-*.csv") for row in rows(path)}
    assert skipped == set(reasons(one)) == {"1000", "2450"}
    assert data_report.write_report(joined) == json.loads((one / "report.json").read_text())
    assert sum(len(list((tmp_path / share).glob("t*/*/*"))) > 0 for share in "123") == 3


def content(one: LabelledBin) -> tuple[object, ...]:
    return one.id, one.count, one.facts, one.image.read_bytes(), one.metadata.read_bytes() if one.metadata else b""


@pytest.mark.parametrize("machines", [1, 3])
def test_archives_are_the_set_of_files_however_many_machines_write_them(
    source: Path, tmp_path: Path, machines: int
) -> None:
    (source / "bin-images" / "1000.jpg").write_bytes(photo(0)[:300])
    run(source, files := tmp_path / "files")
    for number in range(1, machines + 1):
        run(source, machine := tmp_path / f"{number}", "--shard", f"{number}/{machines}", "--archives", "1")
        assert not (tmp_path / f"{number}.files").exists()
        shutil.copytree(machine, tmp_path / "joined", dirs_exist_ok=True)  # as S3 does with outputs of one prefix
    joined = tmp_path / "joined"
    assert len(list(joined.glob("images-*.tar"))) == machines
    assert not [path for path in joined.iterdir() if path.is_dir()]
    for split in ("train", "val", "test"):
        found = [[content(one) for one in read_bins(root, split)] for root in (files, joined)]
        np.testing.assert_equal(found[1], found[0])
    assert data_report.write_report(joined) == json.loads((files / "report.json").read_text())


def test_archives_are_written_again_after_a_kill_and_never_over_a_set(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_one_and_die(_: object, __: object, written: Iterator[object]) -> None:
        next(written)
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(pack, "write_rows", write_one_and_die)
        with pytest.raises(KeyboardInterrupt):
            run(source, tmp_path / "set", "--archives", "1")
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["images-00000.tar"]
    monkeypatch.setattr(Folder, "read", lambda folder, key: pytest.fail(f"{key} is fetched again"))
    run(source, tmp_path / "set", "--archives", "1")
    assert len(rows(tmp_path / "set" / "index.csv")) == 30
    with pytest.raises(ValueError, match="this set is made already"):
        run(source, tmp_path / "set", "--archives", "1")


def test_share_that_is_missing_is_named(source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "set", "--shard", "2/2")
    with pytest.raises(FileNotFoundError, match=r"index-001-of-002\.csv is missing"):
        read_bins(tmp_path / "set", "train")
    with pytest.raises(ValueError, match="and 2 machines"):
        run(source, tmp_path / "set")


# From a bucket


@pytest.fixture
def bucket(source: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="bins")
        for path in source.glob("*/*"):
            key = f"site/a/{path.relative_to(source).as_posix()}"
            s3.put_object(Bucket="bins", Key=key, Body=path.read_bytes(), ACL="public-read")
        yield s3


def test_bucket_gives_the_set_that_its_folder_gives(bucket: Any, source: Path, tmp_path: Path) -> None:
    run(source, tmp_path / "folder")
    run("s3://bins/site/a", tmp_path / "bucket")
    assert (tmp_path / "bucket" / "index.csv").read_text() == (tmp_path / "folder" / "index.csv").read_text()


def test_listed_ids_are_fetched_without_credentials_or_listing(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda session: None)
    monkeypatch.setattr("training.data.sources.Bucket.keys", lambda *_: pytest.fail("listed the bucket"))
    names = [f"data/metadata/{bin_id}.json" for bin_id in [*far_apart(24), "00523"]]
    (ids := tmp_path / "ids.json").write_text(json.dumps({"1": names}))
    run("s3://bins/site/a/", out := tmp_path / "set", "--ids", str(ids))
    assert {row["id"] for row in rows(out / "index.csv")} == set(far_apart(24))
    assert set(reasons(out)) == {"00523"}


def test_bucket_that_is_not_there_is_named(bucket: Any, tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="s3://other/bin-images/ cannot be listed"):
        run("s3://other", tmp_path / "set")


# Errors are one line


def test_source_without_one_usable_bin_is_refused(source: Path, tmp_path: Path) -> None:
    for path in (source / "metadata").iterdir():
        path.write_bytes(b"{")
    with pytest.raises(ValueError, match=r"no bin remains \(30 skipped for malformed metadata"):
        run(source, tmp_path / "set")
    assert len(reasons(tmp_path / "set")) == 30


def test_split_that_would_be_empty_is_refused(tmp_path: Path) -> None:
    source = write_bins(tmp_path / "source", {"1000": 1, "1001": 1, "2000": 1})
    with pytest.raises(ValueError, match=r"split val is empty \(3 bins in 2 groups\): take more bins"):
        run(source, tmp_path / "set")


def test_class_that_train_lacks_is_refused(source: Path, tmp_path: Path) -> None:
    (labels := tmp_path / "labels.csv").write_text(
        "id,expected_quantity,split\n1000,1,train\n1050,2,val\n1100,1,test\n"
    )
    with pytest.raises(ValueError, match="class 02 occurs in val but not in train: correct --val-ids"):
        run(source, tmp_path / "set", "--labels", str(labels), "--split", "given")


def test_folder_with_something_else_is_not_touched(source: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no prepared set"):
        run(source, source)
    run(source, out := tmp_path / "set")
    with pytest.raises(ValueError, match="holds images made with --source"):
        run(source, out, "--size", "32")
    with pytest.raises(FileNotFoundError, match="inbox layout"):
        run(tmp_path, tmp_path / "new")


def test_processing_job_needs_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        parse_options([])
    (tmp_path / "input").mkdir()
    monkeypatch.setattr(prepare_module, "PROCESSING", tmp_path)
    options = parse_options([])
    assert (options.source, options.out) == (str(tmp_path / "input"), tmp_path / "output")
