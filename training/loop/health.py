"""Health rules: signs of a training that goes wrong, each with what to try. After SageMaker Debugger's rules.

    rule                  Debugger's                  fires when
    loss_not_finite       ExplodingTensor             the loss of a step is NaN or infinite
    loss_not_decreasing   LossNotDecreasing           the training loss has hardly fallen for some epochs, nor has that
                                                      on val: what teachers say leaves little of the former to fall
    overfitting           Overfit                     val loss rises while training loss falls, or is far above it
    overtraining          Overtraining                val loss has not improved for some epochs
    vanishing_gradient    VanishingGradient           a layer's gradient is tiny beside its weights, at every inspection
    exploding_gradient    ExplodingTensor             the norm of all gradients is huge, NaN or infinite
    dead_layer            DeadRelu                    nearly all channels behind a ReLU are 0, at every inspection
    poor_initialisation   PoorWeightInitialization    at the first step units of a layer are all the same, or what
                                                      goes into a layer is the same for all images, or is huge
    class_collapse        ClassImbalance, Confusion   nearly all of val gets one label, or few labels are used
    input_starvation      IOBottleneck                steps wait for data

Gradients and activations are inspected at few steps (`Thresholds.every_steps`); the other steps cost nothing.
Frozen parameters, and activations that no trained parameter has a part in, are not judged.
"""

import math
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook
from torch.nn.parallel import DistributedDataParallel
from torch.utils.hooks import RemovableHandle

WEIGHT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
RECTIFIERS = (nn.ReLU, nn.ReLU6)
WORSE = 1.5  # times as severe as last reported is worth another finding
STOPPING_RULES = ("loss_not_finite", "loss_not_decreasing", "overtraining", "class_collapse")
"""Rules after which going on is a waste of time."""
TINY = 1e-12
IMAGES = 8  # of a batch, to compare what a layer makes of them


@dataclass(frozen=True)
class Thresholds:
    """When to inspect, and where each rule begins."""

    every_steps: int = 50
    """Between two inspections, after the first steps."""
    first_steps: int = 5
    """All of them are inspected."""
    stalled_epochs: int = 3
    min_fall: float = 0.005
    """loss_not_decreasing: the losses fell by a smaller share in `stalled_epochs`."""
    overfit_rise: float = 0.03
    overfit_gap: float = 0.25
    """overfitting: val loss less its lowest, training loss having fallen since; or less training loss, which is below
    ln(labels), the loss of guessing. Both as a share of that."""
    stale_epochs: int = 5
    min_improvement: float = 0.001
    """overtraining: no epoch of the last `stale_epochs` lowered val loss by this share."""
    vanishing_ratio: float = 1e-7
    """vanishing_gradient: norm of a layer's gradient over norm of its weights; a step of 1e-8 is lost in float32."""
    exploding_norm: float = 1e4
    """exploding_gradient: norm of all gradients, before clipping, of a loss that is a mean over the batch.
    EfficientNet-Lite0 begins at 1.4e3 from random weights."""
    dead_share: float = 0.9
    """dead_layer: share of a layer's channels that are 0 all over the batch."""
    min_spread: float = 1e-3
    """poor_initialisation: standard deviation between images over size; bfloat16 tells 4e-3 apart."""
    max_activation: float = 1e4
    """poor_initialisation: root mean square of what goes into a layer; float16 ends at 65504."""
    top_label_share: float = 0.8
    used_labels_share: float = 0.3
    """class_collapse: more of val gets one label, or a smaller share of the labels is used at all."""
    wait_share: float = 0.2
    """input_starvation: mean share of a step's time."""


@dataclass(frozen=True)
class Finding:
    """A rule that fired at an epoch: the figure, where the rule begins, and what was seen and what to try."""

    rule: str
    epoch: int
    value: float
    threshold: float
    message: str


@dataclass
class _Seen:
    """What a run has shown so far. Figures of inspections are of the latest epoch that had one."""

    labels: int
    train_losses: list[float] = field(default_factory=list)
    val_losses: list[float] = field(default_factory=list)
    predicted: list[int] = field(default_factory=list)  # how often each label, in the latest validation
    steps: int = 0
    lost_steps: int = 0  # whose loss is not finite
    waited: float = 0.0  # wait shares added up
    inspected: bool = False  # in this epoch
    gradient_norm: float = 0.0
    gradients: dict[str, float] = field(default_factory=dict)  # layer to largest gradient over weights
    dead: dict[str, float] = field(default_factory=dict)  # layer to smallest share of channels at 0
    identical: list[str] = field(default_factory=list)  # layers whose units start and stay the same
    spread: dict[str, float] = field(default_factory=dict)  # layer to how far its first inputs differ
    size: dict[str, float] = field(default_factory=dict)  # layer to root mean square of its first input


Symptom = tuple[float, float, str]


def _loss_not_finite(seen: _Seen, _: Thresholds) -> Symptom | None:
    if not seen.lost_steps and all(map(math.isfinite, seen.train_losses[-1:] + seen.val_losses[-1:])):
        return None
    where = f"the loss of {seen.lost_steps} of {seen.steps} steps" if seen.lost_steps else "the mean loss"
    message = f"{where} was NaN or infinite: lower the learning rate, clip gradients, or look for broken images"
    return float(seen.lost_steps), 0.0, message


def _loss_not_decreasing(seen: _Seen, limits: Thresholds) -> Symptom | None:
    train, val, epochs = seen.train_losses, seen.val_losses, limits.stalled_epochs
    if len(train) <= epochs or not all(map(math.isfinite, train + val)):
        return None
    (before, after), on_val = ((min(losses[:-epochs]), min(losses[-epochs:])) for losses in (train, val))
    fall, fall_on_val = (1 - low / max(high, TINY) for high, low in ((before, after), on_val))
    if max(fall, fall_on_val) >= limits.min_fall:
        return None
    message = f"the training loss went from {before:.4f} to {after:.4f} in {epochs} epochs, and on val no more:"
    message += " change the learning rate by 3 or 10 times or unfreeze layers; stop if that is as low as it can get"
    return fall, limits.min_fall, message


def _overfitting(seen: _Seen, limits: Thresholds) -> Symptom | None:
    train, val = seen.train_losses, seen.val_losses
    if not val or not all(map(math.isfinite, train + val)):
        return None
    best = int(np.argmin(val))
    cure = "vary the images more, add dropout, stochastic depth or weight decay, or train for fewer epochs"
    guessing = math.log(seen.labels)
    rise = (val[-1] - val[best]) / guessing
    if rise > limits.overfit_rise and train[-1] < train[best]:
        message = f"val loss rose from {val[best]:.4f} to {val[-1]:.4f} while training loss fell to {train[-1]:.4f}"
        return rise, limits.overfit_rise, f"{message}: {cure}"
    gap = (val[-1] - train[-1]) / guessing
    if gap > limits.overfit_gap and train[-1] < guessing:
        message = f"val loss {val[-1]:.4f} is far above training loss {train[-1]:.4f}"
        return gap, limits.overfit_gap, f"{message}: {cure}"
    return None


def _overtraining(seen: _Seen, limits: Thresholds) -> Symptom | None:
    best, stale = math.inf, 0
    for loss in seen.val_losses:
        improved = loss < best * (1 - limits.min_improvement)
        best, stale = (loss, 0) if improved else (best, stale + 1)
    if stale < limits.stale_epochs:
        return None
    message = f"val loss has not gone below {best:.4f} for {stale} epochs: stop, or plan fewer epochs so that the"
    return float(stale), float(limits.stale_epochs), f"{message} learning rate comes down earlier"


def _vanishing_gradient(seen: _Seen, limits: Thresholds) -> Symptom | None:
    if not math.isfinite(seen.gradient_norm):
        return None
    faint = [name for name, ratio in seen.gradients.items() if ratio < limits.vanishing_ratio]
    if not faint:
        return None
    message = f"hardly any gradient reaches {_listed(faint, of=len(seen.gradients))}: use normalisation layers,"
    message += " residual connections or ReLU in place of sigmoid and tanh, or look for what cuts the layer off"
    return min(seen.gradients.values()), limits.vanishing_ratio, message


def _exploding_gradient(seen: _Seen, limits: Thresholds) -> Symptom | None:
    if seen.gradient_norm <= limits.exploding_norm:
        return None
    message = f"the norm of the gradients reached {seen.gradient_norm:.3g}: lower the learning rate or warm it up for"
    return seen.gradient_norm, limits.exploding_norm, f"{message} longer, clip gradients, check the initial weights"


def _dead_layer(seen: _Seen, limits: Thresholds) -> Symptom | None:
    dead = {name: share for name, share in seen.dead.items() if share >= limits.dead_share}
    if not dead:
        return None
    named = _listed(sorted(dead, key=dead.__getitem__, reverse=True), of=len(seen.dead))
    message = f"nearly all channels are 0 after {named}: lower the learning rate, look at the biases, or use LeakyReLU"
    return max(dead.values()), limits.dead_share, f"{message} or SiLU"


def _poor_initialisation(seen: _Seen, limits: Thresholds) -> Symptom | None:
    cure = "start from pretrained weights, or initialise with nn.init.kaiming_normal_"
    if seen.identical:
        message = f"all units of {_listed(seen.identical)} start the same and get the same gradients, so they stay so"
        return float(len(seen.identical)), 0.0, f"{message}: {cure}"
    flat = [name for name, spread in seen.spread.items() if spread < limits.min_spread]
    if flat:
        message = f"at the first step the inputs of {_listed(flat)} were the same whatever the image"
        return min(seen.spread.values()), limits.min_spread, f"{message}: {cure}"
    huge = [name for name, size in seen.size.items() if not size <= limits.max_activation]
    if huge:
        message = f"at the first step the inputs of {_listed(huge)} were huge"
        return max(seen.size.values()), limits.max_activation, f"{message}: {cure}, and normalise images"
    return None


def _class_collapse(seen: _Seen, limits: Thresholds) -> Symptom | None:
    total = sum(seen.predicted)
    if total < 2 * seen.labels:
        return None
    cure = "balance the sampler or weight the loss by class, lower the learning rate, check the labels"
    top = int(np.argmax(seen.predicted))
    share = seen.predicted[top] / total
    if share > limits.top_label_share:
        return share, limits.top_label_share, f"{share:.0%} of val is given label {top}: {cure}"
    used = sum(times > 0 for times in seen.predicted)
    if used / seen.labels < limits.used_labels_share:
        message = f"val is given {used} of {seen.labels} labels: {cure}"
        return used / seen.labels, limits.used_labels_share, message
    return None


def _input_starvation(seen: _Seen, limits: Thresholds) -> Symptom | None:
    share = seen.waited / max(1, seen.steps)
    if share <= limits.wait_share:
        return None
    message = f"steps wait for data {share:.0%} of their time: use more loader workers, store images at training size"
    return share, limits.wait_share, f"{message}, or vary them with cheaper operations; a profile says which"


RULES: dict[str, Callable[[_Seen, Thresholds], Symptom | None]] = {
    "loss_not_finite": _loss_not_finite,
    "loss_not_decreasing": _loss_not_decreasing,
    "overfitting": _overfitting,
    "overtraining": _overtraining,
    "vanishing_gradient": _vanishing_gradient,
    "exploding_gradient": _exploding_gradient,
    "dead_layer": _dead_layer,
    "poor_initialisation": _poor_initialisation,
    "class_collapse": _class_collapse,
    "input_starvation": _input_starvation,
}


class Health:
    """Watches one training from its loop; in a distributed run on one process only."""

    def __init__(self, network: nn.Module, labels: int, thresholds: Thresholds = Thresholds()) -> None:
        """Watch `network`, wrapped for distributed training or not, which tells `labels` labels apart."""
        bare = network.module if isinstance(network, DistributedDataParallel) else network
        self.findings: list[Finding] = []
        self._network = bare
        self._thresholds = thresholds
        judged = WEIGHT_LAYERS + RECTIFIERS
        self._names: dict[nn.Module, str] = {
            m: name or "network" for name, m in bare.named_modules() if isinstance(m, judged)
        }
        self._seen = _Seen(labels)
        self._severity: dict[str, float] = {}  # of the rules that hold now, when last reported
        self._hook: RemovableHandle | None = None
        self._dead: dict[str, Tensor] = {}
        self._first_inputs: dict[str, tuple[Tensor, Tensor]] = {}  # size and spread
        self._watch()

    def after_backward(self, step: int) -> None:
        """Inspect step `step` of the run (the first is 0) if it is due: gradients are computed, and not clipped."""
        self._unwatch()
        if self._is_due(step):
            self._inspect(first=step == 0)
        self._dead, self._first_inputs = {}, {}
        if self._is_due(step + 1):
            self._watch()

    def after_step(self, loss: float, wait_share: float) -> None:
        """Note a step's loss and the share (0..1) of its time that was spent waiting for data."""
        self._seen.steps += 1
        self._seen.lost_steps += not math.isfinite(loss)
        self._seen.waited += wait_share
        if self._dead or self._first_inputs:  # recorded, but not inspected: another process reports
            self._unwatch()

    def after_epoch(
        self, epoch: int, train_loss: float, val_loss: float, val_labels_predicted: npt.NDArray[np.int64]
    ) -> list[Finding]:
        """Judge the epoch by its mean losses and the labels (n,) that val was given; returns the new findings.

        A rule that holds on is reported again when it got clearly worse, or when it holds again after it did not.
        """
        seen = self._seen
        seen.train_losses.append(float(train_loss))
        seen.val_losses.append(float(val_loss))
        seen.predicted = np.bincount(np.asarray(val_labels_predicted, np.int64), minlength=seen.labels).tolist()
        new = [finding for rule in RULES if (finding := self._judge(rule, epoch))]
        self.findings += new
        seen.steps, seen.lost_steps, seen.waited, seen.inspected = 0, 0, 0.0, False
        return new

    def state_dict(self) -> dict[str, Any]:
        """All that a resumed run needs to report the same, in what JSON holds."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "severity": dict(self._severity),
            "seen": asdict(self._seen),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict` of the run before."""
        self.findings = [Finding(**finding) for finding in state["findings"]]
        self._severity = dict(state["severity"])
        self._seen = _Seen(**asdict(_Seen(**state["seen"])))  # asdict copies the lists

    def _judge(self, rule: str, epoch: int) -> Finding | None:
        symptom = RULES[rule](self._seen, self._thresholds)
        if symptom is None:
            self._severity.pop(rule, None)
            return None
        value, threshold, message = symptom
        severity = max(value / threshold, threshold / value) if value > 0 and threshold > 0 else math.inf
        if severity <= WORSE * self._severity.get(rule, 0.0):
            return None
        self._severity[rule] = severity
        return Finding(rule, epoch, value, threshold, message)

    def _is_due(self, step: int) -> bool:
        return step < self._thresholds.first_steps or step % self._thresholds.every_steps == 0

    def _watch(self) -> None:
        """Hear of every layer until the next backward pass.

        A hook of torch, not of the network's modules, so that copies of the network (a running average, a file)
        have no part of it.
        """
        note = weakref.WeakMethod(self._note)

        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if alive := note():
                alive(module, inputs, output)

        self._unwatch()
        self._hook = register_module_forward_hook(hook)

    def _unwatch(self) -> None:
        if self._hook:
            self._hook.remove()
            self._hook = None

    def __del__(self) -> None:
        if getattr(self, "_hook", None):
            self._unwatch()

    @torch.no_grad()
    def _note(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        name = self._names.get(module)
        if name is None or not output.requires_grad:
            return
        if isinstance(module, RECTIFIERS):
            channels = 1 if output.ndim == 4 else output.ndim - 1
            others = [axis for axis in range(output.ndim) if axis != channels]
            share = (output.sum(others) == 0).float().mean()  # nothing is negative here; faster than amax
            self._dead[name] = torch.maximum(self._dead.get(name, share), share)  # a module may be used twice
        elif not self._seen.steps and not self._seen.train_losses and len(inputs[0]) > 1:
            some = inputs[0][:IMAGES].float()
            self._first_inputs[name] = some.square().mean().sqrt(), some.std(0).square().mean().sqrt()

    @torch.no_grad()
    def _inspect(self, first: bool) -> None:
        seen = self._seen
        if not seen.inspected:
            seen.inspected, seen.gradient_norm, seen.gradients, seen.dead = True, 0.0, {}, {}
        given = [p.grad for p in self._network.parameters() if p.requires_grad and p.grad is not None]
        if given:
            norm = torch.nn.utils.get_total_norm(given).item()
            seen.gradient_norm = max(seen.gradient_norm, norm) if math.isfinite(norm) else math.inf
        layers = ((name, layer) for layer, name in self._names.items() if isinstance(layer, WEIGHT_LAYERS))
        weights = {name: layer.weight for name, layer in layers if layer.weight.grad is not None}
        if first:
            self._inspect_start(weights)
        else:  # residual branches that start at zero pass no gradient in the first step
            ratios = [_gradient(w).norm() / (w.norm() + TINY) for w in weights.values()]
            for name, ratio in zip(weights, _numbers(ratios), strict=True):
                seen.gradients[name] = max(seen.gradients.get(name, 0.0), ratio)
        for name, share in zip(self._dead, _numbers(self._dead.values()), strict=True):
            seen.dead[name] = min(seen.dead.get(name, 1.0), share)

    def _inspect_start(self, weights: dict[str, Tensor]) -> None:
        seen = self._seen
        seen.identical = [name for name, weight in weights.items() if _all_rows_alike(weight)]
        sizes = _numbers(size for size, _ in self._first_inputs.values())
        spreads = _numbers(spread for _, spread in self._first_inputs.values())
        seen.size = dict(zip(self._first_inputs, sizes, strict=True))
        seen.spread = {
            name: spread / max(size, TINY)
            for name, size, spread in zip(self._first_inputs, sizes, spreads, strict=True)
        }


def _all_rows_alike(weight: Tensor) -> bool:
    """Whether the units of a layer have equal weights and equal gradients, up to rounding."""
    if len(weight) < 2:
        return False
    rows, gradients = weight.flatten(1).float(), _gradient(weight).flatten(1).float()
    size = rows.abs().amax()
    if (rows - rows[0]).abs().amax() > 1e-6 * size:
        return False
    allowed = torch.maximum(1e-3 * gradients.abs().amax(), 1e-7 * size)
    return bool((gradients - gradients[0]).abs().amax() <= allowed)


def _gradient(weight: Tensor) -> Tensor:
    """The gradient of a weight that has one."""
    return torch.empty(0) if weight.grad is None else weight.grad


def _numbers(scalars: Iterable[Tensor]) -> list[float]:
    """The values of tensors of one number each, fetched from their device at once."""
    return torch.stack(together).tolist() if (together := list(scalars)) else []


def _listed(layers: Sequence[str], of: int | None = None, shown: int = 3) -> str:
    number = f"{len(layers)} of {of} layers" if of else "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
    return f"{number} ({', '.join(layers[:shown])}{', ...' if len(layers) > shown else ''})"


def report(findings: Iterable[Finding]) -> str:
    """The findings as text for the end of a run, a line each."""
    lines = [
        f"  epoch {one.epoch}: {one.rule} {one.value:.3g} (begins at {one.threshold:.3g}): {one.message}"
        for one in findings
    ]
    return "\n".join(("Health:", *lines)) if lines else "Health: no rule fired."
