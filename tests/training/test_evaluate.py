"""An evaluation from the command line: figures, JSON, and a page with the worst bins."""

import csv
import json
import re
import shutil
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest

for package in ("jinja2", "matplotlib", "onnx", "sklearn"):
    pytest.importorskip(package, reason=f"{package} is not installed: uv sync --group train")

from model.predictor import Predictor  # noqa: E402
from tests.training.builders import far_apart, write_bins, write_set  # noqa: E402
from tests.training.square_counter import write_square_counter  # noqa: E402
from training import evaluate as evaluation  # noqa: E402
from training.data.bins import read_bins  # noqa: E402
from training.jobs.container import evaluate as judging  # noqa: E402
from training.prepare import parse_options, prepare  # noqa: E402


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("data") / "set", 120, labels=8)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_square_counter(tmp_path_factory.mktemp("artifact"))


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "bootstrap_intervals", partial(evaluation.bootstrap_intervals, rounds=50))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    evaluation.main()


def test_figures_are_printed_and_written_with_a_page_of_the_worst_bins(
    data: Path, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, page = tmp_path / "new" / "train.json", tmp_path / "new" / "train.html"
    with (data / "index.csv").open(newline="") as file:
        first = next(csv.DictReader(file))["id"]
    (tmp_path / "lines.csv").write_text(f"id,line\n{first},north\n")
    run(
        monkeypatch, "--data", data, "--split", "train", "--artifact", artifact, "--out", out, "--page", page,
        "--by", "line", "--table", tmp_path / "lines.csv", "--json",
    )  # fmt: skip
    report = json.loads(capsys.readouterr().out)
    assert report == json.loads(out.read_text())
    assert report["bins"] == np.trace(report["confusion"]) == 72
    assert report["figures"]["standardised_accuracy"]["value"] == report["figures"]["exact_5"]["value"] == 1
    assert report["figures"]["rmse_2"] == {"value": 0, "interval": [0, 0]}
    assert report["alert_quality"]["auc_of_subsets"]["true_counts_0_5"]["suspicion"] > 0.99
    assert {name: group["bins"] for name, group in report["by"]["line"].items()} == {
        "unknown": 71,
        "(smaller groups)": 1,
    }
    text = page.read_text()
    assert text.count("data:image/jpeg") == 36
    assert text.count("<svg") == 7
    assert text.count(": holds ") == 36
    assert "by line" in text.lower()
    assert report["published"]["exact"] == {"0": 0.977, "1": 0.834, "2": 0.672, "3": 0.549, "4": 0.426, "5": 0.449}
    assert "<td>0.549</td>" in text


def test_site_that_knows_its_mix_of_counts_gets_better_probabilities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All the bins hold three or four objects, which the unsure counter does not know."""
    data, unsure = write_set(tmp_path / "set", 60, labels=8), write_square_counter(tmp_path / "artifact", sureness=0.2)
    rows = list(csv.DictReader((data / "index.csv").open(newline="")))
    with (data / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["expected_quantity"] in "34")
    losses = []
    for more in ((), ("--own-mix",)):
        run(monkeypatch, "--data", data, "--split", "train", "--artifact", unsure, "--json", *more)
        losses.append(json.loads(capsys.readouterr().out)["figures"]["log_loss"]["value"])
    assert losses[1] < 0.7 * losses[0]


def test_answers_of_a_batch_transform_are_judged_as_if_asked(
    data: Path, artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bins = read_bins(data, "val")
    for one, answer in zip(bins, evaluation.predict_all(Predictor(artifact), bins), strict=True):
        place = tmp_path / "val" / one.image.parent.name / f"{one.image.name}.out"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(asdict(answer)))
    reports = []
    for source in (("--artifact", artifact), ("--answers", tmp_path)):
        run(monkeypatch, "--data", data, "--split", "val", *source, "--json")
        reports.append(json.loads(capsys.readouterr().out))
    assert reports[0] == reports[1]
    judge = ("--data", data, "--split", "val", "--answers", tmp_path, "--json")
    place.write_text('{"reason": "the counter failed on this image"}')
    run(monkeypatch, *judge)
    printed = capsys.readouterr()
    assert re.search(rf"warning: {one.id} is left out: .* is no answer of the counter", printed.err)
    assert (json.loads(printed.out)["bins"], list(json.loads(printed.out)["skipped"])) == (len(bins) - 1, [one.id])
    place.unlink()
    run(monkeypatch, *judge)
    assert f"has no {one.image.name}.out: transform all images" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "val")
    with pytest.raises(SystemExit, match=r"none of \d+ images can be counted: .* has no"):
        run(monkeypatch, *judge)


def test_tables_are_printed_without_json(
    data: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--data", data, "--split", "val", "--artifact", artifact, "--limit", 9, "--by", "split")
    shown = capsys.readouterr().out
    assert "9 bins" in shown
    assert "standardised rmse" in shown
    assert "naive rule" in shown
    assert re.search(r"│ 0 to 5 .*0\.557 .*0\.930", shown)
    assert "silverbottlep/abid_challenge" in shown


def test_mirror_image_is_averaged_when_asked(
    data: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs, preprocess = [], Predictor.preprocess

    def record(predictor: Predictor, pixels: np.ndarray) -> np.ndarray:
        inputs.append(preprocess(predictor, pixels))
        return inputs[-1]

    monkeypatch.setattr(Predictor, "preprocess", record)
    reports = []
    for more in ((), ("--mirror",)):
        run(monkeypatch, "--data", data, "--split", "val", "--artifact", artifact, "--json", *more)
        reports.append(json.loads(capsys.readouterr().out))
    assert {len(one) for one in inputs[: len(inputs) // 2]} == {1}
    assert all(np.array_equal(image, mirror[..., ::-1]) for image, mirror in inputs[len(inputs) // 2 :])
    assert [report["mirror"] for report in reports] == [False, True]
    assert reports[0]["figures"]["accuracy"] == reports[1]["figures"]["accuracy"]  # brightness has no left and right


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--split", "val", "--by", "shelf"], "no column 'shelf'"),
        (["--split", "val", "--by", "shelf", "--table", "nowhere.csv"], "nowhere.csv is missing"),
        (["--split", "holiday"], "no bin in split 'holiday'"),
        (["--split", "val", "--artifact", "nowhere"], r"training\.export"),
    ],
    ids=["column", "table", "split", "artifact"],
)
def test_what_is_missing_is_named(
    data: Path, artifact: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    with pytest.raises(SystemExit, match=reason):
        run(monkeypatch, "--data", data, "--artifact", artifact, *arguments)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xd9", None], ids=["empty", "damaged", "unreadable"])
def test_image_that_cannot_be_counted_is_left_out_and_named(
    content: bytes | None,
    artifact: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = write_set(tmp_path / "few", 40)
    bins = read_bins(few, "val")
    arguments = ("--data", few, "--split", "val", "--artifact", artifact, "--json", "--by", "split")
    spoil(bins[1].image, content)
    run(monkeypatch, *arguments)
    printed = capsys.readouterr()
    report = json.loads(printed.out)
    assert report["bins"] == sum(map(sum, report["confusion"])) == report["by"]["split"]["(smaller groups)"]["bins"]
    assert report["bins"] == len(bins) - 1
    assert list(report["skipped"]) == [bins[1].id]
    assert report["figures"]["accuracy"]["value"] == 1  # each label stays with its image
    assert re.search(rf"warning: {bins[1].id} is left out: .*{bins[1].image.name}: the (image|file) ", printed.err)
    assert f"warning: 1 of {len(bins)} bins are left out" in printed.err
    for one in (bins[0], *bins[2:]):
        spoil(one.image, content)
    with pytest.raises(SystemExit, match=f"none of {len(bins)} images can be counted: "):
        run(monkeypatch, *arguments)


def spoil(path: Path, content: bytes | None) -> None:
    """Replace an image by `content`, or by what looks like a file until it is read."""
    if content is not None:
        path.write_bytes(content)
        return
    path.unlink()
    path.symlink_to("/proc/self/mem")  # a file, whose first byte cannot be read


def test_judging_job_joins_answers_with_labels(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, job = tmp_path / "set", tmp_path / "job"
    write_bins(tmp_path / "source", far_apart(40))
    prepare(parse_options(["--source", str(tmp_path / "source"), "--out", str(data)]))
    bins = read_bins(data, "test")
    for one, answer in zip(bins, evaluation.predict_all(Predictor(artifact), bins), strict=True):
        place = job / "input" / "answers" / one.image.parent.name / f"{one.image.name}.out"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(asdict(answer)))
    (job / "input" / "index").mkdir()
    (job / "input" / "index" / "index.csv").symlink_to(data / "index.csv")
    (job / "input" / "metadata").symlink_to(data / "metadata")
    (job / "input" / "images").symlink_to(data / "test")
    monkeypatch.setattr(judging, "FOLDER", job)
    monkeypatch.setattr(sys, "argv", ["evaluate", "--split", "test"])
    judging.main()
    report = json.loads((job / "output" / "evaluation.json").read_text())
    assert report["bins"] == len(bins)
    assert report["split"] == "test"
    assert "data:image/jpeg" in (job / "output" / "evaluation.html").read_text()
