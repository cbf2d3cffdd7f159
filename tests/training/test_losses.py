"""Each loss is least where the network's answer, read as it is served, is the target itself."""

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: uv sync --group train")

from training.network.losses import LOSSES, label_logits, targets_by_label  # noqa: E402

TARGET = torch.tensor([[0.1, 0.25, 0.4, 0.2, 0.05]])


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "focal"])
def test_least_loss_answers_the_target(name: str) -> None:
    logits = torch.zeros(1, 5, requires_grad=True)
    optimizer = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = LOSSES[name](logits, TARGET).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    answer = torch.softmax(label_logits(logits.detach(), name), 1)
    torch.testing.assert_close(answer, TARGET, atol=1e-3, rtol=0)


def test_focal_loss_weighs_a_sure_right_answer_less_than_cross_entropy_does() -> None:
    sure, unsure = torch.tensor([[4.0, 0, 0]]), torch.tensor([[0.5, 0, 0]])
    target = torch.tensor([[1.0, 0, 0]])
    focal, plain = LOSSES["focal"], LOSSES["cross-entropy"]
    assert focal(sure, target) / focal(unsure, target) < 0.05 * plain(sure, target) / plain(unsure, target)


def test_targets_are_distributions_around_their_label() -> None:
    targets = targets_by_label(7, soft_width=0.6, smoothing=0.1)
    torch.testing.assert_close(targets.sum(1), torch.ones(7))
    assert targets.argmax(1).tolist() == list(range(7))
    assert targets.min() == pytest.approx(0.1 / 7, abs=1e-3)
    assert targets_by_label(3, 0, 0).tolist() == torch.eye(3).tolist()
