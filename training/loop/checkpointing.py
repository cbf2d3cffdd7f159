"""last.pt, which a run resumes from, and best.pt, which is served; how a finished run is extended."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from timm.utils import ModelEmaV3

from ..data.bins import LABELS
from ..network import checkpoints
from .commit import git_commit
from .config import plain
from .criterion import Criterion
from .health import Health
from .options import LoopOptions
from .setup import Training, make_optimizer, make_schedule
from .state import Progress, Run


def begin(training: Training) -> Run:
    """A run at its start, or where last.pt of the same run left it. Raises ValueError when last.pt is another's."""
    options, group, last = training.options, training.processes, training.options.output.last
    identity = checkpoints.fingerprint(plain(options.identity()) | training.digests)
    exists = group.lead(last.exists)
    if exists and not options.output.resume:
        raise ValueError(f"{last} exists: go on with --resume or name another folder with --out")
    state = group.lead(lambda: checkpoints.load(last, identity)) if exists else None
    progress = Progress(**state["progress"]) if state else Progress(options.loop.epochs)
    new_cycle = extend(progress, options.loop) and options.loop.schedule == "cosine"
    optimizer = make_optimizer(training.network, options.loop)
    steps = len(training.bins) // options.loop.batch
    run = Run(
        training,
        identity,
        ModelEmaV3(training.network, decay=options.loop.ema_decay, use_warmup=True),
        optimizer,
        make_schedule(optimizer, options.loop, steps, progress.epochs - progress.cycle_start),
        training.precision.scaler(group.device),
        Criterion(training),
        Health(training.network, len(LABELS)),
        progress,
    )
    if state:
        _restore(run, state, new_cycle=new_cycle)
    return run


def extend(progress: Progress, options: LoopOptions) -> bool:
    """Plan for --epochs; whether that extends a run that had ended. Raises ValueError when it cannot be extended.

    The cosine schedule begins another cycle, up to --lr again; a step or plateau schedule continues.
    """
    if options.epochs == progress.epochs:
        return False
    ended = progress.epoch >= progress.epochs or progress.is_stopped(options.patience)
    if not ended or options.epochs < progress.epoch:
        raise ValueError(
            f"the run was planned for {progress.epochs} epochs and has {progress.epoch}: give --epochs "
            f"{progress.epochs}, and more once it has ended"
        )
    progress.epochs = options.epochs
    if options.schedule == "cosine":
        progress.cycle_start = progress.epoch
    return True


def _restore(run: Run, state: dict[str, Any], *, new_cycle: bool) -> None:
    """Bring the parts to where last.pt left them; in a new cycle the learning rates are those of its start."""
    options, progress = run.training.options.loop, run.progress
    groups = [dict(group) for group in run.optimizer.param_groups]
    for name, part in run.parts().items():
        if state[name] and not (new_cycle and name == "schedule"):  # a scaler that was off has no state
            part.load_state_dict(state[name])
    if new_cycle:
        for group, before in zip(run.optimizer.param_groups, groups, strict=True):
            group.update({name: value for name, value in before.items() if name != "params"})
    run.started_s -= progress.elapsed_s
    if new_cycle and run.training.processes.leads:
        epochs = progress.epochs - progress.cycle_start
        print(f"extended by {epochs} epochs: a new cosine cycle, which rises to --lr {options.lr:g} again")


def save(run: Run) -> None:
    """Write last.pt; the process that leads does."""
    run.saved_at_s = time.monotonic()
    if run.training.processes.leads:
        state = {name: part.state_dict() for name, part in run.parts().items()}
        state |= {"progress": asdict(run.progress), "run": run.identity}
        checkpoints.save(run.training.options.output.last, state)


def keep_best(run: Run, figures: dict[str, float]) -> None:
    """Write best.pt if the epoch has the lowest log loss, and best-EPOCH.pt of the k best if k > 1."""
    options, progress = run.training.options, run.progress
    epoch, log_loss, best = progress.epoch + 1, figures["log_loss"], options.output.best
    if log_loss < progress.best_log_loss:
        checkpoints.save(best, _served(run, figures))
    if options.loop.keep_best > 1:
        ranked = sorted([*progress.kept, (log_loss, epoch)])
        progress.kept = ranked[: options.loop.keep_best]
        if (log_loss, epoch) in progress.kept:
            checkpoints.save(_path_of(best, epoch), _served(run, figures))
        for _, dropped in ranked[options.loop.keep_best :]:
            _path_of(best, dropped).unlink(missing_ok=True)


def _path_of(best: Path, epoch: int) -> Path:
    return best.with_stem(f"{best.stem}-{epoch:03}")


def _served(run: Run, figures: dict[str, float]) -> dict[str, Any]:
    """The weights of the moving average, what it takes to serve them, and what they were made of."""
    training, options = run.training, run.training.options
    return {
        "backbone": options.network.backbone,
        "labels": options.network.labels,
        "loss": options.loss.loss,
        "soft_width": options.loss.soft_width,
        "size": options.data.size,
        "epoch": run.progress.epoch + 1,
        "val": figures,
        "mix": training.prior.tolist(),
        "run": run.identity,
        "facts": asdict(training.scale) if training.trains_facts else None,
        "data": training.digests,
        "seed": options.loop.seed,
        "commit": git_commit(),
        "network": run.average.module.state_dict(),
    }
