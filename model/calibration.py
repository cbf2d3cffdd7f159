"""From logits to probabilities that mean what they say.

A network that was trained on soft targets answers the soft target of what it sees: even an empty bin that it is sure
of gets only 0.8 at 0. So its answer is sharpened first, then a temperature fitted on held-out bins is applied. Last it
is brought from the mix of counts that was trained on to the one that is assumed where the network serves.
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
        return (distance == 0).astype(np.float64)
    weights = np.exp(-0.5 * (distance / width) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


def sharpened(logits: Shares, width: float) -> Shares:
    """The distributions (n, labels) whose soft targets best explain the network's answers, from logits (n, labels).

    Richardson-Lucy deconvolution: Richardson (1972), "Bayesian-Based Iterative Method of Image Restoration"; Lucy
    (1974), "An iterative technique for the rectification of observed distributions".
    """
    answered = _softmax(logits)
    if width == 0:
        return answered
    targets = soft_targets(logits.shape[1], width)
    shares = answered
    for _ in range(ROUNDS):
        shares = shares * ((answered / (shares @ targets)) @ targets.T)
        shares = shares / shares.sum(1, keepdims=True)
    return shares


def tempered(shares: Shares, temperature: float) -> Shares:
    """Distributions (n, labels), their log probabilities divided by `temperature`: above 1 less sure, below surer."""
    return _softmax(np.log(shares + 1e-12) / temperature)


def folded(shares: Shares, labels: int) -> Shares:
    """Distributions (n, labels or more) whose last ones are added up, so that (n, `labels`) remain, the last open."""
    return np.asarray(np.add.reduceat(shares, np.arange(labels), axis=1), np.float64)


def shifted(shares: Shares, ratio: npt.NDArray[np.float64]) -> Shares:
    """Distributions (n, labels) where each label is `ratio` (labels,) times as frequent as they assume, up to a factor.

    Saerens, Latinne and Decaestecker (2002), "Adjusting the Outputs of a Classifier to New a Priori Probabilities".
    """
    weights = shares * ratio
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)


def answered(logits: Shares, soft_width: float, temperature: float, ratio: npt.NDArray[np.float64]) -> Shares:
    """What is answered for logits (n, outputs): sharpened, tempered, folded into as many labels as `ratio` (labels,)
    has, and shifted by it."""
    return shifted(folded(tempered(sharpened(logits, soft_width), temperature), len(ratio)), ratio)


def _softmax(logits: Shares) -> Shares:
    weights = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float64)
