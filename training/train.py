"""Trains the counter on labelled bins. Read it top to bottom: options, data, network, loop.

    python -m training.train --data FOLDER --extra RENDERED --out runs/first --max-minutes 75

FOLDER holds bin pictures and an index.csv (see training.data); RENDERED likewise, its bins join the training split.
Beside the weights the run leaves options.json and metrics.csv, a row per epoch. `best.pt` is the epoch with the
lowest log loss on val; test is never read here. A run that was killed goes on with --resume.
"""

import argparse
import csv
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from timm.optim import create_optimizer_v2
from timm.utils import ModelEmaV3
from torch import Tensor, nn
from tqdm import tqdm

from model.calibration import soft_targets

from .augment import augment, plain
from .data import LABELS, Bins, digest, load_bins
from .metrics import all_figures
from .networks import BACKBONE, MEAN, STD, build_network, pretrained_weights

WARM_UP = 0.12  # of the run
CHECKPOINT_EVERY_S = 300.0
SHOWN = ("accuracy", "accuracy_0_5", "standardised_accuracy", "rmse_0_5", "mae_0_5", "within_one_0_5", "log_loss")


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line; its defaults made the shipped model."""
    parser = argparse.ArgumentParser(description="Train the counter.")
    data = parser.add_argument_group("data")
    data.add_argument("--data", type=Path, required=True, help="folder with bin pictures and index.csv")
    data.add_argument("--extra", type=Path, help="folder of rendered bins that join the training split")
    data.add_argument("--size", type=int, default=224, help="pictures are squashed to this many pixels a side")
    data.add_argument("--limit", type=int, help="only the first so many bins of each split: a quick try")
    network = parser.add_argument_group("network")
    network.add_argument("--weights", default="package", help="'package', 'none' (random) or a file")
    network.add_argument("--dropout", type=float, default=0.2)
    network.add_argument("--drop-path", type=float, default=0.15)
    loop = parser.add_argument_group("loop")
    loop.add_argument("--epochs", type=int, default=7)
    loop.add_argument("--max-minutes", type=float, help="end by then, the learning rate annealed to zero all the same")
    loop.add_argument("--batch", type=int, default=64)
    loop.add_argument("--lr", type=float, default=8e-4)
    loop.add_argument("--weight-decay", type=float, default=0.03)
    loop.add_argument("--soft-width", type=float, default=0.6, help="of the Gaussian targets, in labels; 0 is one-hot")
    loop.add_argument("--ema-decay", type=float, default=0.997)
    loop.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="folder for weights and metrics")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    return parser.parse_args(arguments)


@dataclass
class Progress:
    """Where a run stands; travels in its checkpoints."""

    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    best_log_loss: float = float("inf")
    loss_sum: float = 0.0


def normalise(batch: Tensor) -> Tensor:
    """Scale pictures in 0..1 as the pretrained weights expect."""
    return (batch - torch.tensor(MEAN).view(1, 3, 1, 1)) / torch.tensor(STD).view(1, 3, 1, 1)


@torch.inference_mode()
def predict(network: nn.Module, bins: Bins, batch: int = 128) -> Tensor:
    """Logits (n, labels) of a split, without variations."""
    network.eval()
    logits = []
    for start in range(0, len(bins), batch):
        pixels = normalise(plain(bins.pixels[start : start + batch])).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            logits.append(network(pixels).float())
    return torch.cat(logits)


def learning_rate(done: float, peak: float) -> float:
    """One cycle over the run's share `done`: up in a straight line, down to zero along a cosine."""
    if done < WARM_UP:
        return peak * (0.04 + 0.96 * done / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARM_UP) / (1 - WARM_UP))))


def train(options: argparse.Namespace) -> dict[str, float]:
    """Run the training that `options` describes; returns the figures on val of the epoch kept as best."""
    last, best = options.out / "last.pt", options.out / "best.pt"
    if last.exists() and not options.resume:
        raise SystemExit(f"{last} exists: go on with --resume or name another folder with --out")
    options.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)

    training = load_bins(options.data, "train", options.size, options.limit)
    validation = load_bins(options.data, "val", options.size, options.limit)
    mix = np.bincount(training.labels, minlength=len(LABELS)) / len(training)
    data_digest = digest(training)
    if options.extra:
        training += load_bins(options.extra, "train", options.size, options.limit)
    batches = len(training) // min(options.batch, len(training))

    sources = {"package": pretrained_weights, "none": lambda: None}
    weights = sources.get(options.weights, lambda: Path(options.weights))()
    network = build_network(options.dropout, options.drop_path, weights).to(memory_format=torch.channels_last)
    optimizer = create_optimizer_v2(network, opt="adamw", lr=options.lr, weight_decay=options.weight_decay)
    average = ModelEmaV3(network, decay=options.ema_decay, use_warmup=True)
    at = Progress()
    if options.resume:
        at = _restore(last, network, average, optimizer)
    (options.out / "options.json").write_text(json.dumps(vars(options), default=str, indent=2) + "\n")
    print(f"{BACKBONE}: {len(training)} bins to train on, {len(validation)} to choose on, {batches} batches an epoch")

    targets = torch.from_numpy(soft_targets(len(LABELS), options.soft_width)).float()
    started = saved = time.monotonic() - at.elapsed_s
    figures: dict[str, float] = {}
    while at.epoch < options.epochs:
        order = np.random.default_rng((options.seed, at.epoch)).permutation(len(training))
        network.train()
        for batch in (bar := tqdm(range(at.batch, batches), f"epoch {at.epoch + 1}", mininterval=5)):
            at.elapsed_s = time.monotonic() - started
            done = (at.epoch + batch / batches) / options.epochs
            if options.max_minutes:
                done = max(done, at.elapsed_s / 60 / options.max_minutes)
            if done >= 1:
                break
            lr = learning_rate(done, options.lr)
            for group in optimizer.param_groups:
                group["lr"] = lr
            chosen = np.sort(order[batch * options.batch : (batch + 1) * options.batch])
            rng = np.random.default_rng((options.seed, at.epoch, batch))
            pixels = normalise(augment(training.pixels[chosen], rng))
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(pixels)
            target = targets[training.labels[chosen]]
            loss = nn.functional.cross_entropy(logits.float(), target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            average.update(network, step=at.epoch * batches + batch)
            at.batch, at.loss_sum = batch + 1, at.loss_sum + loss.item()
            bar.set_postfix(loss=f"{at.loss_sum / at.batch:.3f}", lr=f"{lr:.1e}", refresh=False)
            if time.monotonic() - saved > CHECKPOINT_EVERY_S:
                saved = time.monotonic()
                _save(last, network, average, optimizer, at)
        bar.close()

        probabilities = torch.softmax(predict(average.module, validation), 1).numpy()
        figures = all_figures(probabilities, validation.counts)
        at.elapsed_s = time.monotonic() - started
        _report(options.out / "metrics.csv", at, figures)
        if figures["log_loss"] < at.best_log_loss:
            at.best_log_loss = figures["log_loss"]
            kept = {"network": average.module.state_dict(), "epoch": at.epoch + 1, "val": figures}
            kept |= {"backbone": BACKBONE, "size": options.size, "prior": mix.tolist(), "data": data_digest}
            torch.save(kept, best)
        at = Progress(at.epoch + 1, 0, at.elapsed_s, at.best_log_loss)
        _save(last, network, average, optimizer, at)
        if options.max_minutes and at.elapsed_s >= 60 * options.max_minutes:
            break
    return dict(torch.load(best, weights_only=True)["val"])


def _report(path: Path, at: Progress, figures: dict[str, float]) -> None:
    loss = at.loss_sum / max(1, at.batch)
    row = {"epoch": at.epoch + 1, "minutes": at.elapsed_s / 60, "train_loss": loss, **figures}
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow({name: round(value, 5) for name, value in row.items()})
    shown = " ".join(f"val_{name}={figures[name]:.4f}" for name in SHOWN)
    print(f"epoch={at.epoch + 1} minutes={at.elapsed_s / 60:.1f} train_loss={loss:.4f} {shown}", flush=True)


def _save(path: Path, network: nn.Module, average: ModelEmaV3, optimizer: torch.optim.Optimizer, at: Progress) -> None:
    state = {
        "network": network.state_dict(),
        "average": average.module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "torch_rng": torch.get_rng_state(),
        "progress": vars(at),
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)  # a kill while writing leaves the former checkpoint whole


def _restore(path: Path, network: nn.Module, average: ModelEmaV3, optimizer: torch.optim.Optimizer) -> Progress:
    if not path.exists():
        raise SystemExit(f"{path} does not exist: start without --resume")
    state: dict[str, Any] = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    average.module.load_state_dict(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["torch_rng"])
    return Progress(**state["progress"])


if __name__ == "__main__":
    print(json.dumps(train(parse_options()), indent=2))
