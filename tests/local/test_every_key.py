"""Every key that S3 takes goes round every command unharmed, or is refused by name while the rest goes on."""

import csv
import io
import json
import os
import tempfile
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.alerts import Alerts
from inventory.bins import StrayKey, is_file_name, is_inbox_key, locate
from inventory.check_items import ALERT, read_alert
from inventory.check_store import CheckStore
from inventory.spreadsheets import from_cell, to_cell
from inventory.uploads import read_message
from inventory.workflow import CheckWorkflow
from local.cli import resolve, show, watch
from local.stack import backfill, dropping, reviews
from tests.builders import BUCKET, eventbridge_event, metadata, notification, prediction, upload
from tests.keys import BINS, KEYS
from tests.simulation.cloud import Bucket, Table
from tests.training.builders import photo
from training.data.bins import index_rows
from training.data.candidates import CandidateReader
from training.data.labels import Labels, read_labels
from training.data.prepared_set import ImagePlacer, write_index, write_skipped
from training.data.sources import Folder, list_bins
from training.data.splitting import PlannedBin
from training.data.usable import UnusableBin

IMAGE = photo(0)


class House:
    """A deployed stack in memory, with the commands that work on it."""

    def __init__(self) -> None:
        self.source, self.inbox, self.table = Bucket(), Bucket(), Table()
        self.checks = CheckStore(self.table)
        self.workflow = CheckWorkflow(self.inbox, self.checks, lambda *_: prediction(2), 0.02)
        self.cloud = SimpleNamespace(s3=lambda: self.inbox)
        self.stack = SimpleNamespace(
            cloud=self.cloud, inbox_bucket=BUCKET, checks=self.checks, outputs={}, links=Alerts(None, "")._links
        )

    def drop(self):
        aws = SimpleNamespace(s3=lambda signed: self.source)
        return list(dropping.drop(dropping.find(["s3://source"], lambda: aws), self.stack, workers=1))

    def deliver(self, key):
        sent = upload(key, self.inbox.objects[key][0])
        events = [read_message(json.dumps(told)) for told in (notification(sent), eventbridge_event(sent))]
        assert events == [[sent], [sent]]
        self.workflow.process(sent)

    def alerts(self):
        sent = []
        sns = SimpleNamespace(publish=lambda **message: sent.append(json.loads(message["Message"])["default"]))
        for (_, item), stored in sorted(self.table.items.items()):
            if item.startswith(ALERT):
                Alerts(sns, "topic").publish(read_alert(stored["alert"]))
        return [json.loads(body) for body in sent]

    def run(self, command, *arguments, **options):
        """What a command prints as JSON."""
        out = io.StringIO()
        with patch.object(command, "resolve_stack", lambda _: self.stack), redirect_stdout(out):
            getattr(command, command.__name__.rpartition(".")[2])(*arguments, as_json=True, **options)
        return [json.loads(line) for line in out.getvalue().splitlines()]


def names(keys):
    return {locate(key)[0].name for key in keys}


def watched(alert):
    out = io.StringIO()
    with redirect_stdout(out):
        watch.print_alert(alert, as_json=True)
    return json.loads(out.getvalue())["bin"]


ROUND = st.lists(BINS, min_size=1, max_size=4, unique_by=lambda keys: locate(keys[0])[0])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs=ROUND, strays=st.lists(KEYS.filter(lambda key: not is_inbox_key(key)), max_size=3, unique=True))
def test_every_key_goes_round(pairs, strays):
    house = House()
    keys = sorted({key for pair in pairs for key in pair})
    for key in keys:
        house.source.put(key, metadata(4) if locate(key)[1] == "metadata" else IMAGE)
    for key in strays:
        house.source.put(key, b"stray")
    dropped = house.drop()
    assert sorted(each.key for each in dropped if each.outcome == "uploaded") == keys == sorted(house.inbox.objects)
    assert all(each.reason for each in dropped if each.key in strays)

    bins = names(keys)
    for key in keys:
        house.deliver(key)
    assert {watched(alert) for alert in house.alerts()} == bins
    for name in bins:
        (check,) = house.run(show, name)
        (reviewed,) = house.run(resolve, name, actual=3)
        assert (check["bin"], check["status"], reviewed["bin"], reviewed["actual"]) == (name, "mismatch", name, 3)
        assert {check["image"], check["metadata"]} <= {f"s3://{BUCKET}/{key}" for key in keys}
    with tempfile.TemporaryDirectory() as folder:
        assert_exported(house, bins, Path(folder, "out"))
        assert {path.name for path in Path(folder).iterdir()} <= {"out"}
    assert_backfilled(house, keys, bins)
    assert_prepared(house, keys)
    for key in strays:
        assert_told_of_stray(house, key)


def test_prepare_names_a_file_of_a_folder_whose_name_is_not_utf_8(tmp_path):
    for name in (b"bin-images/bad\xff.jpg", b"bin-images/good.JPG", b"metadata/good.Json"):
        (path := tmp_path / os.fsdecode(name)).parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    found, others = list_bins(Folder(tmp_path))
    assert [(one.id, one.images, one.metadata) for one in found] == [
        ("good", ("bin-images/good.JPG",), ("metadata/good.Json",))
    ]
    assert others == {"bin-images/bad\\xff.jpg": "no bin's file: its name is not UTF-8"}


def assert_exported(house, bins, folder):
    now = datetime.now(UTC)
    checks = list(house.checks.list_open("reviewed", now.replace(hour=0, minute=0), now))
    assert {check.bin for check in checks} == bins
    outcomes = {each.bin: each for each in reviews.export(checks, house.inbox, folder, {}, {})}
    assert outcomes.keys() == bins
    exported = {bin for bin, each in outcomes.items() if each.outcome == "exported"}
    assert all(outcomes[bin].reason for bin in bins - exported)
    assert {bin for bin in bins if is_file_name(f"{bin.replace('/', '~')}.jpeg")} - exported == set()
    if exported:
        assert_no_formula(folder / "index.csv")
        found, others = list_bins(Folder(folder))
        ids = [one.id for one in found]
        assert (len(ids), others) == (len(exported), {})
        labels = read_labels(folder / "index.csv", ids)
        assert {id: label.count for id, label in labels.labels.items()} == dict.fromkeys(ids, 3)


def assert_backfilled(house, keys, bins):
    sent, pages = [], list(backfill.list_uploads(house.stack, backfill.Location(BUCKET, "")))
    for page in pages:
        for told in page.uploads:
            sent += [event.key for event in read_message(backfill.message(told, recheck=False))]
    assert set(sent) <= set(keys)
    assert names(sent) == bins


def assert_prepared(house, keys):
    """Each site is a source of its own."""
    for site in {locate(key)[0].site for key in keys}:
        with tempfile.TemporaryDirectory() as folder:
            prepare(house, f"{site}/" if site else "", Path(folder, "out"))
            assert {path.name for path in Path(folder).iterdir()} == {"out"}


def prepare(house, prefix, out):
    here = {key.removeprefix(prefix): key for key in house.inbox.objects if key.startswith(prefix)}
    source = SimpleNamespace(
        keys=lambda folder: [key for key in here if key.rpartition("/")[0] == folder],
        read=lambda key: house.inbox.objects[here[key]][0] if key in here else None,
    )
    found, others = list_bins(source)
    assert others == {}
    (out / "metadata").mkdir(parents=True)
    reader = CandidateReader(source, Labels(), out / "metadata", split_required=False)
    placer = ImagePlacer(source, {one.id: one for one in found}, out, None, {})
    placed, skipped = [], {}
    for one in found:
        try:
            placed.append(placer.place(PlannedBin(reader.read(one), "train", "0")))
        except UnusableBin as reason:
            skipped[one.id] = str(reason)
    whole = [one.id for one in found if one.images and one.metadata and is_file_name(f"{one.id}.json")]
    assert [one.plan.bin.id for one in placed] == whole
    assert skipped.keys() == {one.id for one in found} - set(whole)
    write_index(out / "index.csv", placed)
    write_skipped(out, (1, 1), skipped)
    assert_no_formula(out / "index.csv")
    assert_no_formula(out / "skipped.csv")
    rows = list(index_rows(out)) if placed else []
    assert [row.cells["id"] for row in rows] == [one.plan.bin.id for one in placed]
    assert all((out / row.cells["path"]).is_file() for row in rows)


def assert_no_formula(path):
    with path.open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not any(to_cell(cell) != cell and from_cell(cell) == cell for cell in cells), cells


def assert_told_of_stray(house, key):
    house.inbox.put(key, b"stray")
    if key.endswith("/"):  # stands for a folder
        assert read_message(json.dumps(notification(upload(key, b"stray")))) == []
        return
    house.deliver(key)
    told = [check for check in house.run(show, key) if check["status"] == "rejected"]
    assert [check["bin"] for check in told] == [key]
    assert key in {watched(alert) for alert in house.alerts()}
    assert house.checks.list_by_bin(StrayKey(key))
