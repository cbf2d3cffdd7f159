"""A network for two photographs of one bin: by how much has the count changed?

It sees the features of both photographs, as the served network computes them before its last layer, and their
difference. It knows the count of the first photograph.

The public set has no two photographs of an unchanged bin. So a network that learns from it alone rules out that nothing
has changed. `unchanged_pairs` are made of one photograph and a variation of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..data.pairs import Pair

MOST_CHANGE = 6
"""Greater changes count as this one."""
CHANGES = 2 * MOST_CHANGE + 1
HIDDEN, DROPOUT = 128, 0.6
EPOCHS, BATCH, LEARNING_RATE, WEIGHT_DECAY = 15, 64, 1e-3, 0.05
SEEDS = 3
_RARE = 1e-3  # share of a change that training pairs lack

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Photographs:
    """What the served network says of n photographs, and their true counts.

    `features` (n, features), `probabilities` (n, labels) of the counts, `log_volumes` (n,) of 1 + cubic inches (zeros
    for a network without volumes), `counts` (n,) the true ones.
    """

    features: Floats
    probabilities: npt.NDArray[np.float64]
    log_volumes: Floats
    counts: npt.NDArray[np.int64]

    @property
    def means(self) -> Floats:
        """The means (n,) of the predicted distributions, in objects."""
        return (self.probabilities @ np.arange(self.probabilities.shape[1])).astype(np.float32)

    def __add__(self, others: "Photographs") -> "Photographs":
        """These photographs, then the others."""
        columns = zip(vars(self).values(), vars(others).values(), strict=True)
        return Photographs(*(np.concatenate(both) for both in columns))


def unchanged_pairs(bins: int) -> list[Pair]:
    """Pairs of the variation of a photograph and the photograph itself, of each of `bins` bins, as positions in their
    photographs followed by one variation of each. A variation has no record of its items."""
    return [Pair(bins + place, place, {}, {}, made=True) for place in range(bins)]


class PairNetwork(nn.Module):
    """Maps features (n, 3 * features) and facts (n, facts) of pairs to logits (n, CHANGES) of the changes from
    -MOST_CHANGE to MOST_CHANGE."""

    def __init__(self, features: int, facts: int) -> None:
        super().__init__()
        self.seen = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(features, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT))
        self.change = nn.Linear(HIDDEN + facts, CHANGES)

    def forward(self, features: Tensor, facts: Tensor) -> Tensor:
        logits: Tensor = self.change(torch.cat([self.seen(features), facts], 1))
        return logits


class ChangeEstimator:
    """The mean answer of SEEDS pair networks, trained on pairs of a training split."""

    def __init__(self, photographs: Photographs, pairs: Sequence[Pair]) -> None:
        """Train on the pairs of `photographs`. Raises ValueError for fewer than BATCH that are not made."""
        real = sum(not pair.made for pair in pairs)
        if real < BATCH:
            raise ValueError(f"{real} pairs are too few to train on: name a set with {BATCH} or more in train")
        self._mean = photographs.features.mean(0)
        self._scale = 1 / (photographs.features.std(0) + 1e-6)
        changes = _changes(photographs, pairs)
        self.shares = np.bincount(changes, minlength=CHANGES) / len(pairs)
        inputs = self._inputs(photographs, pairs)
        self._networks = [_trained(*inputs, torch.from_numpy(changes), seed) for seed in range(SEEDS)]

    @torch.no_grad()
    def likelihoods(self, photographs: Photographs, pairs: Sequence[Pair]) -> npt.NDArray[np.float64]:
        """How much likelier the photographs of each pair are for each change, (pairs, CHANGES), than for any change.

        It is the predicted distribution of the change over that of the training pairs, so that how frequent each
        change was among these says nothing.
        """
        inputs = self._inputs(photographs, pairs)
        logs = torch.stack([network(*inputs).log_softmax(1) for network in self._networks]).mean(0)
        return np.exp(logs.numpy().astype(np.float64)) / (self.shares + _RARE)

    def _inputs(self, photographs: Photographs, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
        last, now = np.array([(pair.last, pair.now) for pair in pairs]).T
        features = (photographs.features - self._mean) * self._scale
        means, volumes = photographs.means, photographs.log_volumes
        counts = np.minimum(photographs.counts[last], 20)
        facts = np.stack(
            [
                counts / 5,
                means[last] / 3,
                means[now] / 3,
                (means[last] - photographs.counts[last]) / 3,
                (means[now] - means[last]) / 2,
                volumes[now] - volumes[last],
            ],
            1,
        )
        seen = np.concatenate([features[last], features[now], features[now] - features[last]], 1)
        return torch.from_numpy(seen.astype(np.float32)), torch.from_numpy(facts.astype(np.float32))


def _changes(photographs: Photographs, pairs: Sequence[Pair]) -> npt.NDArray[np.int64]:
    """The class (pairs,) of each change: 0 for -MOST_CHANGE."""
    changes = [photographs.counts[pair.now] - photographs.counts[pair.last] for pair in pairs]
    return np.clip(changes, -MOST_CHANGE, MOST_CHANGE) + MOST_CHANGE


def _trained(features: Tensor, facts: Tensor, changes: Tensor, seed: int) -> PairNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PairNetwork(features.shape[1], facts.shape[1])
        optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        batches = len(changes) // BATCH
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=EPOCHS * batches)
        for _ in range(EPOCHS):
            for chosen in torch.randperm(len(changes))[: batches * BATCH].split(BATCH):
                loss = nn.functional.cross_entropy(network(features[chosen], facts[chosen]), changes[chosen])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
    return network.eval()
