"""Backbones by name, frozen as far as asked, with weights that fit."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training.network.counter import Counter  # noqa: E402


@pytest.mark.parametrize("backbone", ["tf_efficientnet_lite0", "resnet18", "resnet34", "resnet50", "resnet101"])
def test_published_backbones_answer_counts_and_facts(backbone: str) -> None:
    counts, facts = Counter(backbone, labels=7).eval()(torch.zeros(1, 3, 64, 64))
    assert (counts.shape, facts.shape) == ((1, 7), (1, 3))


def test_frozen_stages_keep_weights_and_statistics() -> None:
    network = Counter("test_resnet", labels=4, frozen_stages=2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.1)
    counts, facts = network(torch.randn(8, 3, 64, 64))
    (counts.square().mean() + facts.square().mean()).backward()
    optimizer.step()
    changed = {
        name.split(".")[1] for name, value in network.state_dict().items() if not torch.equal(value, before[name])
    }
    assert not any(name.startswith(("conv1", "bn1", "layer1")) for name in changed)
    assert "layer4" in changed


def test_all_frozen_leaves_the_heads_to_train() -> None:
    network = Counter("test_resnet", labels=4, frozen_stages=-1)
    trained = {name.split(".")[0] for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert trained == {"count_head", "fact_head"}


def test_imagenet_weights_come_from_their_package() -> None:
    network = Counter("tf_efficientnet_lite0", labels=7)
    before = network.backbone.conv_stem.weight.clone()
    network.load("imagenet")
    assert not torch.equal(network.backbone.conv_stem.weight, before)


def test_training_may_go_on_from_the_weights_of_another_run(tmp_path: Path) -> None:
    former = Counter("test_resnet", labels=7)
    torch.save({"network": former.state_dict(), "labels": 7}, tmp_path / "best.pt")
    network = Counter("test_resnet", labels=7)
    network.load(str(tmp_path / "best.pt"))
    assert torch.equal(network.count_head.weight, former.count_head.weight)
    with pytest.raises(ValueError, match="same --backbone and --labels"):
        Counter("test_resnet", labels=8).load(str(tmp_path / "best.pt"))


def test_weights_of_another_architecture_are_refused(tmp_path: Path) -> None:
    torch.save(Counter("test_efficientnet", labels=4).backbone.state_dict(), tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt does not hold the weights of test_resnet"):
        Counter("test_resnet", labels=4).load(str(tmp_path / "other.pt"))
    with pytest.raises(ValueError, match="'imagenet', 'none' or a file"):
        Counter("test_resnet", labels=4).load("nowhere.pt")


def test_unknown_backbone_is_named_with_its_neighbours() -> None:
    with pytest.raises(ValueError, match=r"name one of its models \(.*resnet"):
        Counter("resnet19", labels=4)
