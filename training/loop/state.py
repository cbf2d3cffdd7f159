"""A training under way: where it stands, and the parts that change from step to step."""

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.utils import ModelEmaV3
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler

from .criterion import Criterion
from .health import Health
from .setup import Training


@dataclass
class Progress:
    """Where a run stands. `epochs` are planned; the schedule's cycle began after `cycle_start` of them.

    `kept` holds (log loss, epoch) of the k best, and `tracking_id` what MLflow calls the run.
    """

    epochs: int
    epoch: int = 0
    batch: int = 0
    elapsed_s: float = 0.0
    loss_sum: float = 0.0
    best_log_loss: float = float("inf")
    best_epoch: int = 0
    cycle_start: int = 0
    kept: list[tuple[float, int]] = field(default_factory=list)
    tracking_id: str = ""

    def is_stopped(self, patience: int) -> bool:
        """Whether `patience` epochs have passed without a new lowest log loss; never if it is 0."""
        return 0 < patience <= self.epoch - self.best_epoch


@dataclass
class Run:
    """The parts of a training that change from step to step. `samples` (n, 3, size, size) are its first images."""

    training: Training
    identity: str
    average: ModelEmaV3
    optimizer: torch.optim.Optimizer
    schedule: LRScheduler
    scaler: torch.amp.GradScaler
    criterion: Criterion
    health: Health
    progress: Progress
    samples: Tensor | None = None
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
            "scaler": self.scaler,
            "health": self.health,
        }
