"""What tuning may change, here and in the cloud: names are options of `training.train`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Continuous:
    """Any number from `low` to `high`, drawn on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Choice:
    """One of several values."""

    values: tuple[str | int, ...]


SPACE: dict[str, Continuous | Choice] = {
    "backbone": Choice(("tf_efficientnet_lite0", "tf_efficientnet_lite2", "resnet18")),
    "size": Choice((192, 224, 256)),
    "batch": Choice((32, 64, 128)),
    "lr": Continuous(1e-4, 3e-3, log=True),
    "momentum": Continuous(0.8, 0.98),
    "beta1": Continuous(0.85, 0.95),
    "beta2": Continuous(0.95, 0.9995),
    "weight_decay": Continuous(1e-3, 0.2, log=True),
    "loss": Choice(("cross-entropy", "focal", "cumulative", "corn")),
}
OPTIMIZERS = ("adamw", "sgd")
ACTS_UNDER = {"momentum": "sgd", "beta1": "adamw", "beta2": "adamw"}
"""Options that act under one optimizer alone."""
OBJECTIVE = "log_loss"
"""Of the figures on val, the one that a trial makes small."""
