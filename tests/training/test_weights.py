"""Weights are matched by name, in full, and what cannot be had says so at once."""

import socket
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

import timm  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from training.network.counter import Counter  # noqa: E402
from training.network.weights import imagenet_weights, in_timm_names, read_weights  # noqa: E402


def same(network: Counter, state: dict[str, torch.Tensor]) -> bool:
    own = network.backbone.state_dict()
    return all(torch.equal(tensor, state[name]) for name, tensor in own.items())


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    return timm.create_model("test_resnet").state_dict()


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_files_of_timm_load_whatever_the_order_of_their_tensors(
    state: dict[str, torch.Tensor], tmp_path: Path, name: str
) -> None:
    backwards = dict(reversed(state.items()))
    save_file(backwards, tmp_path / name) if name.endswith("safetensors") else torch.save(backwards, tmp_path / name)
    network = Counter("test_resnet", labels=7)
    assert sorted(network.load(str(tmp_path / name))) == ["fc.bias", "fc.weight"]
    assert same(network, state)


def test_checkpoint_with_prefixes_of_parallel_training_loads(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, tmp_path / "last.pth.tar")
    network = Counter("test_resnet", labels=7)
    network.load(str(tmp_path / "last.pth.tar"))
    assert same(network, state)


def test_tensors_that_are_missing_or_left_over_are_named(state: dict[str, torch.Tensor], tmp_path: Path) -> None:
    state["extra.weight"] = state.pop("conv1.0.weight")
    torch.save(state, tmp_path / "renamed.pth")
    with pytest.raises(ValueError, match=r"it lacks conv1\.0\.weight, it also has extra\.weight"):
        Counter("test_resnet", labels=7).load(str(tmp_path / "renamed.pth"))


@pytest.mark.parametrize("name", ["broken.safetensors", "broken.pth"])
def test_broken_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"\x00<html>not found</html>")
    with pytest.raises(ValueError, match=rf"{name} holds no weights that can be read"):
        Counter("test_resnet", labels=7).load(str(tmp_path / name))


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "tf_efficientnet_lite2"])
def test_tensors_of_a_package_get_timms_names_one_by_one(backbone: str) -> None:
    """The package's tensors stand in timm's order, which is a second way to the same names."""
    network = timm.create_model(backbone)
    named = imagenet_weights(backbone, network.pretrained_cfg)
    assert list(named) == list(network.state_dict())
    network.load_state_dict(named)


def test_tensor_that_the_package_does_not_have_is_named() -> None:
    stages = list(timm.create_model("tf_efficientnet_lite0").blocks)
    with pytest.raises(ValueError, match=r"_blocks\.0\._se_reduce\.weight is no tensor"):
        in_timm_names({"_blocks.0._se_reduce.weight": torch.zeros(1)}, stages)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))


@pytest.mark.usefixtures("offline")
def test_without_a_network_the_missing_download_is_named_in_seconds() -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match=r"ImageNet weights of resnet18 cannot be downloaded .*--weights none"):
        Counter("resnet18", labels=7).load("imagenet")
    assert time.monotonic() - began < 5


@pytest.mark.usefixtures("offline")
def test_weights_that_were_downloaded_before_need_no_network(
    state: dict[str, torch.Tensor], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(state, tmp_path / "model.safetensors")
    cached = {"timm/test_resnet.r160_in1k/model.safetensors": str(tmp_path / "model.safetensors")}
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda repository, name: cached[f"{repository}/{name}"]
    )
    network = Counter("test_resnet", labels=7)
    network.load("imagenet")
    assert same(network, state)


def test_best_of_a_run_is_read_as_a_whole_network(tmp_path: Path) -> None:
    torch.save({"network": Counter("test_resnet", labels=7).state_dict(), "labels": 7}, tmp_path / "best.pt")
    state, whole = read_weights(tmp_path / "best.pt")
    assert whole
    assert "count_head.weight" in state
