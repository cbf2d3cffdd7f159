"""One value, one answer: the inbox, prepare, evaluate and lists of labels read EXPECTED_QUANTITY alike."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tqdm", reason="tqdm is not installed: uv sync --group train")
pytest.importorskip("scipy", reason="scipy is not installed: uv sync --group train")

from inventory.errors import RejectedUpload
from inventory.metadata import read_record
from training.data.bins import usable_bins
from training.data.candidates import CandidateReader
from training.data.labels import Labels, read_labels
from training.data.sources import Folder, list_bins
from training.data.usable import UnusableBin
from training.prepare import parse_options, prepare

from .builders import far_apart, write_bins

NOT_WHOLE = "not a whole number: write it as digits without quotes"
RANGE = "it must lie between 0 and 100,000; correct the record"
VALUES: dict[str, int | str] = {
    "3": 3,
    "3.0": 3,
    "3e0": 3,
    "0": 0,
    "-0.0": 0,
    "100000": 100_000,
    "1E5": 100_000,
    "2.7": NOT_WHOLE,
    "true": NOT_WHOLE,
    "null": NOT_WHOLE,
    '"4"': NOT_WHOLE,
    '"three"': NOT_WHOLE,
    "[3]": NOT_WHOLE,
    "NaN": NOT_WHOLE,
    "1e999": NOT_WHOLE,
    "-Infinity": NOT_WHOLE,
    "-2": RANGE,
    "-2.0": RANGE,
    "100001": RANGE,
    "1" + "0" * 30: RANGE,
    "1e30": RANGE,
}
FILES: dict[str, tuple[bytes, int | str]] = {
    "a mark in front": (b'\xef\xbb\xbf{"EXPECTED_QUANTITY": 3}', 3),
    "UTF-16": ('{"EXPECTED_QUANTITY": 3}'.encode("utf-16"), 3),
    "UTF-32": ('{"EXPECTED_QUANTITY": 3}'.encode("utf-32"), 3),
    "Windows-1252": ('{"EXPECTED_QUANTITY": 3, "name": "é"}'.encode("cp1252"), "is not JSON"),
    "twice": (b'{"EXPECTED_QUANTITY": 5, "BIN_FCSKU_DATA": {}, "EXPECTED_QUANTITY": 2}', '"EXPECTED_QUANTITY" twice'),
    "an item twice": (b'{"EXPECTED_QUANTITY": 5, "BIN_FCSKU_DATA": {"B1": {}, "B1": {}}}', '"B1" twice'),
    "nothing": (b"", "is not JSON"),
    "a list": (b"[3]", "must be an object with EXPECTED_QUANTITY"),
    "no quantity": (b'{"BIN_FCSKU_DATA": {}}', "lacks EXPECTED_QUANTITY: add it"),
    "no items": (b'{"EXPECTED_QUANTITY": 3, "BIN_FCSKU_DATA": []}', 3),
    "thousands of digits": (b'{"EXPECTED_QUANTITY": 1' + b"0" * 5000 + b"}", "is not JSON"),
    "a deep value": (b'{"EXPECTED_QUANTITY": ' + b"[" * 100_000, "is not JSON"),
}
FILES |= {value: (f'{{"EXPECTED_QUANTITY": {value}}}'.encode(), answer) for value, answer in VALUES.items()}


def answer_of(read: Callable[[], int]) -> int | str:
    try:
        return read()
    except (RejectedUpload, UnusableBin) as refusal:
        return str(refusal)


@pytest.mark.parametrize("name", FILES)
def test_every_reader_of_a_metadata_file_gives_the_same_answer(tmp_path: Path, name: str) -> None:
    content, expected = FILES[name]
    write_bins(tmp_path, {"1": 1, "2": 2})
    (tmp_path / "metadata/1.json").write_bytes(content)
    (files, _), _ = list_bins(Folder(tmp_path))
    reader = CandidateReader(Folder(tmp_path), Labels(), tmp_path / "kept", split_required=False)
    (tmp_path / "kept").mkdir()
    bins, faults = usable_bins(tmp_path, "all")
    answers = [
        answer_of(lambda: read_record(content, "metadata/1.json").expected),
        answer_of(lambda: reader.read(files).count),
        next((one.count for one in bins if one.id == "1"), faults.get("1")),
    ]
    if isinstance(expected, int):
        assert answers == [expected] * 3
    else:
        inbox, prepared, evaluated = map(str, answers)
        assert expected in inbox
        assert "metadata/1.json" in inbox
        assert (prepared, evaluated) == (f"malformed metadata: {inbox}", inbox)
    assert [one.id for one in bins][-1] == "2"


@pytest.mark.parametrize("value", VALUES)
def test_every_list_gives_the_answer_of_a_metadata_file(tmp_path: Path, value: str) -> None:
    expected = answer_of(lambda: read_record(f'{{"EXPECTED_QUANTITY": {value}}}'.encode(), "here").expected)
    write_bins(tmp_path, {"1": 1, "2": 2})
    cell = f'"{value.replace(chr(34), chr(34) * 2)}"'
    (tmp_path / "index.csv").write_text(f"id,expected_quantity,split\n1,{cell},val\n2,2,val\n")
    labels = read_labels(tmp_path / "index.csv", ["1", "2"])
    bins, faults = usable_bins(tmp_path, "val")
    place = f"{tmp_path / 'index.csv'} line 2"
    listed = labels.labels["1"].count if "1" in labels.labels else labels.faults["1"].replace(place, "here")
    indexed = bins[0].count if bins[0].id == "1" else faults["1"].replace(place, "here")
    assert [listed, indexed] == [expected] * 2


@pytest.mark.parametrize("labels", [False, True])
def test_one_bad_record_or_label_is_one_skipped_bin(tmp_path: Path, labels: bool) -> None:
    counts = far_apart(24)
    write_bins(tmp_path / "source", counts)
    for id, (content, expected) in zip(counts, FILES.values(), strict=False):
        if isinstance(expected, str):
            (tmp_path / "source/metadata" / f"{id}.json").write_bytes(content)
    options = ["--source", str(tmp_path / "source"), "--out", str(tmp_path / "set"), "--split", "random"]
    bad = {id for id, (_, expected) in zip(counts, FILES.values(), strict=False) if isinstance(expected, str)}
    if labels:
        rows = [f"{id},{'many' if id == '1000' else count}" for id, count in counts.items()]
        (tmp_path / "labels.csv").write_text("\n".join(["id,expected_quantity", *rows]))
        options, bad = [*options, "--labels", str(tmp_path / "labels.csv")], {"1000"}
    summary = prepare(parse_options([*options, "--fractions", "1", "0", "0"]))
    assert (summary["skipped"], summary["bins"]) == (len(bad), len(counts) - len(bad))
    skipped = (tmp_path / "set/skipped.csv").read_text()
    assert all(f"\n{id}," in skipped for id in bad)
    if labels:
        assert summary["labels"]["used"] == 23
        assert 'EXPECTED_QUANTITY is "many", not a whole number' in summary["labels"]["faults"][0]
