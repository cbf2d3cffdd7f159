"""The renderer is reproducible, shows what it says, and made the committed samples."""

import csv
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from samples.catalogue import SAMPLES, Sample, files_of
from samples.render import TRAINING_SEEDS, jpeg, metadata_of, render_bin, write_training_set

FOLDER = Path(__file__).parents[2] / "samples"


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.id)
def test_committed_sample_is_what_the_renderer_draws(sample: Sample) -> None:
    assert {path: (FOLDER / path).read_bytes() for path in files_of(sample)} == files_of(sample)


def test_index_describes_exactly_the_committed_files() -> None:
    assert json.loads((FOLDER / "index.json").read_text()) == [asdict(sample) for sample in SAMPLES]
    folders = (FOLDER / "bin-images", FOLDER / "metadata")
    committed = {f"{folder.name}/{path.name}" for folder in folders for path in folder.iterdir()}
    assert committed == {path for sample in SAMPLES for path in files_of(sample)}


def test_samples_cover_the_cases_the_demo_shows() -> None:
    sound = [sample for sample in SAMPLES if sample.recorded is not None and not sample.flaw]
    slips = {sample.true - sample.recorded for sample in sound if sample.recorded is not None}
    assert {-3, -1, 0, 1, 2} <= slips
    assert min(sample.true for sample in sound) == 0
    assert max(sample.true for sample in sound) > 5
    assert {"corrupt image", "no metadata", "invalid metadata"} == {sample.flaw for sample in SAMPLES} - {""}


def test_same_seed_draws_the_same_image_and_another_seed_another() -> None:
    assert jpeg(render_bin(7, 4).image) == jpeg(render_bin(7, 4).image)
    assert jpeg(render_bin(7, 4).image) != jpeg(render_bin(8, 4).image)


@pytest.mark.parametrize("count", [0, 1, 5, 12, 16])
def test_image_holds_as_many_objects_as_asked_for(count: int) -> None:
    assert render_bin(3, count).count == count


def test_products_that_do_not_fit_are_chosen_anew() -> None:
    assert render_bin(1000940, 9).count == 9


@pytest.mark.parametrize("count", [-1, 17])
def test_count_that_cannot_be_shown_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="0 to 16"):
        render_bin(1, count)


@pytest.mark.parametrize(("true", "recorded"), [(0, 0), (0, 1), (4, 4), (4, 2), (2, 5)])
def test_quantities_of_the_metadata_add_up_to_the_record(true: int, recorded: int) -> None:
    metadata = metadata_of(render_bin(11, true), recorded)
    items = metadata["BIN_FCSKU_DATA"]
    assert isinstance(items, dict)
    assert metadata["EXPECTED_QUANTITY"] == sum(item["quantity"] for item in items.values()) == recorded


def test_training_set_has_the_inbox_layout_and_seeds_of_its_own(tmp_path: Path) -> None:
    write_training_set(tmp_path, 8, seed=0)
    rows = list(csv.DictReader((tmp_path / "index.csv").open()))
    assert [row["split"] for row in rows] == ["train"] * 7 + ["val"]
    for row in rows:
        record = json.loads((tmp_path / "metadata" / f"{row['id']}.json").read_text())
        assert record["EXPECTED_QUANTITY"] == int(row["expected_quantity"])
        assert (tmp_path / "bin-images" / f"{row['id']}.jpg").is_file()
        assert int(row["id"][1:]) >= TRAINING_SEEDS > len(SAMPLES)


@pytest.mark.parametrize("module", ["samples", "samples.render"])
def test_either_command_writes_the_training_set(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", module, "--train", str(tmp_path), "--count", "2", "--seed", "3"]
    subprocess.run(command, check=True, cwd=FOLDER.parent)
    write_training_set(tmp_path / "called", 2, seed=3)
    files = [path.relative_to(tmp_path / "called") for path in (tmp_path / "called").rglob("*.*")]
    assert len(files) == 5
    assert all((tmp_path / file).read_bytes() == (tmp_path / "called" / file).read_bytes() for file in files)
