"""Makes what a training works with from its options: data, network, teachers, optimizer and schedule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from timm.optim import create_optimizer_v2
from torch.optim.lr_scheduler import LRScheduler, OneCycleLR, ReduceLROnPlateau, StepLR

from ..data.bins import LABELS, LabelledBin, counts_of, digest, read_bins, training_label
from ..data.decoding import fast_pixels
from ..data.loading import FactScale, ImageLoader, fact_scale
from ..data.sampling import mix_of
from ..network.counter import Counter
from ..network.teacher import Teacher
from . import cpu
from .distributed import Processes
from .options import DataOptions, LoopOptions, Options
from .precision import Precision, choose_precision

WARM_UP = 0.12  # of the run, for the one-cycle schedule


@dataclass(frozen=True)
class Training:
    """What a run works with. `mix` (labels,) is the share of each label that it trains for.

    `images` are those of `bins`, `validation_images` those of `validation`.
    """

    options: Options
    processes: Processes
    bins: list[LabelledBin]
    validation: list[LabelledBin]
    images: ImageLoader
    validation_images: ImageLoader
    left_out: list[LabelledBin]
    mix: npt.NDArray[np.float64]
    scale: FactScale
    digests: dict[str, str]
    network: Counter
    teachers: list[Teacher]
    precision: Precision

    @property
    def prior(self) -> npt.NDArray[np.float64]:
        """The share (labels,) of each label that the network's answers assume: the mix, times the class weights."""
        if not self.options.loss.class_weights:
            return self.mix
        shares = self.mix / np.maximum(np.bincount(self.labels_of(self.bins), minlength=len(self.mix)), 1)
        return np.asarray(shares / shares.sum(), np.float64)

    @property
    def trains_facts(self) -> bool:
        """Whether the network is trained to give facts too."""
        return self.network.fact_head.weight.requires_grad

    def size_in(self, epoch: int) -> int:
        """Pixels a side in that epoch, the first being 0."""
        for size, epochs in self.options.data.grow:
            if epoch < epochs:
                return size
            epoch -= epochs
        return self.options.data.size

    def labels_of(self, bins: Sequence[LabelledBin]) -> npt.NDArray[np.int64]:
        """The training labels (n,) of bins."""
        return training_label(counts_of(bins), self.options.network.labels)

    def images_of(self, bins: Sequence[LabelledBin]) -> ImageLoader:
        """The images of bins as serving sees them. Raises ValueError when one is unreadable."""
        if bins is self.validation:
            return self.validation_images
        return load_images(bins, self.options.data, self.processes.device, cache="none")

    def autocast(self) -> torch.autocast:
        """The context in which the network and the loss are computed."""
        return self.precision.autocast(self.processes.device)


def set_up(options: Options, processes: Processes) -> Training:
    """Read the data and build the network. Raises ValueError or FileNotFoundError when one of them is wrong."""
    batch, labels = options.loop.batch, options.network.labels
    if batch % (processes.world * options.loop.accumulate):
        parts = f"{processes.world} processes in {options.loop.accumulate} parts"
        raise ValueError(f"--batch {batch} cannot be shared by {parts}: make it a multiple")
    if labels < len(LABELS):
        raise ValueError(f"--labels {labels}: networks are compared by {len(LABELS)} labels, {', '.join(LABELS)}")
    torch.manual_seed(options.loop.seed)
    bins, left_out = _training_bins(options.data)
    validation = read_bins(options.data.data, "val")[: options.data.limit]
    if len(bins) < batch:
        raise ValueError(f"{len(bins)} bins to train on are less than one batch of {batch}: lower --batch")
    mix = mix_of(training_label(counts_of(bins), labels), labels, options.data.mix)
    if unlearned := set(training_label(counts_of(validation), labels).tolist()) - set(np.flatnonzero(mix).tolist()):
        raise ValueError(
            f"val has label {min(unlearned)}, which no bin to train on has: prepare the set again, or raise --limit"
        )
    network = _network(options, processes.device)
    scale = fact_scale(bins)
    if not options.loss.fact_weight or not scale.targets(bins).isfinite().any():
        network.fact_head.requires_grad_(False)
    teachers = [Teacher(path, labels, processes.device) for path in options.loss.teacher]
    digests = {"train": digest(bins), "val": digest(validation)}
    digests |= {f"teacher-{number}": teacher.digest for number, teacher in enumerate(teachers, start=1)}
    images = load_images(bins, options.data, processes.device, decode=fast_pixels)
    validation_images = load_images(validation, options.data, processes.device)
    if processes.leads:
        print(f"train: {images}\nval: {validation_images}")
    sets = (bins, validation, images, validation_images, left_out)
    precision = choose_precision(options.loop.precision, processes.device)
    return Training(options, processes, *sets, mix, scale, digests, network, teachers, precision)


def load_images(bins: Sequence[LabelledBin], options: DataOptions, device: torch.device, **how: Any) -> ImageLoader:
    """The images of bins as the options say, unless `how` says otherwise."""
    kept: dict[str, Any] = {"device": device, "cache": options.cache, "workers": options.workers}
    return ImageLoader(bins, options.size, **kept | how)


def _training_bins(options: DataOptions) -> tuple[list[LabelledBin], list[LabelledBin]]:
    """The bins to train on, and those of the training split that are left out."""
    bins = read_bins(options.data, "train")[: options.limit]
    excluded = set(options.leave_out.read_text().split()) if options.leave_out else set()
    left_out = [one for one in bins if one.id in excluded]
    bins = [one for one in bins if one.id not in excluded]
    if options.extra:
        bins += read_bins(options.extra, "train")[: options.limit]
    return bins, left_out


def _network(options: Options, device: torch.device) -> Counter:
    """The network with the weights that it starts from, on its device."""
    chosen = options.network
    network = Counter(
        chosen.backbone,
        chosen.labels,
        dropout=chosen.dropout,
        drop_path=chosen.drop_path,
        frozen_stages=chosen.frozen_stages,
    )
    if unused := network.load(chosen.weights):
        print(f"{chosen.weights} weights: {', '.join(unused)} not used")
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    if device.type == "cpu":
        cpu.keep_freed_memory()
        cpu.slow_convolutions_in_float32(network)
    return network


def make_optimizer(network: torch.nn.Module, options: LoopOptions) -> torch.optim.Optimizer:
    """Weight decay spares biases and normalisation, as timm has it."""
    plain_momentum = options.optimizer == "sgd" and not options.nesterov
    further: dict[str, Any] = {"betas": (options.beta1, options.beta2)} if options.optimizer == "adamw" else {}
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        network,
        opt="momentum" if plain_momentum else options.optimizer,
        lr=options.lr,
        weight_decay=options.weight_decay,
        momentum=options.momentum,
        **further,
    )
    return optimizer


def make_schedule(optimizer: torch.optim.Optimizer, options: LoopOptions, steps: int, epochs: int) -> LRScheduler:
    """The learning rate over `epochs` of `steps` batches: one cycle, steps down, or halved when val stands still."""
    if options.schedule == "cosine":
        peaks = [group["lr"] for group in optimizer.param_groups]
        return OneCycleLR(optimizer, peaks, total_steps=steps * epochs, pct_start=WARM_UP, cycle_momentum=False)
    if options.schedule == "step":
        return StepLR(optimizer, options.step_epochs * steps or max(1, steps * epochs // 3), options.gamma)
    return ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
