"""Restores best.pt from an artifact, so that a training can continue from the served network, or be taught by it.

    python -m training.restore --artifact model/artifact --data SET --out runs/served
    python -m training.train --data SET --weights runs/served/best.pt --size 240 --lr 4e-4 --out runs/next

Export folds each batch normalisation into the convolution before it. It is put back so that no answer changes: mean and
variance are those of the convolution's output for images of SET. The convolution itself gets the scale it had before
training. That changes no answer either, but decides how fast it learns: van Laarhoven (2017), "L2 Regularization versus
Batch and Weight Normalization".
"""

import argparse
import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from tqdm import tqdm

from inventory.alert_text import one_line
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .data.bins import LabelledBin, read_bins
from .data.loading import ImageLoader
from .export import PARITY_BINS, check_parity, served
from .network import checkpoints
from .network.counter import Counter

KEPT = ("backbone", "loss", "soft_width", "size", "epoch", "facts", "data")
"""Of counter.json, under the same names in best.pt."""
IMAGES, BATCH = 256, 32
SEED = 0
Norm = Any
"""A _BatchNorm; torch types its statistics and weights as optional."""
Layer = tuple[nn.Conv2d, Norm]


def restore(artifact: Path, data: Path, out: Path, weights: str = "imagenet") -> Path:
    """Write best.pt under `out`, which answers as `artifact` does; returns its path.

    `data` is the set it was trained on, or one like it; `weights` are those that its training had begun with, as
    Counter.load takes them. Raises model.predictor.BrokenArtifactError when the artifact cannot be served, ValueError
    when it holds no network of its backbone, or was made before artifacts recorded their facts, RuntimeError when the
    restored network answers differently.
    """
    predictor = Predictor(artifact)
    about: dict[str, Any] = json.loads((artifact / "counter.json").read_text())
    if missing := {*KEPT, "metrics"} - set(about):
        raise ValueError(f"{artifact / 'counter.json'} lacks {', '.join(sorted(missing))}: export its run again")
    graph = onnx.load(artifact / "counter.onnx").graph
    tensors = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in graph.initializer}
    try:
        names = ("count_head", "fact_head") if about["facts"] else ("count_head",)
        heads = {name: tensors[f"trained.{name}"] for head in names for name in (f"{head}.weight", f"{head}.bias")}
        folded = [[tensors[name] for name in node.input[1:]] for node in graph.node if node.op_type == "Conv"]
    except KeyError as error:
        raise ValueError(f"{artifact} was not made by training.export ({error} is missing)") from error
    network = Counter(about["backbone"], len(heads["count_head.bias"]))
    network.load(weights)
    layers = _layers(network)
    if [conv.weight.shape for conv, _ in layers] != [weight.shape for weight, *_ in folded]:
        raise ValueError(f"{artifact} does not hold a {about['backbone']} whose normalisations were folded")
    network.load_state_dict(heads, strict=False)
    scales = [conv.weight.detach().flatten(1).norm(dim=1) for conv, _ in layers]
    for (conv, norm), (weight, bias) in zip(layers, folded, strict=True):
        _unfold(conv, norm, weight, bias)
    bins = read_bins(data, "train")
    moments = _moments(network.eval(), layers, bins, predictor.size)
    for (conv, norm), scale, moment in zip(layers, scales, moments, strict=True):
        _rescale(conv, norm, scale, *moment)
    best = {name: about[name] for name in KEPT} | {"val": about["metrics"]["val"], "mix": about["trained_prior"]}
    best |= {"labels": network.count_head.out_features, "run": predictor.name, "network": network.state_dict()}
    check_parity(served(best), predictor, bins[:PARITY_BINS])
    path = out / "best.pt"
    checkpoints.save(path, best)
    return path


def _layers(network: Counter) -> list[Layer]:
    """Each convolution with the batch normalisation after it, in order."""
    parts = [one for one in network.backbone.modules() if isinstance(one, nn.Conv2d | _BatchNorm)]
    convolutions, norms = parts[::2], parts[1::2]
    in_turn = all(isinstance(one, nn.Conv2d) for one in convolutions) and len(convolutions) == len(norms)
    if not in_turn or not all(isinstance(one, _BatchNorm) for one in norms):
        raise ValueError(f"{network.backbone_name} does not normalise each convolution: it cannot be restored")
    return list(zip(convolutions, norms, strict=True))  # type: ignore[arg-type]


@torch.no_grad()
def _unfold(conv: nn.Conv2d, norm: Norm, weight: Tensor, bias: Tensor) -> None:
    """Put the folded weights in place, and make the normalisation only add the bias."""
    conv.weight.copy_(weight)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    norm.bias.copy_(bias)


@torch.inference_mode()
def _moments(
    network: Counter, layers: Sequence[Layer], bins: Sequence[LabelledBin], size: int
) -> list[tuple[Tensor, Tensor]]:
    """Mean and variance (channels,) of each convolution's output for augmented images, as in training."""
    seen: list[list[Tensor]] = [[] for _ in layers]

    def add(of_layer: list[Tensor], _: nn.Module, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3), correction=0)
        of_layer.append(torch.stack((mean, variance + mean**2)))

    hooks = [norm.register_forward_pre_hook(partial(add, one)) for one, (_, norm) in zip(seen, layers, strict=True)]
    order = np.random.default_rng(SEED).permutation(len(bins)).tolist()[:IMAGES]
    plan = [list(enumerate(order[start : start + BATCH], start)) for start in range(0, len(order), BATCH)]
    for batch in tqdm(
        ImageLoader(bins, size).batches(plan, (SEED,)), "restoring", len(plan), leave=False, disable=None
    ):
        network(network.normalise(batch.varied))
    for hook in hooks:
        hook.remove()
    means = [torch.stack(of_layer).mean(0) for of_layer in seen]
    return [(mean, (square - mean**2).clamp(min=0)) for mean, square in means]


@torch.no_grad()
def _rescale(conv: nn.Conv2d, norm: Norm, scale: Tensor, mean: Tensor, variance: Tensor) -> None:
    """Bring each filter to the norm `scale`, and let the normalisation compensate for that and for its own statistics.

    A filter of norm 0, now or before training, stays as it is."""
    ratio = scale / conv.weight.flatten(1).norm(dim=1)
    ratio = torch.where(ratio.isfinite() & (ratio > 0), ratio, 1)
    conv.weight.mul_(ratio.view(-1, 1, 1, 1))
    norm.running_mean.copy_(ratio * mean)
    norm.running_var.copy_(ratio**2 * variance)
    norm.weight.copy_((norm.running_var + norm.eps).sqrt() / ratio)
    norm.bias.add_(mean)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring; `arguments` instead of the process's own."""
    parser = argparse.ArgumentParser(description="Turn an artifact back into weights that training.train takes.")
    parser.add_argument("--artifact", type=Path, default=ARTIFACT)
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument(
        "--weights", default="imagenet", help="the weights that its training began with, as for training.train"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for best.pt")
    options = parser.parse_args(arguments)
    try:
        print(restore(options.artifact, options.data, options.out, options.weights))
    except (BrokenArtifactError, FileNotFoundError, RuntimeError, ValueError) as error:
        sys.exit(f"restore: {one_line(error)}")


if __name__ == "__main__":
    main()
