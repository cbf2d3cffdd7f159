"""Images on their way into a network: decoded as serving does, varied, in batches."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .augment import Variation, degrade, draw, draw_mirror, joined
from .bins import FACTS, LabelledBin, pixels_of


@dataclass(frozen=True)
class Batch:
    """`images` (n, size, size, 3) in 0..255, their `indices` (n,) in the list of bins, and how to vary them."""

    images: Tensor
    indices: Tensor
    variation: Variation | None


class Images(Dataset[tuple[Tensor, int, Variation | None]]):
    """The images of bins, asked for by (position in the epoch, index); resized to `size` x `size`.

    With a `seed` they come with a variation, drawn from the seed and the position: all that a "camera" may change,
    or the "mirror" image only.
    """

    def __init__(
        self,
        bins: Sequence[LabelledBin],
        size: int,
        seed: tuple[int, ...] | None = None,
        kind: Literal["camera", "mirror"] = "camera",
    ) -> None:
        self.bins, self.size, self.seed, self.kind = bins, size, seed, kind

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int, Variation | None]:
        position, index = key
        pixels = pixels_of(self.bins[index], self.size)
        if self.seed is None:
            return torch.from_numpy(pixels), index, None
        rng = np.random.default_rng((*self.seed, position))
        if self.kind == "mirror":
            return torch.from_numpy(pixels), index, draw_mirror(rng)
        variation = draw(rng)
        return torch.from_numpy(degrade(pixels, rng).copy()), index, variation


def load(images: Images, batches: Iterable[list[tuple[int, int]]], workers: int) -> Iterator[Batch]:
    """The batches in their order, made by `workers` further processes (0: by this one)."""
    loader = DataLoader(
        images,
        batch_sampler=list(batches),
        num_workers=workers,
        collate_fn=_collate,
        pin_memory=torch.cuda.is_available(),
        prefetch_factor=4 if workers else None,
    )
    yield from loader


def _collate(items: list[tuple[Tensor, int, Variation | None]]) -> Batch:
    variations = [variation for _, _, variation in items if variation is not None]
    images = torch.stack([image for image, _, _ in items])
    indices = torch.tensor([index for _, index, _ in items])
    return Batch(images, indices, joined(variations) if variations else None)


@dataclass(frozen=True)
class FactScale:
    """Brings FACTS to the network's scale: standardised logarithms, by `mean` and `std` (facts,)."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def targets(self, bins: Sequence[LabelledBin]) -> Tensor:
        """(n, facts), NaN where a fact is unknown."""
        logs = np.log1p(np.array([one.facts for one in bins], np.float64).reshape(-1, len(FACTS)))
        return torch.from_numpy((logs - self.mean) / self.std).float()

    def logs(self, told: Tensor) -> Tensor:
        """log(1 + fact) of what is told (n, facts) on this scale."""
        return told * told.new_tensor(self.std) + told.new_tensor(self.mean)


def fact_scale(bins: Sequence[LabelledBin]) -> FactScale:
    """The scale on which the facts of these bins have mean 0 and standard deviation 1; as they are if none is known."""
    logs = np.log1p(np.array([one.facts for one in bins], np.float64).reshape(-1, len(FACTS)))
    known = logs[np.isfinite(logs).all(1)]
    if len(known) < 2:
        return FactScale((0.0,) * len(FACTS), (1.0,) * len(FACTS))
    return FactScale(tuple(known.mean(0).tolist()), tuple(np.maximum(known.std(0), 1e-6).tolist()))
