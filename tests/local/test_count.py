"""`bincheck count`: images in; counts, distributions and a page out."""

import csv
import io
import json
import subprocess
import sys
from base64 import b64decode

import pytest
from PIL import Image
from typer.testing import CliRunner

from local.cli.main import app
from local.embedded.sam import ROOT
from model.predictor import Predictor


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "=<b>[x].JPG").write_bytes((ROOT / "samples/bin-images/r003.jpg").read_bytes())
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


def count(*arguments):
    return CliRunner().invoke(app, ["count", *map(str, arguments)])


def test_bad_images_are_rows_and_the_exit_code_says_so(folder):
    ran = count(folder, "--json")
    assert ran.exit_code == 1
    broken, good = map(json.loads, ran.stdout.splitlines())
    assert (broken["count"], bool(broken["reason"])) == (None, True)
    assert good["reason"] is None
    assert sum(good["probabilities"].values()) == pytest.approx(1)
    assert max(good["probabilities"], key=good["probabilities"].get) == good["count"]
    assert count(folder / "site").exit_code == 0


def test_a_sheet_has_a_column_for_each_label(folder, monkeypatch):
    monkeypatch.chdir(folder / "site")
    (row,) = csv.DictReader(io.StringIO(count("=<b>[x].JPG", "--csv").stdout))
    assert row["image"] == "'=<b>[x].JPG"
    assert float(row[row["count"]]) == pytest.approx(float(row["probability"]), abs=1e-4)


def test_the_page_shows_each_image_and_runs_no_name(folder):
    page = folder / "page.html"
    count(folder, "--page", page)
    said = page.read_text()
    assert said.count("<figure>") == 2
    assert said.count("data:image/jpeg;base64,") == 1
    assert "Not counted:" in said
    assert "<b>[x]" not in said
    assert "&lt;b&gt;[x].JPG" in said


def test_the_page_shows_images_upright_beside_a_bar_for_each_count(tmp_path):
    turned = Image.open(ROOT / "samples/bin-images/r003.jpg")
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "phone.jpg", exif=exif)
    count(tmp_path, "--page", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    shown = Image.open(io.BytesIO(b64decode(page.partition("base64,")[2].partition('"')[0])))
    assert shown.width / shown.height == pytest.approx(turned.height / turned.width, abs=0.02)
    assert page.count("<meter ") == len(Predictor().labels)


def test_an_image_that_is_named_twice_is_counted_once(folder):
    image = folder / "site" / "=<b>[x].JPG"
    ran = count(image, folder / "site", "--json")
    assert (len(ran.stdout.splitlines()), "1 named twice" in ran.stderr) == (1, True)


def test_nothing_to_count_and_a_missing_file_are_said(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    assert count(tmp_path / "empty").stderr == "bincheck: There is no .jpg, .jpeg or .png there.\n"
    (row,) = map(json.loads, count(folder / "missing.jpg", "--json").stdout.splitlines())
    assert row["reason"] == "No such file or directory"


def test_no_other_command_loads_the_model():
    loaded = "import sys, local.cli.main; sys.exit('numpy' in sys.modules or 'onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", loaded], cwd=ROOT).returncode == 0
