import numpy as np
import pytest

from model.calibration import sharpened, soft_targets, tempered

SEEN = np.array([[0.97, 0.03, 0, 0, 0, 0, 0], [0, 0, 0.1, 0.6, 0.3, 0, 0], [0, 0, 0, 0, 0, 0.2, 0.8]])


def test_soft_targets_are_distributions_around_their_label() -> None:
    targets = soft_targets(7, 0.6)
    assert targets.sum(1) == pytest.approx(np.ones(7))
    assert (targets.argmax(1) == np.arange(7)).all()
    assert (soft_targets(7, 0) == np.eye(7)).all()


def test_sharpening_recovers_what_a_perfect_network_blurred() -> None:
    answers = np.log(SEEN @ soft_targets(7, 0.6))
    blurred = np.abs(sharpened(answers, 0) - SEEN).max()
    assert np.abs(sharpened(answers, 0.6) - SEEN).max() < 0.1 < blurred


def test_without_soft_targets_nothing_is_sharpened() -> None:
    logits = np.log(SEEN + 0.01)
    assert sharpened(logits, 0) == pytest.approx((SEEN + 0.01) / (SEEN + 0.01).sum(1, keepdims=True))


def test_a_temperature_changes_how_sure_but_not_of_what() -> None:
    assert tempered(SEEN, 1) == pytest.approx(SEEN, abs=1e-9)
    assert (tempered(SEEN, 2).max(1) < SEEN.max(1)).all()
    assert (tempered(SEEN, 2).argmax(1) == SEEN.argmax(1)).all()
