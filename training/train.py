"""Trains the counter on labelled bins. Read it top to bottom: options, network, loop, evaluation.

    python -m training.train --data SET --out runs/first
    torchrun --nproc-per-node 2 -m training.train --data SET --out runs/first

SET comes from `training.prepare`. Under SageMaker the folders come from its SM_... variables and hyperparameters arrive
as the same options. `best.pt` is the epoch with the lowest log loss on val, metrics.csv has a row per epoch; test is
never read here. A run that was killed goes on with --resume and ends with the same figures.
"""

import argparse
import csv
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR
from torch.profiler import record_function
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from model.calibration import deconvolve, merge_tail

from .data.augment import augment, to_float
from .data.bins import FACTS, LABELS, LabelledBin, counts_of, digest, read_bins, training_label
from .data.loading import Batch, FactScale, Images, fact_scale, load
from .data.sampling import MIXES, batches, epoch_order, mix_of, weights_for
from .loop import cpu
from .loop.distributed import Processes, processes
from .loop.epoch_line import epoch_line
from .loop.health import STOPPING_RULES, Finding, Health
from .loop.health import report as health_report
from .loop.profiling import Profiler
from .measure.metrics import all_figures, log_loss
from .network import checkpoints
from .network.counter import Counter
from .network.losses import LOSSES, label_logits, targets_by_label
from .network.teacher import Teacher

CHECKPOINT_EVERY_S = 300.0
WARM_UP = 0.12  # of the run, for the one-cycle schedule
MIXUP_ALPHA = 0.4
CLIP_GRADIENT_NORM = 5.0
OUTSIDE_OPTIONS = {
    *("data", "extra", "leave_out", "teacher", "out", "model", "checkpoints", "resume", "profile", "workers"),
}
"""Options that say where things are; what is there decides, not its place."""


def parse_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line; its defaults suit a first training, `make train` names those of the last."""
    parser = argparse.ArgumentParser(
        description="Train the counter.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    sagemaker = os.environ.get
    data = parser.add_argument_group("data")
    data.add_argument("--data", type=Path, default=sagemaker("SM_CHANNEL_DATA"), help="set that training.prepare made")
    data.add_argument("--extra", type=Path, default=sagemaker("SM_CHANNEL_EXTRA"), help="rendered bins that join train")
    data.add_argument("--leave-out", type=Path, help="file of ids, one a line: not trained on, judged in the end")
    data.add_argument("--size", type=int, default=224, help="images are resized to this many pixels a side")
    data.add_argument("--grow", type=sizes, default="", metavar="SIZE:EPOCHS,...", help="first epochs at other sizes")
    data.add_argument("--mix", choices=MIXES, default="data", help="how frequent each label is made")
    data.add_argument(
        "--vary", choices=("camera", "mirror"), default="camera", help="all a camera may change, or flips"
    )
    data.add_argument("--limit", type=int, help="only the first so many bins of each split: a quick try")
    data.add_argument("--workers", type=int, default=0, help="processes that load images; 0: the training one")
    network = parser.add_argument_group("network")
    network.add_argument("--backbone", default="tf_efficientnet_lite2", help="any of timm's: resnet18, resnet50 ...")
    network.add_argument(
        "--weights", default="imagenet", help="'imagenet', 'none' (random) or a file, as best.pt of a run"
    )
    network.add_argument("--frozen-stages", type=int, default=0, help="leading stages that stay as loaded; -1: all")
    network.add_argument("--labels", type=int, default=11, help="told apart in training, the last one open")
    network.add_argument("--dropout", type=float, default=0.3)
    network.add_argument("--drop-path", type=float, default=0.2, help="stochastic depth")
    loss = parser.add_argument_group("loss")
    loss.add_argument("--loss", choices=tuple(LOSSES), default="cross-entropy")
    loss.add_argument("--soft-width", type=float, default=0.6, help="of Gaussian targets, in labels; 0: one-hot")
    loss.add_argument("--label-smoothing", type=float, default=0.0)
    loss.add_argument(
        "--class-weights", type=truth, nargs="?", const=True, default=False, help="rare labels weigh more"
    )
    loss.add_argument("--mixup", type=float, default=0.0, help="share of batches whose images are mixed in pairs")
    loss.add_argument(
        "--teacher", type=Path, nargs="+", default=[], help="best.pt of other runs: answers join the labels"
    )
    loss.add_argument("--teacher-share", type=float, default=0.5, help="of the teachers' mean answer in a target")
    loss.add_argument("--fact-weight", type=float, default=0.15, help="of telling volume and weight of the items too")
    loop = parser.add_argument_group("loop")
    loop.add_argument("--epochs", type=int, default=8)
    loop.add_argument("--batch", type=int, default=64, help="over all processes")
    loop.add_argument("--optimizer", choices=("adamw", "sgd"), default="adamw")
    loop.add_argument("--lr", type=float, default=8e-4)
    loop.add_argument("--momentum", type=float, default=0.9, help="of sgd")
    loop.add_argument("--weight-decay", type=float, default=0.05)
    loop.add_argument("--schedule", choices=("cosine", "step", "plateau"), default="cosine")
    loop.add_argument("--ema-decay", type=float, default=0.998)
    loop.add_argument("--precision", choices=("bf16", "fp32"), default="bf16")
    loop.add_argument("--seed", type=int, default=0)
    loop.add_argument(
        "--stop-when-unhealthy", type=truth, nargs="?", const=True, default=False, help="end where going on is a waste"
    )
    loop.add_argument("--profile", type=truth, nargs="?", const=True, default=False, help="trace a few steps and stop")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, default=sagemaker("SM_OUTPUT_DATA_DIR"), help="folder of the run")
    output.add_argument("--model", type=Path, default=sagemaker("SM_MODEL_DIR"), help="folder for best.pt, if another")
    output.add_argument("--checkpoints", type=Path, help="folder for last.pt, if another")
    output.add_argument("--resume", type=truth, nargs="?", const=True, default=False, help="go on where it was killed")
    options = parser.parse_args(arguments)
    for name in ("data", "out"):
        if getattr(options, name) is None:
            parser.error(f"--{name} is missing")
    if (channel := sagemaker("SM_CHANNEL_TEACHER")) and not options.teacher:
        options.teacher = sorted(Path(channel).rglob("best.pt")) or parser.error(f"no best.pt lies in {channel}")
    options.model, options.checkpoints = options.model or options.out, options.checkpoints or options.out
    return options


def truth(text: str) -> bool:
    """A switch's value, since hyperparameters of a job always have one."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def sizes(text: str) -> list[tuple[int, int]]:
    """`160:4,192:5` is four epochs at 160 pixels, then five at 192."""
    return [(int(size), int(epochs)) for size, epochs in (part.split(":") for part in text.split(",") if part)]


@dataclass
class Progress:
    """Where a run stands; travels in its checkpoints."""

    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    best_log_loss: float = float("inf")
    loss_sum: float = 0.0


@dataclass(frozen=True)
class Training:
    """What a run works with, made once from its options."""

    options: argparse.Namespace
    processes: Processes
    bins: list[LabelledBin]
    validation: list[LabelledBin]
    left_out: list[LabelledBin]
    mix: npt.NDArray[np.float64]
    scale: FactScale
    digests: dict[str, str]
    network: Counter
    teachers: list[Teacher]

    @property
    def tells_facts(self) -> bool:
        """Whether the network is trained to tell facts too."""
        return self.network.fact_head.weight.requires_grad

    def size_in(self, epoch: int) -> int:
        """Pixels a side in that epoch, the first being 0."""
        for size, epochs in self.options.grow:
            if epoch < epochs:
                return int(size)
            epoch -= epochs
        return int(self.options.size)

    def labels_of(self, bins: Sequence[LabelledBin]) -> npt.NDArray[np.int64]:
        """The training labels (n,) of bins."""
        return training_label(counts_of(bins), self.options.labels)

    def autocast(self) -> torch.autocast:
        """bfloat16 where it is safe, if it is wanted."""
        return torch.autocast(self.processes.device.type, torch.bfloat16, enabled=self.options.precision == "bf16")


def prepare(options: argparse.Namespace, ours: Processes) -> Training:
    """Read the data and build the network. Raises ValueError or FileNotFoundError when one of them is wrong."""
    if options.batch % ours.world:
        raise ValueError(f"--batch {options.batch} cannot be shared by {ours.world} processes: make it a multiple")
    if options.labels < len(LABELS):
        raise ValueError(
            f"--labels {options.labels} is less than the {len(LABELS)} that are served: {', '.join(LABELS)}"
        )
    torch.manual_seed(options.seed)
    bins = read_bins(options.data, "train")[: options.limit]
    validation = read_bins(options.data, "val")[: options.limit]
    aside = set(options.leave_out.read_text().split()) if options.leave_out else set()
    left_out = [one for one in bins if one.id in aside]
    bins = [one for one in bins if one.id not in aside]
    if options.extra:
        bins += read_bins(options.extra, "train")[: options.limit]
    if len(bins) < options.batch:
        raise ValueError(f"{len(bins)} bins to train on are less than one batch of {options.batch}: lower --batch")
    mix = mix_of(training_label(counts_of(bins), options.labels), options.labels, options.mix)
    network = Counter(
        options.backbone,
        options.labels,
        dropout=options.dropout,
        drop_path=options.drop_path,
        frozen_stages=options.frozen_stages,
    )
    network.load(options.weights)
    network.to(ours.device, memory_format=torch.channels_last)
    if ours.device.type == "cpu":
        cpu.keep_freed_memory()
        cpu.slow_convolutions_in_float32(network)
    scale = fact_scale(bins)
    if not options.fact_weight or not scale.targets(bins).isfinite().any():
        network.fact_head.requires_grad_(False)
    digests = {"train": digest(bins), "val": digest(validation)}
    teachers = [Teacher(path, options.labels, ours.device) for path in options.teacher]
    digests |= {f"teacher-{number}": teacher.digest for number, teacher in enumerate(teachers, start=1)}
    return Training(options, ours, bins, validation, left_out, mix, scale, digests, network, teachers)


@torch.inference_mode()
def predict(training: Training, network: nn.Module, bins: Sequence[LabelledBin], batch: int = 128) -> Tensor:
    """The count head's outputs (n, labels) for bins, in their order, each process having looked at its share.

    A network that diverged answers NaN; that is taken as 0, knowing nothing.
    """
    network.eval()
    ours = training.processes
    mine = list(range(ours.rank, len(bins), ours.world))
    chunks = [[(index, index) for index in mine[start : start + batch]] for start in range(0, len(mine), batch)]
    said = []
    for one in load(Images(bins, training.options.size), chunks, training.options.workers):
        images = training.network.normalise(to_float(one.images.to(ours.device)))
        with training.autocast():
            counts, _ = network(images)
        said.append(counts.float().cpu())
    outputs = torch.empty(len(bins), training.options.labels)
    for rank, part in enumerate(ours.gather(torch.cat(said))):
        outputs[rank :: ours.world] = part
    return outputs.nan_to_num()


def figures_of(
    training: Training, network: nn.Module, bins: Sequence[LabelledBin]
) -> tuple[dict[str, float], npt.NDArray[np.float64]]:
    """Figures of merit on bins, and the probabilities (n, labels served) they are of.

    "loss" is what training minimises, on these bins; it and the log loss are means over the mix trained for.
    """
    options, outputs, labels = training.options, predict(training, network, bins), training.labels_of(bins)
    targets = targets_by_label(options.labels, options.soft_width, options.label_smoothing)[labels]
    weights = weights_for(labels, training.mix)
    loss = float(LOSSES[options.loss](outputs, targets).double() @ torch.from_numpy(weights))
    logits = label_logits(outputs, options.loss).double().numpy()
    probabilities = merge_tail(deconvolve(logits, options.soft_width), len(LABELS))
    counts = counts_of(bins)
    figures = all_figures(probabilities, counts)
    return figures | {"log_loss": log_loss(probabilities, counts, weights), "loss": loss}, probabilities


def make_optimizer(training: Training) -> torch.optim.Optimizer:
    """Weight decay spares biases and normalisation, as timm has it."""
    options = training.options
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        training.network,
        opt=options.optimizer,
        lr=options.lr,
        weight_decay=options.weight_decay,
        momentum=options.momentum,
    )
    return optimizer


def make_schedule(optimizer: torch.optim.Optimizer, options: argparse.Namespace, steps: int) -> LRScheduler:
    """The learning rate over `steps` batches: one cycle, a tenth after each third, or halved when val stands still."""
    if options.schedule == "cosine":
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps=steps, pct_start=WARM_UP, cycle_momentum=False)
    if options.schedule == "step":
        return StepLR(optimizer, max(1, steps // 3))
    return ReduceLROnPlateau(optimizer, factor=0.5, patience=2)


def mixed(images: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization": each image and its target, with another's."""
    share, other = float(rng.beta(MIXUP_ALPHA, MIXUP_ALPHA)), torch.from_numpy(rng.permutation(len(images)))
    return tuple(share * one + (1 - share) * one[other.to(one.device)] for one in (images, targets))  # type: ignore[return-value]


class Criterion:
    """The loss of a batch: of the counts, and with `fact_weight` of the facts that are known."""

    def __init__(self, training: Training) -> None:
        options, device = training.options, training.processes.device
        labels = training.labels_of(training.bins)
        rarity = torch.from_numpy(1 / np.maximum(np.bincount(labels, minlength=options.labels), 1)).float()
        self.loss = LOSSES[options.loss]
        self.targets = targets_by_label(options.labels, options.soft_width, options.label_smoothing)[labels].to(device)
        self.facts = training.scale.targets(training.bins).to(device)
        self.weights = (rarity / (rarity[labels].mean()))[labels].to(device) if options.class_weights else None
        self.fact_weight, self.mixup = options.fact_weight, options.mixup
        self.normalise = training.network.normalise
        self.teachers, self.teacher_share = training.teachers, options.teacher_share

    def of(
        self, indices: Tensor, images: Tensor, rng: np.random.Generator, network: Callable[[Tensor], Any]
    ) -> tuple[Tensor, Tensor]:
        """(what is minimised, the loss of the counts alone) of varied images (n, 3, size, size) in 0..1."""
        goals = torch.cat((self.targets[indices], self.facts[indices]), 1)
        weights = self.weights[indices] if self.weights is not None else None
        if rng.random() < self.mixup:
            images, goals = mixed(images, goals, rng)
            weights = None
        targets, facts = goals.split((self.targets.shape[1], len(FACTS)), 1)
        if self.teachers:
            said = torch.stack([teacher.shares(images) for teacher in self.teachers]).mean(0)
            targets = (1 - self.teacher_share) * targets + self.teacher_share * said
        counts, told = network(self.normalise(images))
        losses = self.loss(counts.float(), targets)
        loss = losses.mean() if weights is None else (losses * weights).mean()
        known = facts.isfinite()
        told_wrong = functional.smooth_l1_loss(told.float()[known], facts[known], reduction="sum") / max(
            1, int(known.sum())
        )
        return loss + self.fact_weight * told_wrong, loss.detach()


def run(training: Training, on_epoch: Callable[[int, dict[str, float]], None] = lambda *_: None) -> dict[str, float]:
    """Train; returns the figures on val of the epoch kept as best. `on_epoch` hears each epoch's number and figures."""
    options, ours, network = training.options, training.processes, training.network
    last = options.checkpoints / "last.pt"
    identity = checkpoints.fingerprint(
        {name: value for name, value in vars(options).items() if name not in OUTSIDE_OPTIONS} | training.digests
    )
    if last.exists() and not options.resume:
        raise ValueError(f"{last} exists: go on with --resume or name another folder with --out")
    weights = weights_for(training.labels_of(training.bins), training.mix)
    steps = len(training.bins) // options.batch
    optimizer = make_optimizer(training)
    schedule = make_schedule(optimizer, options, steps * options.epochs)
    average = ModelEmaV3(network, decay=options.ema_decay, use_warmup=True)
    criterion, health, at = Criterion(training), Health(network, len(LABELS)), Progress()

    def after_backward() -> None:
        if ours.leads:
            health.after_backward(at.epoch * steps + at.batch)

    if last.exists():
        state = checkpoints.load(last, identity)
        network.load_state_dict(state["network"])
        average.module.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        health.load_state_dict(state["health"])
        at = Progress(**state["progress"])
    parallel = ours.wrap(network)
    if ours.leads:
        write_json(options.out / "options.json", vars(options) | {"run": identity, "processes": ours.world})
        sizes_of_sets = f"{len(training.bins)} bins to train on, {len(training.validation)} to choose on"
        print(f"{options.backbone}: {sizes_of_sets}, {steps} batches an epoch")

    def keep() -> None:
        if ours.leads:
            parts = {
                "network": network,
                "average": average.module,
                "optimizer": optimizer,
                "schedule": schedule,
                "health": health,
            }
            state = {name: part.state_dict() for name, part in parts.items()}
            checkpoints.save(last, state | {"progress": asdict(at), "run": identity})

    started = saved = time.monotonic() - at.elapsed_s
    writer = SummaryWriter(tensorboard_folder(options)) if ours.leads else None
    with Profiler(options.out) if options.profile else nullcontext() as profiler:
        while at.epoch < options.epochs:
            parallel.train()
            size = training.size_in(at.epoch)
            order = epoch_order(weights, options.seed, at.epoch)
            plan = batches(order, options.batch, at.batch, ours.rank, ours.world)
            loaded = load(
                Images(training.bins, options.size, (options.seed, at.epoch), options.vary), plan, options.workers
            )
            bar = tqdm(
                waiting(loaded), f"epoch {at.epoch + 1}", steps, initial=at.batch, mininterval=5, disable=not ours.leads
            )
            for batch, waited_s in bar:
                began = time.monotonic()
                rng = np.random.default_rng((options.seed, at.epoch, at.batch, ours.rank))
                torch.manual_seed(int(rng.integers(2**31)))  # dropout is then the same after a resume
                loss = train_step(training, batch, size, criterion, parallel, optimizer, rng, after_backward)
                with record_function("optimizer"):
                    optimizer.step()
                    average.update(network, step=at.epoch * steps + at.batch)
                if not isinstance(schedule, ReduceLROnPlateau):
                    schedule.step()
                at.batch, at.loss_sum = at.batch + 1, at.loss_sum + ours.mean(loss)
                health.after_step(loss, waited_s / (waited_s + time.monotonic() - began))
                bar.set_postfix(loss=f"{at.loss_sum / at.batch:.3f}", refresh=False)
                at.elapsed_s = time.monotonic() - started
                if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                    saved = time.monotonic()
                    keep()
                if profiler and profiler.step():
                    return {}
            bar.close()

            figures, probabilities = figures_of(training, average.module, training.validation)
            loss_of_epoch = at.loss_sum / max(1, at.batch)
            if ours.leads:
                found = health.after_epoch(at.epoch + 1, loss_of_epoch, figures["loss"], probabilities.argmax(1))
                report_epoch(options, at, loss_of_epoch, figures, found, writer)
                if figures["log_loss"] < at.best_log_loss:
                    keep_best(training, average.module, at.epoch + 1, figures, identity)
            at = Progress(at.epoch + 1, 0, at.elapsed_s, min(at.best_log_loss, figures["log_loss"]))
            if isinstance(schedule, ReduceLROnPlateau):
                schedule.step(figures["log_loss"])
            keep()
            on_epoch(at.epoch, figures)
            hopeless = any(finding.rule in STOPPING_RULES for finding in health.findings)
            if options.stop_when_unhealthy and any(ours.gather(hopeless)):
                break
    if not ours.leads:
        return {}
    print(health_report(health.findings))
    write_json(options.out / "health.json", [asdict(finding) for finding in health.findings])
    return finish(training)


def waiting(loaded: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    """The batches, each with the seconds that it was waited for."""
    while True:
        asked = time.monotonic()
        with record_function("data"):
            batch = next(loaded, None)
        if batch is None:
            return
        yield batch, time.monotonic() - asked


def train_step(
    training: Training,
    batch: Batch,
    size: int,
    criterion: Criterion,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
    after_backward: Callable[[], None],
) -> float:
    """Vary, look, and leave gradients behind; returns the loss of the counts."""
    device = training.processes.device
    with record_function("data"):
        images = augment(batch.images.to(device), batch.variation.to(device), size)
    with record_function("forward"), training.autocast():
        loss, of_counts = criterion.of(batch.indices.to(device), images, rng, network)
    with record_function("backward"):
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        after_backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_GRADIENT_NORM)
    return float(of_counts)


def report_epoch(
    options: argparse.Namespace,
    at: Progress,
    train_loss: float,
    figures: dict[str, float],
    found: list[Finding],
    writer: SummaryWriter,
) -> None:
    """A row, a line that tuners and jobs read, curves, and what is unhealthy."""
    row = {"epoch": at.epoch + 1, "minutes": at.elapsed_s / 60, "train_loss": train_loss}
    row |= {f"val_{name}": value for name, value in figures.items()}
    path = options.out / "metrics.csv"
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        table = csv.DictWriter(file, list(row))
        if fresh:
            table.writeheader()
        table.writerow({name: round(value, 5) for name, value in row.items()})
    print(epoch_line(row), flush=True)
    for name, value in row.items():
        writer.add_scalar(name.replace("val_", "val/"), value, at.epoch + 1)
    for finding in found:
        print(f"unhealthy: {finding.rule}: {finding.message}", flush=True)


def keep_best(training: Training, network: nn.Module, epoch: int, figures: dict[str, float], run_identity: str) -> None:
    """Write best.pt: weights, and what it takes to serve them."""
    options = training.options
    about = {name: getattr(options, name) for name in ("backbone", "labels", "loss", "soft_width", "size")}
    about |= {"epoch": epoch, "val": figures, "mix": training.mix.tolist(), "run": run_identity}
    about |= {"facts": asdict(training.scale) if training.tells_facts else None, "data": training.digests}
    checkpoints.save(options.model / "best.pt", about | {"network": network.state_dict()})


def finish(training: Training) -> dict[str, float]:
    """The figures of the best epoch, and of bins that were left out, if any."""
    options = training.options
    best = torch.load(options.model / "best.pt", map_location="cpu", weights_only=True)
    if training.left_out:
        training.network.load_state_dict(best["network"])
        figures, _ = figures_of(training, training.network, training.left_out)
        write_json(options.out / "left_out.json", {"bins": len(training.left_out), "figures": figures})
    return dict(best["val"])


def tensorboard_folder(options: argparse.Namespace) -> Path:
    """Where a job's curves are collected, or the run's own folder."""
    collected = Path("/opt/ml/output/tensorboard")
    return collected if collected.is_dir() else Path(options.out / "tensorboard")


def write_json(path: Path, value: object) -> None:
    """Write a JSON file that people read too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, default=str, indent=2) + "\n")


def main(arguments: Sequence[str] | None = None) -> dict[str, float]:
    """Command line: see the module's docstring."""
    options = parse_options(arguments)
    with processes() as ours:
        try:
            figures = run(prepare(options, ours))
        except (FileNotFoundError, ValueError) as error:
            sys.exit(f"train: {error}")
        if ours.leads:
            print(json.dumps(figures, indent=2))
        return figures


if __name__ == "__main__":
    main()
