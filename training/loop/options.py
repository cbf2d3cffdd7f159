"""The options of a training, by group. Each field holds an option's default, its help and how its text is read."""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from ..data.augment import KINDS
from ..data.cache import CACHES
from ..data.sampling import MIXES
from ..network.losses import LOSSES

Sizes = tuple[tuple[int, int], ...]


def truth(text: str) -> bool:
    """The value of a switch: hyperparameters of a job always have one."""
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")
    return text.lower() == "true"


def sizes(text: str) -> Sizes:
    """`160:4,192:5` is four epochs at 160 pixels, then five at 192."""
    pairs = (part.split(":") for part in text.split(",") if part)
    return tuple((int(size), int(epochs)) for size, epochs in pairs)


def _option(default: Any, text: str = "", *, identifies: bool = True, **reading: Any) -> Any:
    """A field of a group. `reading` are keywords of argparse's add_argument.

    An option with `identifies=False` may differ when a run is resumed: it says where things are or when to stop.
    """
    if isinstance(default, bool):
        reading = {"type": truth, "nargs": "?", "const": True, "metavar": "true|false"}
    elif isinstance(default, int | float):
        reading.setdefault("type", type(default))
    return field(default=default, metadata={"help": text, "identifies": identifies, "reading": reading})


@dataclass(frozen=True)
class DataOptions:
    """Which bins are read, and how they are shown."""

    data: Path = _option(MISSING, "set that training.prepare made", identifies=False, type=Path)
    extra: Path | None = _option(None, "rendered bins that join train", identifies=False, type=Path)
    leave_out: Path | None = _option(
        None, "file of ids, one a line: not trained on, evaluated at the end", identifies=False, type=Path
    )
    size: int = _option(224, "images are resized to this many pixels a side")
    grow: Sizes = _option((), "first epochs at other sizes", type=sizes, metavar="SIZE:EPOCHS,...")
    mix: str = _option("data", "how frequent each label is made", choices=MIXES)
    vary: str = _option(
        "camera", "all a camera may change, flips, or a policy of torchvision's and flips", choices=KINDS
    )
    limit: int | None = _option(None, "only the first so many bins of each split: a quick try", type=int)
    workers: int | None = _option(
        None,
        "processes that decode images; 0: the training one; unless set, by cores and device",
        identifies=False,
        type=int,
    )
    cache: str = _option(
        "auto", "where decoded images are held; auto: where they fit", identifies=False, choices=CACHES
    )


@dataclass(frozen=True)
class NetworkOptions:
    """The network that is trained."""

    backbone: str = _option("tf_efficientnet_lite2", "any of timm's: resnet18, resnet50 ...")
    weights: str = _option("imagenet", "'imagenet', 'none' (random) or a file, as best.pt of a run")
    frozen_stages: int = _option(0, "leading stages that stay as loaded; -1: all")
    labels: int = _option(11, "labels in training, the last one open")
    dropout: float = _option(0.3)
    drop_path: float = _option(0.2, "stochastic depth")


@dataclass(frozen=True)
class LossOptions:
    """What is minimised."""

    loss: str = _option("cross-entropy", choices=tuple(LOSSES))
    soft_width: float = _option(0.6, "of Gaussian targets, in labels; 0: one-hot")
    label_smoothing: float = _option(0.0)
    class_weights: bool = _option(False, "rare labels weigh more")
    mixup: float = _option(0.0, "share of batches whose images are mixed in pairs")
    cutmix: float = _option(0.0, "share of batches whose images get a piece of another each")
    teacher: tuple[Path, ...] = _option(
        (), "best.pt of other runs: answers join the labels", identifies=False, type=Path, nargs="+"
    )
    teacher_share: float = _option(0.5, "of the teachers' mean answer in a target")
    fact_weight: float = _option(0.15, "of the loss of the items' volume and weight")


@dataclass(frozen=True)
class LoopOptions:
    """How the network is fitted."""

    epochs: int = _option(8, "with --resume, more of them extend a run that has ended", identifies=False)
    batch: int = _option(64, "over all processes")
    optimizer: str = _option("adamw", choices=("adamw", "sgd"))
    lr: float = _option(8e-4)
    momentum: float = _option(0.9, "of sgd")
    nesterov: bool = _option(True, "Nesterov momentum, with sgd")
    beta1: float = _option(0.9, "of adamw, for the mean of gradients")
    beta2: float = _option(0.999, "of adamw, for the mean of their squares")
    weight_decay: float = _option(0.05)
    schedule: str = _option("cosine", choices=("cosine", "step", "plateau"))
    step_epochs: int = _option(0, "epochs of a step of the step schedule; 0: a third of the run")
    gamma: float = _option(0.1, "factor of the learning rate at each step of the step schedule")
    clip_gradient_norm: float = _option(5.0, "largest norm of the gradients; 0: any")
    accumulate: int = _option(1, "parts of a batch, whose gradients are added up: where memory is short")
    ema_decay: float = _option(0.998)
    precision: str = _option("auto", "auto: by what the device computes", choices=("auto", "bf16", "fp16", "fp32"))
    seed: int = _option(0)
    patience: int = _option(0, "stop after so many epochs without a lower log loss on val; 0: never", identifies=False)
    keep_best: int = _option(1, "weights of so many best epochs are kept", identifies=False)
    stop_when_unhealthy: bool = _option(False, "end where going on is a waste", identifies=False)
    profile: bool = _option(False, "trace a few steps and stop", identifies=False)


@dataclass(frozen=True)
class OutputOptions:
    """Where a run leaves its files."""

    out: Path = _option(MISSING, "folder of the run", identifies=False, type=Path)
    model: Path | None = _option(None, "folder for best.pt, if another", identifies=False, type=Path)
    checkpoints: Path | None = _option(None, "folder for last.pt, if another", identifies=False, type=Path)
    resume: bool = _option(False, "go on where it was killed", identifies=False)
    mlflow: str | None = _option(
        None, "track the run on this server of MLflow: http://..., sqlite:///FILE", identifies=False
    )

    @property
    def best(self) -> Path:
        """The file of the best epoch's weights."""
        return (self.model or self.out) / "best.pt"

    @property
    def last(self) -> Path:
        """The checkpoint that a resumed run begins with."""
        return (self.checkpoints or self.out) / "last.pt"


@dataclass(frozen=True)
class Options:
    """All options of a training."""

    data: DataOptions
    network: NetworkOptions
    loss: LossOptions
    loop: LoopOptions
    output: OutputOptions

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "Options":
        """The options with these values, by name; every other option has its default."""
        groups = {
            name: group(**{one.name: values[one.name] for one in fields(group) if one.name in values})
            for name, group in option_groups()
        }
        return cls(**groups)

    def values(self) -> dict[str, Any]:
        """The value of each option, by name."""
        return {one.name: getattr(getattr(self, name), one.name) for name, one in option_fields()}

    def identity(self) -> dict[str, Any]:
        """The values that a resumed run shares with the run that it continues."""
        values = self.values()
        return {one.name: values[one.name] for _, one in option_fields() if one.metadata["identifies"]}


def option_groups() -> list[tuple[str, type[Any]]]:
    """The groups of Options, by name."""
    return list(get_type_hints(Options).items())


def option_fields() -> Iterator[tuple[str, "Field[Any]"]]:
    """Every option with the name of its group."""
    for name, group in option_groups():
        for one in fields(group):
            yield name, one
