"""The loop: epochs of steps, an evaluation after each, early stopping and the end."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.profiler import record_function
from tqdm import tqdm

from ..data.loading import Batch
from ..data.sampling import batches, epoch_order, weights_for
from .checkpointing import begin, keep_best, save
from .config import plain
from .evaluation import evaluate
from .health import STOPPING_RULES
from .profiling import Profiler
from .record import run_record
from .reporting import report_epoch, report_run, write_json
from .setup import Training
from .state import Run
from .tracking import MLflow, TensorBoard, Tracker

CHECKPOINT_EVERY_S = 300.0
SAMPLES = 16  # images that a run's page shows
OnEpoch = Callable[[int, dict[str, float]], None]


def fit(training: Training, on_epoch: OnEpoch = lambda *_: None) -> dict[str, float]:
    """Train, and return the figures on val of the best epoch; a profile returns none.

    `on_epoch` gets each epoch's number and figures. Raises ValueError when the folder holds another run.
    """
    run, options = begin(training), training.options
    trackers = start(run) if training.processes.leads else []
    network = training.processes.wrap(training.network)
    profiled = options.loop.profile and training.processes.leads
    with Profiler(options.output.out) if profiled else nullcontext() as profiler:
        while run.progress.epoch < run.progress.epochs and not run.progress.is_stopped(options.loop.patience):
            if not train_one_epoch(run, network, profiler):
                return {}
            figures = end_epoch(run, trackers)
            on_epoch(run.progress.epoch, figures)
            if options.loop.stop_when_unhealthy and _is_hopeless(run):
                break
    return finish(run, trackers)


def start(run: Run) -> Sequence[Tracker]:
    """Write options.json, say what is trained, and open what figures are tracked by."""
    training, options, out = run.training, plain(run.training.options.values()), run.training.options.output.out
    record = run_record(training, run.identity)
    write_json(out / "options.json", options | record)
    sets = f"{len(training.bins)} bins to train on, {len(training.validation)} to choose on"
    precision = f"{training.precision.name} ({training.precision.reason})"
    print(f"{training.network.backbone_name}: {sets}, {run.steps} batches an epoch, {precision}")
    trackers: list[Tracker] = [TensorBoard(out, options)]
    if uri := training.options.output.mlflow:
        trackers.append(MLflow(uri, run.progress.tracking_id, out.name, options, record))
        run.progress.tracking_id = trackers[-1].id
    return trackers


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
    run.optimizer.zero_grad(set_to_none=True)
    with record_function("data"):
        batch = batch.to(training.processes.device)
        images = batch.varied
        if run.samples is None:
            run.samples = images[:SAMPLES].cpu()
    loss = add_gradients(run, network, batch.indices, images, rng)
    with record_function("optimizer"):
        run.scaler.unscale_(run.optimizer)
        if training.processes.leads and not _overflowed(run):
            run.health.after_backward(step)
        if training.options.loop.clip_gradient_norm:
            nn.utils.clip_grad_norm_(network.parameters(), training.options.loop.clip_gradient_norm)
        run.scaler.step(run.optimizer)
        run.scaler.update()
        run.average.update(training.network, step=step)
    if not isinstance(run.schedule, ReduceLROnPlateau):
        run.schedule.step()
    return float(loss)  # waits for the device, so after all of the step's work is queued


def add_gradients(
    run: Run, network: nn.Module, indices: torch.Tensor, images: torch.Tensor, rng: np.random.Generator
) -> torch.Tensor:
    """Compute the gradients of a batch in as many parts as --accumulate says; returns the loss of the counts."""
    parts, total = run.training.options.loop.accumulate, torch.zeros((), device=images.device)
    for number, (some, their_indices) in enumerate(zip(images.chunk(parts), indices.chunk(parts), strict=True), 1):
        is_partial = number < parts  # gradients are averaged over the processes once, with the last part
        with network.no_sync() if is_partial and isinstance(network, DistributedDataParallel) else nullcontext():
            with record_function("forward"), run.training.autocast():
                loss, of_counts = run.criterion(their_indices, some, rng, network)
            with record_function("backward"):
                run.scaler.scale(loss / parts).backward()
        total += of_counts.detach() / parts
    return total


def _overflowed(run: Run) -> bool:
    """Whether float16 overflowed: the scaler then skips the step and takes a smaller scale, which is no illness."""
    if not run.scaler.is_enabled():
        return False
    gradients = [one.grad for one in run.training.network.parameters() if one.grad is not None]
    return not torch.nn.utils.get_total_norm(gradients).isfinite()


def end_epoch(run: Run, trackers: Sequence[Tracker]) -> dict[str, float]:
    """Evaluate the moving average on val, report, keep it if it is the best, and save; returns the figures."""
    training, progress = run.training, run.progress
    figures, probabilities = evaluate(training, run.average.module, training.validation)
    train_loss, epoch = progress.loss_sum / max(1, progress.batch), progress.epoch + 1
    if training.processes.leads:
        findings = run.health.after_epoch(epoch, train_loss, figures["loss"], probabilities.argmax(1))
        row = {"epoch": epoch, "minutes": progress.elapsed_s / 60, "train_loss": train_loss}
        row |= {f"val_{name}": value for name, value in figures.items()}
        report_epoch(training.options.output.out, row, findings)
        for tracker in trackers:
            tracker.log(row)
        keep_best(run, figures)
    if figures["log_loss"] < progress.best_log_loss:
        progress.best_log_loss, progress.best_epoch = figures["log_loss"], epoch
    run.progress = replace(progress, epoch=epoch, batch=0, loss_sum=0.0)
    if isinstance(run.schedule, ReduceLROnPlateau):
        run.schedule.step(figures["log_loss"])
    save(run)
    return figures


def _is_hopeless(run: Run) -> bool:
    """Whether going on is a waste. All processes call it: one of them knows."""
    found = any(finding.rule in STOPPING_RULES for finding in run.health.findings)
    return any(run.training.processes.gather(found))


def finish(run: Run, trackers: Sequence[Tracker]) -> dict[str, float]:
    """The figures of the best epoch, on all processes; those of bins that were left out go to left_out.json."""
    training, group, out = run.training, run.training.processes, run.training.options.output.out
    best = group.lead(lambda: torch.load(training.options.output.best, map_location="cpu", weights_only=True))
    if training.left_out:
        training.network.load_state_dict(best["network"])
        figures, _ = evaluate(training, training.network, training.left_out)
        if group.leads:
            write_json(out / "left_out.json", {"bins": len(training.left_out), "figures": figures})
    if group.leads:
        report_run(out, run.health.findings, run.samples)
    for tracker in trackers:
        if run.samples is not None:
            tracker.show(run.samples)
        tracker.end(best["val"], out)
    return dict(best["val"])
