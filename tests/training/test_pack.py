"""A packed set trains as the set that it was made of."""

import csv
import tarfile
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training import data_report, pack, train  # noqa: E402
from training.data.bins import SPLITS, digest, read_bins  # noqa: E402

SMALL = (
    "--size 32 --batch 10 --epochs 2 --labels 7 --backbone test_resnet --weights none --drop-path 0 --precision fp32"
)
A_FEW_IMAGES = 20_000
"""Bytes of an archive, so that the set needs several."""


@pytest.fixture(scope="module")
def packed(bins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packed")
    pack.pack(bins, folder, A_FEW_IMAGES)
    return folder


def test_every_split_has_the_same_images_labels_and_facts_in_the_same_order(bins: Path, packed: Path) -> None:
    for split in SPLITS:
        files, members = read_bins(bins, split), read_bins(packed, split)
        assert digest(members) == digest(files)
        assert [one.facts for one in members] == pytest.approx([one.facts for one in files], nan_ok=True)


def test_the_archives_are_few_and_have_the_layout_of_webdataset(packed: Path) -> None:
    archives = sorted(packed.glob("images-*.tar"))
    assert len(archives) > 1
    found = {one.id: (one.count, one.image.read_bytes()) for split in SPLITS for one in read_bins(packed, split)}
    seen = {}
    for path in archives:
        with tarfile.open(path) as archive:
            names = archive.getnames()
            assert names[1::2] == [f"{Path(name).stem}.cls" for name in names[::2]]
            contents = [file.read() for name in names if (file := archive.extractfile(name))]
            seen |= {
                Path(name).stem: (int(count), image)
                for name, image, count in zip(names[::2], contents[::2], contents[1::2], strict=True)
            }
    assert seen == found


def test_training_on_it_gives_the_same_losses(bins: Path, packed: Path, tmp_path: Path) -> None:
    losses = []
    for name, data in (("files", bins), ("archives", packed)):
        train.main([*SMALL.split(), "--data", str(data), "--out", str(tmp_path / name)])
        with (tmp_path / name / "metrics.csv").open() as file:
            losses.append([(row["train_loss"], row["val_loss"]) for row in csv.DictReader(file)])
    assert losses[0] == losses[1]


def test_a_report_of_a_set_that_was_not_prepared_says_what_is_missing(
    packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["data_report", "--data", str(packed)])
    with pytest.raises(SystemExit, match=r"has no column 'group': make the set with training\.prepare"):
        data_report.main()


def test_what_cannot_be_packed_or_read_is_named(bins: Path, packed: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not empty"):
        pack.pack(bins, packed, A_FEW_IMAGES)
    with pytest.raises(SystemExit, match=r"pack: .*index.csv is missing"):
        pack.main(["--data", str(tmp_path), "--out", str(tmp_path / "out")])
    last = read_bins(packed, "test")[-1].image
    cut = tmp_path / "images-00000.tar"
    cut.write_bytes(Path(str(last)).parent.read_bytes()[:100])
    with pytest.raises(OSError, match=r"ends within .*: copy it again"):
        type(last)(cut, last.name, last.offset, last.size).read_bytes()  # type: ignore[call-arg, attr-defined]
