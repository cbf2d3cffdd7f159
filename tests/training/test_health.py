"""Each health rule against a tiny training that truly goes wrong, and a healthy one that fires none."""

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

import torch.distributed as dist  # noqa: E402
from timm import create_model  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.modules import module as torch_module  # noqa: E402

from training.loop.health import Finding, Health, Thresholds, report  # noqa: E402

LABELS = 4
VARIED = np.arange(40) % LABELS


@pytest.fixture(autouse=True)
def repeatable() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


def multilayer(activation: Callable[[], nn.Module] = nn.ReLU, depth: int = 2) -> nn.Sequential:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), activation())]
    return nn.Sequential(*hidden, nn.Linear(16, LABELS))


def batch(inputs: int = 16) -> tuple["torch.Tensor", "torch.Tensor"]:
    x = torch.randn(32, inputs)
    return x, x[:, :LABELS].argmax(1)


def train(
    network: nn.Module,
    health: Health,
    lr: float = 0.1,
    epochs: int = 1,
    steps: int = 10,
    draw: Callable[[], tuple["torch.Tensor", "torch.Tensor"]] = batch,
) -> list[Finding]:
    """A plain loop; val is a batch of its own. Returns the findings of the last epoch."""
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr)
    val_x, val_y = draw()
    new: list[Finding] = []
    for epoch in range(epochs):
        losses = []
        for step in range(epoch * steps, (epoch + 1) * steps):
            x, y = draw()
            with torch.autocast("cpu", torch.bfloat16):
                loss = nn.functional.cross_entropy(network(x).float(), y)
            optimizer.zero_grad()
            loss.backward()
            health.after_backward(step)
            optimizer.step()
            losses.append(loss.item())
            health.after_step(losses[-1], wait_share=0.01)
        with torch.inference_mode():
            logits = network(val_x)
        val_loss = nn.functional.cross_entropy(logits, val_y).item()
        new = health.after_epoch(epoch, float(np.mean(losses)), val_loss, logits.argmax(1).numpy())
    return new


def rules(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


def judge(health: Health, *losses: tuple[float, float]) -> list[list[Finding]]:
    """The findings of epochs with these losses on train and val."""
    return [health.after_epoch(epoch, train, val, VARIED) for epoch, (train, val) in enumerate(losses)]


def test_healthy_training_fires_no_rule() -> None:
    network = multilayer()
    health = Health(network, LABELS)
    train(network, health, epochs=6, steps=40)
    assert health.findings == []
    assert report(health.findings) == "Health: no rule fired."


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0"])
def test_fresh_backbone_fires_no_rule_about_its_layers(name: str) -> None:
    network = create_model(name, num_classes=LABELS, drop_path_rate=0.1)
    health = Health(network, LABELS)
    train(network, health, 0.01, steps=4, draw=lambda: (torch.randn(8, 3, 64, 64), torch.arange(8) % LABELS))
    assert not rules(health.findings) & {
        "vanishing_gradient",
        "exploding_gradient",
        "dead_layer",
        "poor_initialisation",
    }


def test_stack_of_sigmoids_has_a_vanishing_gradient() -> None:
    network = multilayer(nn.Sigmoid, depth=12)
    (finding,) = [one for one in train(network, Health(network, LABELS)) if one.rule == "vanishing_gradient"]
    assert finding.value < 1e-7
    assert "(0," in finding.message  # the first layer is hit


def test_huge_learning_rate_explodes() -> None:
    network = multilayer()
    found = train(network, Health(network, LABELS), lr=1e3)
    assert "exploding_gradient" in rules(found)
    assert "poor_initialisation" not in rules(found)


def test_lost_loss_is_told() -> None:
    network = multilayer()
    health = Health(network, LABELS)
    found = train(network, health, lr=1e38)
    assert {"exploding_gradient", "loss_not_finite"} <= rules(found)
    assert "NaN" in report(found)


def test_bias_that_switches_all_units_off_leaves_a_dead_layer() -> None:
    network = multilayer(nn.ReLU6)
    nn.init.constant_(network[2].bias, -1e3)
    (finding,) = [one for one in train(network, Health(network, LABELS)) if one.rule == "dead_layer"]
    assert finding.value == 1
    assert "1 of 2 layers (3)" in finding.message


def test_constant_weights_are_a_poor_initialisation() -> None:
    network = multilayer()
    for parameter in network.parameters():
        nn.init.constant_(parameter, 0.1)
    (finding,) = [one for one in train(network, Health(network, LABELS)) if one.rule == "poor_initialisation"]
    assert "units" in finding.message


@pytest.mark.parametrize(("scale", "seen"), [(1e-3, "whatever the image"), (1e3, "huge")])
def test_activations_that_collapse_or_blow_up_are_a_poor_initialisation(scale: float, seen: str) -> None:
    network = multilayer(depth=3)
    for layer in network[::2]:
        nn.init.normal_(layer.weight, std=scale)
    (finding,) = [one for one in train(network, Health(network, LABELS)) if one.rule == "poor_initialisation"]
    assert seen in finding.message


def test_head_that_starts_at_zero_is_no_poor_initialisation() -> None:
    network = multilayer()
    nn.init.zeros_(network[-1].weight)
    nn.init.zeros_(network[-1].bias)
    assert "poor_initialisation" not in rules(train(network, Health(network, LABELS)))


def test_frozen_layers_are_not_judged() -> None:
    network = multilayer()
    nn.init.constant_(network[0].bias, -1e3)
    network[0].requires_grad_(False)
    found = train(network, Health(network, LABELS))
    assert "dead_layer" not in rules(found)
    assert "(2)" in next(one.message for one in found if one.rule == "vanishing_gradient")  # what it starves is told


def test_wrapped_network_is_judged_under_its_own_names() -> None:
    network = multilayer()
    nn.init.constant_(network[2].bias, -1e3)
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(network)
        found = train(wrapped, Health(wrapped, LABELS))
    finally:
        dist.destroy_process_group()
    assert "(3)" in next(one.message for one in found if one.rule == "dead_layer")


def test_loss_that_stays_is_told_once_until_it_falls_again() -> None:
    health = Health(multilayer(), LABELS)
    found = judge(health, *[(1.3, 1.3)] * 5, (1.1, 1.1), *[(1.1, 1.1)] * 3)
    assert [rules(new) for new in found] == [set()] * 3 + [{"loss_not_decreasing"}] + [set()] * 4 + [
        {"loss_not_decreasing"}
    ]


def test_training_loss_that_stays_while_val_loss_falls_is_left_to_its_teachers() -> None:
    assert not any(judge(Health(multilayer(), LABELS), *[(1.3, 1.2 - 0.01 * epoch) for epoch in range(6)]))


def test_val_loss_that_rises_while_training_loss_falls_is_overfitting() -> None:
    health = Health(multilayer(), LABELS)
    *before, last = judge(health, (1.2, 1.2), (1.1, 1.15), (1.0, 1.16), (0.9, 1.25))
    assert not any(before)
    assert rules(last) == {"overfitting"}


def test_val_loss_far_above_training_loss_is_overfitting() -> None:
    assert rules(judge(Health(multilayer(), LABELS), (1.2, 1.2), (0.7, 1.19))[-1]) == {"overfitting"}


def test_epochs_without_a_better_val_loss_are_overtraining() -> None:
    losses = [(1.0 - 0.01 * epoch, 1.0) for epoch in range(7)]
    found = judge(Health(multilayer(), LABELS), *losses)
    assert [rules(new) for new in found] == [set()] * 5 + [{"overtraining"}, set()]


@pytest.mark.parametrize("given", [[1] * 38 + [0, 2], [1] * 20 + [2] * 20])
def test_few_labels_on_val_are_a_class_collapse(given: list[int]) -> None:
    found = Health(multilayer(), 9).after_epoch(0, 2.0, 2.0, np.array(given))
    assert rules(found) == {"class_collapse"}


def test_waiting_for_data_is_input_starvation() -> None:
    health = Health(multilayer(), LABELS)
    for share in (0.1, 0.3, 0.4):
        health.after_step(1.0, share)
    (finding,) = health.after_epoch(0, 1.0, 1.0, VARIED)
    assert (finding.rule, finding.value) == ("input_starvation", pytest.approx(0.8 / 3))


def test_what_gets_worse_is_told_again() -> None:
    found = judge(Health(multilayer(), LABELS), (1.0, 1.0), (0.9, 1.1), (0.85, 1.11), (0.8, 1.2))
    assert [len(new) for new in found] == [0, 1, 0, 1]


def test_resumed_run_reports_what_an_unbroken_one_does() -> None:
    def starved(health: Health, epochs: range, shares: list[float]) -> None:
        for epoch in epochs:
            for share in shares:
                health.after_step(1.0, share)
            health.after_epoch(epoch, 1.0, 1.0, VARIED)

    unbroken = Health(multilayer(), LABELS)
    starved(unbroken, range(6), [0.5, 0.5])
    broken = Health(multilayer(), LABELS)
    starved(broken, range(3), [0.5, 0.5])
    broken.after_step(1.0, 0.5)
    resumed = Health(multilayer(), LABELS)
    resumed.load_state_dict(json.loads(json.dumps(broken.state_dict())))
    resumed.after_step(1.0, 0.5)
    resumed.after_epoch(3, 1.0, 1.0, VARIED)
    starved(resumed, range(4, 6), [0.5, 0.5])
    assert resumed.findings == unbroken.findings
    assert rules(resumed.findings) == {"input_starvation", "loss_not_decreasing", "overtraining"}


def test_steps_between_looks_run_without_hooks() -> None:
    network = multilayer()
    health = Health(network, LABELS, Thresholds(every_steps=10, first_steps=1))
    train(network, health, steps=4)
    assert not torch_module._global_forward_hooks
    train(network, health, steps=10)
    assert torch_module._global_forward_hooks
    del health
    assert not torch_module._global_forward_hooks
