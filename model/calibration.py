"""From logits to probabilities that mean what they say.

A network that was trained on soft targets answers the soft target of what it sees: even an empty bin that it is sure
of gets only 0.8 at 0. So `calibrate` deconvolves its answer first, then applies a temperature that was fitted
on held-out bins. Last it adjusts the prior: from the mix of counts in training to the one that is assumed in service.
"""

import numpy as np
import numpy.typing as npt

ROUNDS = 16
"""Of sharpening; log loss on held-out bins hardly falls after the eighth."""
Shares = npt.NDArray[np.float64]


def soft_targets(labels: int, width: float) -> Shares:
    """Row k is the target (labels,) of label k: a Gaussian of `width` labels, adding up to 1; width 0 is one-hot."""
    distance = np.arange(labels)[None] - np.arange(labels)[:, None]
    if width == 0:
        return np.eye(labels)
    weights = np.exp(-0.5 * (distance / width) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


def deconvolve(logits: Shares, width: float) -> Shares:
    """The distributions (n, labels) whose soft targets best explain the network's answers, from logits (n, labels).

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
    """Distributions (n, labels), their log probabilities divided by `temperature`: above 1 less sure, below surer."""
    return _softmax(np.log(shares + 1e-12) / temperature)


def merge_tail(shares: Shares, labels: int) -> Shares:
    """Distributions (n, labels or more) whose last ones are added up, so that (n, `labels`) remain, the last open."""
    return np.asarray(np.add.reduceat(shares, np.arange(labels), axis=1), np.float64)


def prior_ratio(prior: npt.NDArray[np.float64], trained_prior: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How many times as frequent each label (labels,) is in `prior` as it was in training, 0 where training had none.

    Raises ValueError when `prior` has a share for a label that training did not have.
    """
    if untrained := np.flatnonzero((trained_prior == 0) & (prior > 0)).tolist():
        raise ValueError(f"the prior has a share for label {untrained[0]}, which training did not have")
    return np.divide(prior, trained_prior, out=np.zeros_like(prior), where=trained_prior > 0)


def adjust_prior(shares: Shares, ratio: npt.NDArray[np.float64]) -> Shares:
    """Distributions (n, labels) where each label is `ratio` (labels,) times as frequent as they assume, up to a factor.

    Saerens, Latinne and Decaestecker (2002), "Adjusting the Outputs of a Classifier to New a Priori Probabilities".
    """
    weights = shares * ratio
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


def calibrate(logits: Shares, soft_width: float, temperature: float, ratio: npt.NDArray[np.float64]) -> Shares:
    """Calibrated distributions (n, labels) for logits (n, outputs): deconvolved, with the temperature applied, the tail
    merged into as many labels as `ratio` (labels,) has, and the prior adjusted by it."""
    return adjust_prior(merge_tail(apply_temperature(deconvolve(logits, soft_width), temperature), len(ratio)), ratio)


def _softmax(logits: Shares) -> Shares:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)
