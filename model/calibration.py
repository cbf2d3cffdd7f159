"""Converts logits to calibrated probabilities.

A network that was trained on soft targets predicts soft targets: even for an empty bin that is certain, it gives only
0.8 to the count 0. So `calibrate` first deconvolves the prediction. Then it applies a temperature that was fitted on
held-out bins. Last it adjusts the prior from the mix of counts in training to the one that is assumed in service.
"""

import numpy as np
import numpy.typing as npt

ROUNDS = 16
"""Iterations of the deconvolution. The log loss on held-out bins hardly falls after the eighth."""
Shares = npt.NDArray[np.float64]


def soft_targets(labels: int, width: float) -> Shares:
    """The targets (labels, labels). Row k is a Gaussian of `width` labels around label k; it adds up to 1. A width of 0
    gives one-hot targets."""
    distance = np.arange(labels)[None] - np.arange(labels)[:, None]
    if width == 0:
        return np.eye(labels)
    weights = np.exp(-0.5 * (distance / width) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


def deconvolve(logits: Shares, width: float) -> Shares:
    """The distributions (n, labels) whose soft targets best explain the network's logits (n, labels).

    Richardson-Lucy deconvolution: Richardson (1972), "Bayesian-Based Iterative Method of Image Restoration"; Lucy
    (1974), "An iterative technique for the rectification of observed distributions".
    """
    observed = _softmax(logits)
    if width == 0:
        return observed
    targets = soft_targets(logits.shape[1], width)
    shares = observed
    for _ in range(ROUNDS):
        shares = shares * ((observed / (shares @ targets)) @ targets.T)
        shares = shares / shares.sum(1, keepdims=True)
    return shares


def apply_temperature(shares: Shares, temperature: float) -> Shares:
    """Distributions (n, labels) with their log probabilities divided by `temperature`.

    A temperature above 1 makes them flatter, one below 1 sharper.
    """
    # Deconvolution can leave exact zeros, whose logarithm is -inf.
    return _softmax(np.log(shares + 1e-12) / temperature)


def merge_tail(shares: Shares, labels: int) -> Shares:
    """Merge distributions (n, at least `labels`) into (n, `labels`): the last label gets the sum of the rest."""
    return np.asarray(np.add.reduceat(shares, np.arange(labels), axis=1), np.float64)


def prior_ratio(prior: npt.NDArray[np.float64], trained_prior: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The ratio (labels,) of `prior` to the mix of labels in training; 0 for a label that training did not have.

    Raises ValueError if `prior` has a share for a label that training did not have.
    """
    if untrained := np.flatnonzero((trained_prior == 0) & (prior > 0)).tolist():
        raise ValueError(f"the prior has a share for label {untrained[0]}, which training did not have")
    return np.divide(prior, trained_prior, out=np.zeros_like(prior), where=trained_prior > 0)


def adjust_prior(shares: Shares, ratio: npt.NDArray[np.float64]) -> Shares:
    """Distributions (n, labels) with each label weighted by `ratio` (labels,), then normalised.

    Saerens, Latinne and Decaestecker (2002), "Adjusting the Outputs of a Classifier to New a Priori Probabilities".
    """
    weights = shares * ratio
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


def calibrate(logits: Shares, soft_width: float, temperature: float, ratio: npt.NDArray[np.float64]) -> Shares:
    """Calibrated distributions (n, labels) for logits (n, outputs).

    The steps are deconvolution, temperature, merging of the tail into as many labels as `ratio` (labels,) has, and
    adjustment of the prior by `ratio`.
    """
    return adjust_prior(merge_tail(apply_temperature(deconvolve(logits, soft_width), temperature), len(ratio)), ratio)


def _softmax(logits: Shares) -> Shares:
    weights = np.exp(logits - logits.max(1, keepdims=True))  # the largest exponent is 0, so exp cannot overflow
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)
