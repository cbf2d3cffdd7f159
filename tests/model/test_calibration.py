import numpy as np
import pytest

from model.calibration import adjust_prior, apply_temperature, deconvolve, merge_tail, soft_targets

SEEN = np.array([[0.97, 0.03, 0, 0, 0, 0, 0], [0, 0, 0.1, 0.6, 0.3, 0, 0], [0, 0, 0, 0, 0, 0.2, 0.8]])


def test_soft_targets_are_distributions_around_their_label() -> None:
    targets = soft_targets(7, 0.6)
    assert targets.sum(1) == pytest.approx(np.ones(7))
    assert (targets.argmax(1) == np.arange(7)).all()
    assert (soft_targets(7, 0) == np.eye(7)).all()


def test_sharpening_recovers_what_a_perfect_network_blurred() -> None:
    answers = np.log(SEEN @ soft_targets(7, 0.6))
    blurred = np.abs(deconvolve(answers, 0) - SEEN).max()
    assert np.abs(deconvolve(answers, 0.6) - SEEN).max() < 0.1 < blurred


def test_without_soft_targets_nothing_is_sharpened() -> None:
    logits = np.log(SEEN + 0.01)
    assert deconvolve(logits, 0) == pytest.approx((SEEN + 0.01) / (SEEN + 0.01).sum(1, keepdims=True))


def test_a_temperature_changes_how_sure_but_not_of_what() -> None:
    assert apply_temperature(SEEN, 1) == pytest.approx(SEEN, abs=1e-9)
    assert (apply_temperature(SEEN, 2).max(1) < SEEN.max(1)).all()
    assert (apply_temperature(SEEN, 2).argmax(1) == SEEN.argmax(1)).all()


def test_labels_beyond_the_open_one_belong_to_it() -> None:
    assert merge_tail(SEEN, 3)[1] == pytest.approx([0, 0, 1])
    assert merge_tail(SEEN, 7) == pytest.approx(SEEN)


def test_answers_are_shifted_to_another_mix_by_bayes_rule() -> None:
    """Two labels as likely to look like this: what is seen leaves the mix as it is, whatever the mix."""
    trained, served = np.array([0.8, 0.2]), np.array([0.3, 0.7])
    assert adjust_prior(trained[None], served / trained)[0] == pytest.approx(served)
    likelihood = np.array([0.9, 0.4])
    posterior = likelihood * trained / (likelihood @ trained)
    assert adjust_prior(posterior[None], served / trained)[0] == pytest.approx(
        likelihood * served / (likelihood @ served)
    )
