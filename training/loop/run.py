"""The loop: epochs of steps, an evaluation after each, and the checkpoints from which a killed run goes on."""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau
from torch.profiler import record_function
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..data.bins import LABELS
from ..data.loading import Batch
from ..data.sampling import batches, epoch_order, weights_for
from ..network import checkpoints
from .config import plain
from .criterion import Criterion
from .evaluation import evaluate
from .health import STOPPING_RULES, Health
from .health import report as health_report
from .profiling import Profiler
from .reporting import open_writer, report_epoch, write_json
from .setup import Training, make_optimizer, make_schedule

CHECKPOINT_EVERY_S = 300.0
CLIP_GRADIENT_NORM = 5.0
OnEpoch = Callable[[int, dict[str, float]], None]


@dataclass
class Progress:
    """Where a run stands."""

    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    best_log_loss: float = float("inf")
    loss_sum: float = 0.0


@dataclass
class Run:
    """A training under way: the parts that change from step to step and travel in last.pt."""

    training: Training
    identity: str
    average: ModelEmaV3
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    criterion: Criterion
    health: Health
    progress: Progress = field(default_factory=Progress)
    started_s: float = field(default_factory=time.monotonic)
    saved_at_s: float = field(default_factory=time.monotonic)

    @property
    def steps(self) -> int:
        """Batches of an epoch."""
        return len(self.training.bins) // self.training.options.loop.batch

    def parts(self) -> dict[str, Any]:
        """What has a state, by its name in last.pt."""
        return {
            "network": self.training.network,
            "average": self.average.module,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "health": self.health,
        }


def fit(training: Training, on_epoch: OnEpoch = lambda *_: None) -> dict[str, float]:
    """Train, and return the figures on val of the best epoch; a profile returns none.

    `on_epoch` gets each epoch's number and figures. Raises ValueError when the folder holds another run.
    """
    run = begin(training)
    network = training.processes.wrap(training.network)
    writer = open_writer(training.options.output.out) if training.processes.leads else None
    out = training.options.output.out
    profiled = training.options.loop.profile and training.processes.leads
    with Profiler(out) if profiled else nullcontext() as profiler:
        while run.progress.epoch < training.options.loop.epochs:
            if not train_one_epoch(run, network, profiler):
                return {}
            figures = end_epoch(run, writer)
            on_epoch(run.progress.epoch, figures)
            if training.options.loop.stop_when_unhealthy and _is_hopeless(run):
                break
    return finish(run)


def begin(training: Training) -> Run:
    """A run at its start, or where last.pt of the same run left it. Raises ValueError when last.pt is another's."""
    options, network = training.options, training.network
    last = options.output.last
    if last.exists() and not options.output.resume:
        raise ValueError(f"{last} exists: go on with --resume or name another folder with --out")
    optimizer = make_optimizer(network, options.loop)
    steps = len(training.bins) // options.loop.batch
    run = Run(
        training,
        checkpoints.fingerprint(plain(options.identity()) | training.digests),
        ModelEmaV3(network, decay=options.loop.ema_decay, use_warmup=True),
        optimizer,
        make_schedule(optimizer, options.loop, steps * options.loop.epochs),
        Criterion(training),
        Health(network, len(LABELS)),
    )
    if training.processes.lead(last.exists):
        state = training.processes.lead(lambda: checkpoints.load(last, run.identity))
        for name, part in run.parts().items():
            part.load_state_dict(state[name])
        run.progress = Progress(**state["progress"])
        run.started_s -= run.progress.elapsed_s
    if training.processes.leads:
        record = {"run": run.identity, "processes": training.processes.world}
        write_json(options.output.out / "options.json", plain(options.values()) | record)
        sets = f"{len(training.bins)} bins to train on, {len(training.validation)} to choose on"
        print(f"{options.network.backbone}: {sets}, {steps} batches an epoch")
    return run


def train_one_epoch(run: Run, network: nn.Module, profiler: Profiler | None) -> bool:
    """Train on the batches of the epoch that are left; False when the profiler has seen enough before its end."""
    training, progress = run.training, run.progress
    group, seed, epoch = training.processes, training.options.loop.seed, progress.epoch
    network.train()
    loaded = timed_batches(load_epoch(training, epoch, progress.batch))
    bar = tqdm(loaded, f"epoch {epoch + 1}", run.steps, initial=progress.batch, mininterval=5, disable=not group.leads)
    for batch, waited_s in bar:
        began = time.monotonic()
        rng = np.random.default_rng((seed, epoch, progress.batch, group.rank))
        torch.manual_seed(int(rng.integers(2**31)))  # dropout is then the same after a resume
        loss = train_step(run, network, batch, rng)
        progress.batch, progress.loss_sum = progress.batch + 1, progress.loss_sum + group.mean(loss)
        run.health.after_step(loss, waited_s / (waited_s + time.monotonic() - began))
        bar.set_postfix(loss=f"{progress.loss_sum / progress.batch:.3f}", refresh=False)
        progress.elapsed_s = time.monotonic() - run.started_s
        if time.monotonic() - run.saved_at_s > CHECKPOINT_EVERY_S:
            save(run)
        if training.options.loop.profile and any(group.gather(profiler is not None and profiler.step())):
            return False
    bar.close()
    return True


def load_epoch(training: Training, epoch: int, first: int) -> Iterator[Batch]:
    """This process's share of the batches of an epoch, from the `first` on."""
    options, group = training.options, training.processes
    order = epoch_order(weights_for(training.labels_of(training.bins), training.mix), options.loop.seed, epoch)
    plan = batches(order, options.loop.batch, first, group.rank, group.world)
    return training.images.batches(plan, (options.loop.seed, epoch), options.data.vary, training.size_in(epoch))


def timed_batches(loaded: Iterator[Batch]) -> Iterator[tuple[Batch, float]]:
    """The batches, each with the seconds that the loop waited for it."""
    while True:
        asked = time.monotonic()
        with record_function("data"):
            batch = next(loaded, None)
        if batch is None:
            return
        yield batch, time.monotonic() - asked


def train_step(run: Run, network: nn.Module, batch: Batch, rng: np.random.Generator) -> float:
    """One step of the optimizer, the moving average and the schedule; returns the loss of the counts."""
    training, step = run.training, run.progress.epoch * run.steps + run.progress.batch
    with record_function("data"):
        batch = batch.to(training.processes.device)
        images = batch.varied
    with record_function("forward"), training.autocast():
        loss, of_counts = run.criterion(batch.indices, images, rng, network)
    with record_function("backward"):
        run.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if training.processes.leads:
            run.health.after_backward(step)
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_GRADIENT_NORM)
    with record_function("optimizer"):
        run.optimizer.step()
        run.average.update(training.network, step=step)
    if not isinstance(run.schedule, ReduceLROnPlateau):
        run.schedule.step()
    return float(of_counts)


def end_epoch(run: Run, writer: SummaryWriter | None) -> dict[str, float]:
    """Evaluate the moving average on val, report, keep it if it is the best, and save; returns the figures."""
    training, progress = run.training, run.progress
    figures, probabilities = evaluate(training, run.average.module, training.validation)
    train_loss, epoch = progress.loss_sum / max(1, progress.batch), progress.epoch + 1
    if writer:
        findings = run.health.after_epoch(epoch, train_loss, figures["loss"], probabilities.argmax(1))
        row = {"epoch": epoch, "minutes": progress.elapsed_s / 60, "train_loss": train_loss}
        row |= {f"val_{name}": value for name, value in figures.items()}
        report_epoch(training.options.output.out, row, findings, writer)
        if figures["log_loss"] < progress.best_log_loss:
            keep_best(run, figures)
    best = min(progress.best_log_loss, figures["log_loss"])
    run.progress = Progress(epoch, 0, progress.elapsed_s, best)
    if isinstance(run.schedule, ReduceLROnPlateau):
        run.schedule.step(figures["log_loss"])
    save(run)
    return figures


def save(run: Run) -> None:
    """Write last.pt; the process that leads does."""
    run.saved_at_s = time.monotonic()
    if run.training.processes.leads:
        state = {name: part.state_dict() for name, part in run.parts().items()}
        state |= {"progress": asdict(run.progress), "run": run.identity}
        checkpoints.save(run.training.options.output.last, state)


def keep_best(run: Run, figures: dict[str, float]) -> None:
    """Write best.pt: the weights of the moving average, and what it takes to serve them."""
    training, options = run.training, run.training.options
    best = {
        "backbone": options.network.backbone,
        "labels": options.network.labels,
        "loss": options.loss.loss,
        "soft_width": options.loss.soft_width,
        "size": options.data.size,
        "epoch": run.progress.epoch + 1,
        "val": figures,
        "mix": training.mix.tolist(),
        "run": run.identity,
        "facts": asdict(training.scale) if training.trains_facts else None,
        "data": training.digests,
        "network": run.average.module.state_dict(),
    }
    checkpoints.save(options.output.best, best)


def _is_hopeless(run: Run) -> bool:
    """Whether going on is a waste. All processes call it: one of them knows."""
    found = any(finding.rule in STOPPING_RULES for finding in run.health.findings)
    return any(run.training.processes.gather(found))


def finish(run: Run) -> dict[str, float]:
    """The figures of the best epoch, on all processes; those of bins that were left out go to left_out.json."""
    training, group, out = run.training, run.training.processes, run.training.options.output.out
    best = group.lead(lambda: torch.load(training.options.output.best, map_location="cpu", weights_only=True))
    if group.leads:
        print(health_report(run.health.findings))
        write_json(out / "health.json", [asdict(finding) for finding in run.health.findings])
    if training.left_out:
        training.network.load_state_dict(best["network"])
        figures, _ = evaluate(training, training.network, training.left_out)
        if group.leads:
            write_json(out / "left_out.json", {"bins": len(training.left_out), "figures": figures})
    return dict(best["val"])
