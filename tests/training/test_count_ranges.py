"""Any range of counts trains, evaluates, exports and serves: a label that cannot occur is never answered."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from inventory.metadata import Record  # noqa: E402
from inventory.verdict import judge  # noqa: E402
from model.predictor import BrokenArtifactError, Predictor  # noqa: E402
from training import evaluate, train  # noqa: E402
from training.calibrate import recalibrate  # noqa: E402
from training.data.bins import read_bins  # noqa: E402
from training.export import export  # noqa: E402
from training.prepare import parse_options, prepare  # noqa: E402

from .builders import write_bins  # noqa: E402
from .square_counter import write_square_counter  # noqa: E402

TINY = "--size 32 --batch 8 --epochs 1 --backbone test_resnet --weights none --drop-path 0"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    counts = {str(1000 + 50 * number): number % 8 for number in range(120)}
    return write_bins(tmp_path_factory.mktemp("source"), counts)


@pytest.mark.parametrize(("counts", "more"), [("1-5", []), ("0-5", ["--labels", "7"]), ("2-7", ["--loss", "corn"])])
def test_a_set_of_any_range_of_counts_goes_all_the_way_to_an_alert(
    source: Path, tmp_path: Path, counts: str, more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    data, run, artifact = (tmp_path / name for name in ("set", "run", "artifact"))
    options = ["--source", str(source), "--counts", counts, "--fractions", "0.6", "0.2", "0.2"]
    prepare(parse_options([*options, "--out", str(data), "--jobs", "2"]))
    figures = train.main([*TINY.split(), *more, "--data", str(data), "--out", str(run)])
    assert np.isfinite(list(figures.values())).all()
    about = export(run, data, artifact)
    low, high = map(int, counts.split("-"))
    impossible = [label for label in range(7) if label < low or label > high]
    possible = [label for label in range(7) if label not in impossible]
    for shares in (about["trained_prior"], about["prior"]):
        assert np.array(shares)[impossible].tolist() == [0] * len(impossible)
        assert np.array(shares)[possible].min() > 0
        assert sum(shares) == pytest.approx(1, abs=1e-5)
    predictions = evaluate.predict_all(Predictor(artifact), read_bins(data, "test"))
    probabilities = np.array([prediction.probabilities for prediction in predictions])
    assert probabilities.sum(1) == pytest.approx(1)
    assert probabilities[:, impossible].max(initial=0) == 0
    assert 0 <= judge(predictions[0], Record(low, ()), 0.02).suspicion <= 1
    capsys.readouterr()
    arguments = ["--data", str(data), "--split", "test", "--artifact", str(artifact), "--json", "--own-mix"]
    evaluate.main(arguments)
    assert json.loads(capsys.readouterr().out)["figures"]["accuracy"]["value"] >= 0
    assert np.isfinite(recalibrate(artifact, read_bins(data, "train")).after.log_loss)


def test_val_with_a_label_that_training_lacks_is_refused(source: Path, tmp_path: Path) -> None:
    prepare(parse_options(["--source", str(source), "--counts", "1-3", "--out", str(tmp_path / "set"), "--jobs", "2"]))
    index = tmp_path / "set" / "index.csv"
    rows = index.read_text().splitlines()
    index.write_text("\n".join(row for row in rows if ",2,train," not in row) + "\n")
    with pytest.raises(SystemExit, match="val has label 2, which no bin to train on has"):
        train.main([*TINY.split(), "--data", str(tmp_path / "set"), "--out", str(tmp_path / "run")])


def test_artifact_whose_prior_has_an_untrained_label_is_refused(tmp_path: Path) -> None:
    artifact = write_square_counter(tmp_path)
    about = json.loads((artifact / "counter.json").read_text())
    about["trained_prior"][0] = 0
    (artifact / "counter.json").write_text(json.dumps(about))
    with pytest.raises(BrokenArtifactError, match="share for label 0, which training did not have"):
        Predictor(artifact)
