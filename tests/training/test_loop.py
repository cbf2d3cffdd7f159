"""The loop against plain torch, and what its options do."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")


from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402

from training.data.loading import Batch  # noqa: E402
from training.loop import run  # noqa: E402
from training.loop.checkpointing import begin  # noqa: E402
from training.loop.criterion import Criterion, cutmix, mixup  # noqa: E402
from training.loop.distributed import Processes  # noqa: E402
from training.loop.precision import choose_precision  # noqa: E402
from training.loop.setup import Training, set_up  # noqa: E402
from training.loop.tracking import TensorBoard  # noqa: E402
from training.network.losses import LOSSES, targets_by_label  # noqa: E402
from training.train import main, parse_options  # noqa: E402

CPU = torch.device("cpu")
SMALL = "--size 32 --batch 10 --epochs 2 --labels 7 --backbone test_resnet --weights none --drop-path 0"
PLAIN = "--size 16 --dropout 0 --fact-weight 0 --clip-gradient-norm 0 --vary mirror --ema-decay 0"
STEPS = 20


def prepared(bins: Path, out: Path, *more: str) -> Training:
    options = parse_options([*SMALL.split(), "--data", str(bins), "--out", str(out), *more])
    return set_up(options, Processes(0, 1, CPU))


def rows(out: Path) -> list[dict[str, float]]:
    with (out / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def plain_losses(training: Training, batches: list[Batch], optimizer_name: str, scheduled: bool) -> list[float]:
    """What anyone would write for the same training."""
    options, network = training.options, training.network.train()
    targets = targets_by_label(7, options.loss.soft_width, 0.0)[training.labels_of(training.bins)]
    norms_and_biases = [p for p in network.parameters() if p.ndim <= 1]
    weights = [p for p in network.parameters() if p.ndim > 1]
    groups = [{"params": norms_and_biases, "weight_decay": 0.0}, {"params": weights, "weight_decay": 0.05}]
    if optimizer_name == "adamw":
        optimizer = torch.optim.AdamW(groups, lr=0.01)
    else:
        optimizer = torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=optimizer_name == "nesterov")
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, 40, pct_start=0.12, cycle_momentum=False)
    scaler = torch.amp.GradScaler("cpu", enabled=training.precision.name == "fp16")
    losses = []
    for batch in batches:
        images = network.normalise(batch.varied)
        with training.autocast():
            loss = LOSSES[options.loss.loss](network(images)[0].float(), targets[batch.indices]).mean()
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if scheduled:
            schedule.step()
        losses.append(loss.item())
    return losses


def loop_losses(training: Training, batches: list[Batch]) -> list[float]:
    started, losses = begin(training), []
    training.network.train()
    for number, batch in enumerate(batches):
        losses.append(run.train_step(started, training.network, batch, np.random.default_rng(number)))
        started.progress.batch += 1
    return losses


@pytest.mark.parametrize("precision_name", ["fp32", "bf16", "fp16"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "nesterov"])
@pytest.mark.parametrize("loss", LOSSES)
def test_twenty_steps_are_those_of_plain_torch(
    bins: Path, tmp_path: Path, loss: str, optimizer: str, precision_name: str
) -> None:
    chosen = ["--optimizer", "adamw"] if optimizer == "adamw" else ["--optimizer", "sgd"]
    chosen += ["--nesterov", "false"] if optimizer == "sgd" else []
    arguments = [*PLAIN.split(), "--lr", "0.01", "--epochs", "10", "--loss", loss, "--precision", precision_name]
    training, same = (prepared(bins, tmp_path / name, *arguments, *chosen) for name in ("ours", "plain"))
    batches = [batch for epoch in range(5) for batch in run.load_epoch(training, epoch, 0)][:STEPS]
    assert len(batches) == STEPS
    found = loop_losses(training, batches)
    assert found == pytest.approx(plain_losses(same, batches, optimizer, scheduled=True), abs=1e-6)
    assert found[-1] != found[0]


def test_a_batch_in_parts_has_the_gradients_of_the_whole(bins: Path, tmp_path: Path) -> None:
    """Without batch statistics; up to rounding."""
    arguments = [
        *PLAIN.split(),
        "--size",
        "32",
        "--backbone",
        "test_convnext",
        "--precision",
        "fp32",
        "--class-weights",
    ]
    whole, parts = (prepared(bins, tmp_path / n, *arguments, "--accumulate", n) for n in ("1", "5"))
    batch = next(run.load_epoch(whole, 0, 0))
    assert loop_losses(whole, [batch]) == pytest.approx(loop_losses(parts, [batch]), rel=1e-6)
    for one, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        if one.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_batch_that_has_not_so_many_parts_is_refused(bins: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--batch 10 cannot be shared by 1 processes in 3 parts"):
        prepared(bins, tmp_path, "--accumulate", "3")


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 0), "fp16"), ((7, 5), "fp16"), ((8, 0), "bf16"), ((9, 0), "bf16")]
)
def test_gpu_computes_in_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GPU")
    assert choose_precision("auto", torch.device("cuda", 0)).name == expected
    assert choose_precision("fp32", torch.device("cuda", 0)).name == "fp32"


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx2": True}, "fp32"), ({"avx512_f": True, "avx512_bf16": False}, "fp32"), ({"amx_bf16": True}, "bf16")],
)
def test_processor_without_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert choose_precision("auto", CPU).name == expected


def test_precision_and_what_a_run_was_made_of_are_said_and_recorded(
    bins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    monkeypatch.setenv("GIT_COMMIT", "c0ffee")
    main([*SMALL.split(), "--epochs", "1", "--data", str(bins), "--out", str(tmp_path), "--seed", "3"])
    assert "fp32 (the processor has no instructions for bfloat16)" in capsys.readouterr().out
    record = json.loads((tmp_path / "options.json").read_text())
    best = torch.load(tmp_path / "best.pt", weights_only=True)
    assert (record["precision"], record["computed_in"], record["commit"], record["seed"]) == (
        "auto",
        "fp32",
        "c0ffee",
        3,
    )
    assert (best["commit"], best["seed"], best["data"]) == ("c0ffee", 3, record["digests"])
    assert set(record["digests"]) == {"train", "val"}
    page = (tmp_path / "run.html").read_text()
    assert "c0ffee" in page
    assert page.count("data:image/jpeg") == 10


def test_scale_of_fp16_goes_on_after_a_resume(bins: Path, tmp_path: Path) -> None:
    command = [*SMALL.split(), "--precision", "fp16", "--data", str(bins), "--out", str(tmp_path)]
    main([*command, "--epochs", "1"])
    assert torch.load(tmp_path / "last.pt", weights_only=True)["scaler"]["_growth_tracker"] > 0
    main([*command, "--resume"])
    assert len(rows(tmp_path)) == 2


def test_run_that_has_ended_is_extended(bins: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [*SMALL.split(), "--data", str(bins), "--out", str(tmp_path), "--resume"]
    main(command)
    training = prepared(bins, tmp_path, "--resume", "--epochs", "5")
    started = begin(training)
    rate = started.optimizer.param_groups[0]["lr"]
    assert rate == pytest.approx(8e-4 / 25)  # where a one-cycle schedule begins
    assert len(started.optimizer.state) > 0  # momentum goes on
    main([*command, "--epochs", "5"])
    assert "extended by 3 epochs: a new cosine cycle" in capsys.readouterr().out
    assert [row["epoch"] for row in rows(tmp_path)] == [1, 2, 3, 4, 5]
    with pytest.raises(SystemExit, match="planned for 5 epochs and has 5"):
        main([*command, "--epochs", "3"])


def fake_figures(monkeypatch: pytest.MonkeyPatch, log_losses: list[float]) -> None:
    """Epochs get these log losses."""
    left, evaluate = iter(log_losses), run.evaluate

    def fake(*arguments: object) -> object:
        figures, probabilities = evaluate(*arguments)
        return figures | {"log_loss": next(left)}, probabilities

    monkeypatch.setattr(run, "evaluate", fake)


def test_run_stops_when_patience_ends_and_keeps_the_k_best(
    bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_figures(monkeypatch, [3.0, 1.0, 2.0, 1.5, 1.2])
    options = ["--epochs", "9", "--patience", "2", "--keep-best", "2", "--resume"]
    command = [*SMALL.split(), *options, "--data", str(bins), "--out", str(tmp_path)]
    main(command)
    assert [row["val_log_loss"] for row in rows(tmp_path)] == [3.0, 1.0, 2.0, 1.5]
    kept = {path.name: torch.load(path, weights_only=True)["epoch"] for path in tmp_path.glob("best*.pt")}
    assert kept == {"best.pt": 2, "best-002.pt": 2, "best-004.pt": 4}
    main(command)
    assert len(rows(tmp_path)) == 4  # it stays stopped
    main([*command, "--patience", "3"])
    assert len(rows(tmp_path)) == 5


def test_step_schedule_and_betas_are_as_named(bins: Path, tmp_path: Path) -> None:
    arguments = "--epochs 6 --schedule step --step-epochs 2 --gamma 0.5 --beta1 0.8 --beta2 0.9"
    started = begin(prepared(bins, tmp_path, *arguments.split()))
    rates = []
    for _ in range(6 * started.steps):
        rates.append(started.optimizer.param_groups[0]["lr"])
        started.optimizer.step()
        started.schedule.step()
    assert rates[:: started.steps] == pytest.approx([8e-4, 8e-4, 4e-4, 4e-4, 2e-4, 2e-4])
    assert started.optimizer.param_groups[0]["betas"] == (0.8, 0.9)


def goals_of(one: float, other: float) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.stack((torch.full((3, 16, 16), one), torch.full((3, 16, 16), other)))
    return images, torch.tensor([[one, float("nan"), 2.0], [other, 1.0, 4.0]])


@pytest.mark.parametrize("mix", [lambda i, g: mixup(i, g, np.random.default_rng(5)), cutmix])
def test_mixed_images_have_goals_and_weights_mixed_likewise(mix: object) -> None:
    torch.manual_seed(5)
    images, goals = mix(*goals_of(0.0, 1.0))
    assert images.mean((1, 2, 3)).tolist() == pytest.approx(goals[:, 0].tolist(), abs=1e-6)
    assert goals[0, 2] == pytest.approx(2 + 2 * goals[0, 0].item())
    assert not goals[0, 1].isfinite()


def test_rare_labels_weigh_more_in_mixed_batches_too(bins: Path, tmp_path: Path) -> None:
    training = prepared(bins, tmp_path, "--class-weights", "--mixup", "1", "--fact-weight", "0", "--limit", "30")
    criterion = Criterion(training)
    batch = next(run.load_epoch(training, 0, 0))
    weighted, _ = criterion(batch.indices, batch.varied, np.random.default_rng(0), training.network.eval())
    criterion.weights = torch.ones_like(criterion.weights)
    even, _ = criterion(batch.indices, batch.varied, np.random.default_rng(0), training.network)
    assert weighted.item() != pytest.approx(even.item(), rel=1e-4)


def test_mlflow_has_options_figures_and_files_of_a_run_and_of_its_resumption(
    bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed: uv sync --group jobs")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    command = [*SMALL.split(), "--data", str(bins), "--out", str(tmp_path / "run"), "--mlflow", uri]
    main([*command, "--epochs", "1"])
    main([*command, "--resume"])
    client = mlflow.MlflowClient(uri)
    (found,) = client.search_runs([client.get_experiment_by_name("bincheck").experiment_id])
    assert found.data.params["backbone"] == "test_resnet"
    assert len(client.get_metric_history(found.info.run_id, "val_log_loss")) == 2
    assert found.data.tags["run"] == json.loads((tmp_path / "run" / "options.json").read_text())["run"]
    assert {"run.html", "metrics.csv", "train.png"} <= {file.path for file in client.list_artifacts(found.info.run_id)}
    assert found.info.status == "FINISHED"


def test_tensorboard_has_curves_images_and_hyperparameters(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path, {"lr": 0.1, "grow": "", "resume": False, "teacher": ["a"]})
    board.log({"epoch": 1, "train_loss": 1.5, "val_log_loss": 2.0})
    board.show(torch.rand(3, 3, 8, 8))
    board.end({"log_loss": 2.0}, tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"val/log_loss", "train_loss", "best/log_loss"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == ["train"]
    assert "_hparams_/session_start_info" in events.summary_metadata


def test_missing_mlflow_names_its_group(bins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(SystemExit, match="uv sync --group train --group jobs"):
        main([*SMALL.split(), "--data", str(bins), "--out", str(tmp_path), "--mlflow", "file:x"])
