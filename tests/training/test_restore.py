"""From an artifact back to weights: the same answers, and a training that goes on."""

import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training import train as training  # noqa: E402
from training.export import export, load_best  # noqa: E402
from training.restore import main, restore  # noqa: E402

from .builders import write_set  # noqa: E402

SMALL = "--size 32 --batch 10 --epochs 2 --labels 7 --mix data --backbone test_resnet --weights none --drop-path 0"


@pytest.fixture(scope="module")
def bins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("bins") / "set", 70, labels=7)


@pytest.fixture(scope="module")
def run(bins: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    training.main([*SMALL.split(), "--data", str(bins), "--out", str(folder)])
    export(folder, bins, folder / "artifact")
    return folder


def test_restored_weights_answer_as_before_and_lie_where_training_left_them(
    bins: Path, run: Path, tmp_path: Path
) -> None:
    main(["--artifact", str(run / "artifact"), "--data", str(bins), "--weights", "none", "--out", str(tmp_path)])
    (before, trained), (after, restored) = load_best(run), load_best(tmp_path)
    images = torch.rand(8, 3, 32, 32) - 0.5
    with torch.inference_mode():
        for one, other in zip(trained(images), restored(images), strict=True):
            assert torch.allclose(one, other, atol=1e-3), (one - other).abs().max()
    assert [after[name] for name in ("labels", "loss", "size")] == [before[name] for name in ("labels", "loss", "size")]
    norms = [float(next(network.parameters()).norm()) for network in (trained, restored)]
    assert norms[0] == pytest.approx(norms[1], rel=0.5)


def test_training_goes_on_from_an_artifact_and_is_taught_by_it(bins: Path, run: Path, tmp_path: Path) -> None:
    served = str(restore(run / "artifact", bins, tmp_path / "served", "none"))
    options = [*SMALL.split(), "--weights", served, "--teacher", served, "--lr", "1e-6", "--epochs", "1"]
    figures = training.main([*options, "--data", str(bins), "--out", str(tmp_path / "next")])
    assert figures["log_loss"] == pytest.approx(load_best(run)[0]["val"]["log_loss"], abs=0.05)


def test_network_that_tells_no_facts_is_restored_too(bins: Path, tmp_path: Path) -> None:
    training.main([*SMALL.split(), "--fact-weight", "0", "--data", str(bins), "--out", str(tmp_path)])
    export(tmp_path, bins, tmp_path / "artifact")
    restore(tmp_path / "artifact", bins, tmp_path / "served", "none")
    assert load_best(tmp_path / "served")[0]["facts"] is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"facts": ...}, "lacks facts: export its run again"),
        ({"backbone": "test_resnet_wide"}, "timm has no network"),
        ({"backbone": "resnet18"}, "does not hold a resnet18"),
        ({"backbone": "test_vit"}, "cannot be restored"),
    ],
)
def test_what_cannot_be_restored_says_why(
    bins: Path, run: Path, tmp_path: Path, changed: dict[str, object], message: str
) -> None:
    about = json.loads((run / "artifact" / "counter.json").read_text()) | changed
    (tmp_path / "counter.onnx").write_bytes((run / "artifact" / "counter.onnx").read_bytes())
    (tmp_path / "counter.json").write_text(json.dumps({k: v for k, v in about.items() if v is not ...}))
    with pytest.raises(SystemExit, match=message):
        main(["--artifact", str(tmp_path), "--data", str(bins), "--weights", "none", "--out", str(tmp_path)])
