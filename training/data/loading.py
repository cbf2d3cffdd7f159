"""Images on their way into a network: decoded once where they fit in memory, in batches, each with its variation."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from .augment import Variation, augment, draw, to_float
from .bins import LabelledBin
from .cache import Cache, choose_cache, cores
from .decoding import exact_pixels
from .metadata import FACTS

Decode = Callable[[LabelledBin, int], Tensor]
Plan = Iterable[list[tuple[int, int]]]
"""Batches of (position in the epoch, index of the bin)."""
BATCHES_AHEAD = 3
IMAGES_PER_WORKER = 512
"""What a worker decodes in about the time that it takes to start."""
_CHUNK = 16  # images that a worker sends at once; small, since a container may have 64 MB of shared memory


@dataclass(frozen=True)
class Batch:
    """`images` (n, side, side, 3) in 0..255, their `indices` (n,) in the list of bins, and how to vary them.

    Varied images have `size` pixels a side.
    """

    images: Tensor
    indices: Tensor
    variation: Variation | None
    size: int

    def to(self, device: torch.device) -> "Batch":
        """The same on another device; itself where it is there already."""
        if self.indices.device == device:  # images that are held on the device are there first
            return self
        images, indices = (part.to(device, non_blocking=True) for part in (self.images, self.indices))
        return Batch(images, indices, self.variation and self.variation.to(device), self.size)

    @cached_property
    def varied(self) -> Tensor:
        """The images (n, 3, size, size) in 0..1, varied; without a variation they keep their side."""
        return augment(self.images, self.variation, self.size) if self.variation else to_float(self.images)


class ImageLoader:
    """Batches of the images of `bins`, resized to `size` pixels a side, for a network on `device`.

    `workers` processes decode: by default one for each core while the set is read into a cache, and afterwards, if
    there is no cache, one for each core beside a GPU and at most one beside a network on the CPU. They stay between
    epochs. Neither `workers` nor `cache` change any pixel.
    """

    def __init__(
        self,
        bins: Sequence[LabelledBin],
        size: int,
        *,
        decode: Decode = exact_pixels,
        device: torch.device = torch.device("cpu"),  # noqa: B008 (immutable)
        cache: Cache = "none",
        workers: int | None = None,
    ) -> None:
        """Decode all images, if they are cached. Raises ValueError when one is unreadable."""
        self._images, self._device = _Images(bins, size, decode), device
        self.cache = choose_cache(cache, len(bins) * size * size * 3, device)
        self.workers = _workers(workers, len(bins), device, self.cache)
        self._plan = _Plan()
        self._streamed = DataLoader(
            self._images,
            batch_sampler=self._plan,
            num_workers=self.workers,
            pin_memory=device.type == "cuda",
            persistent_workers=self.workers > 0,
            generator=torch.Generator(),  # the loop's own random numbers stay as they are
        )
        started = time.monotonic()
        self._held = None if self.cache == "none" else self._decode_all()
        self._seconds = time.monotonic() - started

    def __str__(self) -> str:
        images, size = f"{len(self._images):,} images", self._images.size
        workers = "1 worker" if self.workers == 1 else f"{self.workers} workers"
        by = workers if self.workers else "the training process"
        if self._held is None:
            return f"{images} decoded by {by} in each epoch"
        where = "on the device" if self.cache == "device" else "in memory"
        held = f"{images} held {where} ({self._held.nbytes / 1e9:.2f} GB at {size} pixels)"
        return f"{held}, decoded by {by} in {self._seconds:.1f} s"

    def batches(
        self, plan: Plan, seed: tuple[int, ...] | None = None, kind: str = "camera", size: int | None = None
    ) -> Iterator[Batch]:
        """The batches of a plan in its order; for a GPU a thread makes them ahead of the loop.

        With a `seed` each image has a variation of `kind` (augment.KINDS), drawn from the seed and its position, and
        `size` pixels a side when it is varied, by default as many as before.
        """
        batches = list(plan)
        chunks = [[index for _, index in batch] for batch in batches]
        pixels = self._from_cache(self._held, chunks) if self._held is not None else self._from_workers(chunks)

        def make(batch: list[tuple[int, int]], images: Tensor) -> Batch:
            variation = None if seed is None else draw(kind, [(*seed, position) for position, _ in batch])
            indices = torch.tensor([index for _, index in batch])
            return Batch(images, indices, variation, size or self._images.size)

        made = (make(batch, images) for batch, images in zip(batches, pixels, strict=True))
        return _ahead(made, self._device) if self._device.type == "cuda" else made

    def _from_cache(self, held: Tensor, chunks: list[list[int]]) -> Iterator[Tensor]:
        for chunk in chunks:
            images = held.index_select(0, torch.tensor(chunk, device=held.device))  # far faster than held[...]
            yield images.pin_memory() if self._device.type == "cuda" and not images.is_cuda else images

    def _from_workers(self, chunks: list[list[int]]) -> Iterator[Tensor]:
        self._plan.chunks = chunks
        return iter(self._streamed)  # starts the workers here: one that a thread forks cannot end cleanly

    def _decode_all(self) -> Tensor:
        size = self._images.size
        device = self._device if self.cache == "device" else torch.device("cpu")
        held = torch.empty((len(self._images), size, size, 3), dtype=torch.uint8, device=device)
        decoded = DataLoader(self._images, _CHUNK, num_workers=self.workers, generator=torch.Generator())
        for part, images in zip(torch.split(held, _CHUNK), decoded, strict=True):
            part.copy_(images)
        return held


def _workers(wanted: int | None, images: int, device: torch.device, cache: Cache) -> int:
    if wanted is not None:
        return wanted
    if cache != "none":
        useful = min(cores(), images // IMAGES_PER_WORKER)
        return useful if useful > 1 else 0
    return cores() if device.type == "cuda" else min(1, cores() - 1)


class _Images(Dataset[Tensor]):
    """What a worker does: pixels (size, size, 3), 0..255, by the bin's index."""

    def __init__(self, bins: Sequence[LabelledBin], size: int, decode: Decode) -> None:
        self.bins, self.size, self.decode = bins, size, decode

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, index: int) -> Tensor:
        return self.decode(self.bins[index], self.size)


class _Plan:
    """The indices of each batch of an epoch. The workers of an epoch stay for the next one's plan."""

    def __init__(self) -> None:
        self.chunks: list[list[int]] = []

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.chunks)


def _ahead(batches: Iterator[Batch], device: torch.device) -> Iterator[Batch]:
    """The batches on `device`, varied there, BATCHES_AHEAD of them before the loop asks.

    A thread does it, on a GPU in a stream of its own, while the loop waits for a step. It leaves policies to the loop:
    they draw from torch's global generator, which the loop uses too.
    """
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def make() -> tuple[Batch, torch.cuda.Event | None] | None:
        with torch.cuda.stream(stream) if stream else nullcontext():
            batch = next(batches, None)
            if batch is None:
                return None
            batch = batch.to(device)
            if not (batch.variation and batch.variation.policy):
                _ = batch.varied  # is kept
            return batch, stream.record_event() if stream else None

    choose_device = partial(torch.cuda.set_device, device) if stream else None
    with ThreadPoolExecutor(1, initializer=choose_device) as thread:
        waiting = deque(thread.submit(make) for _ in range(BATCHES_AHEAD))
        while (made := waiting.popleft().result()) is not None:
            waiting.append(thread.submit(make))
            batch, done = made
            if done:
                _use_after(done, batch, torch.cuda.current_stream(device))
            yield batch


def _use_after(done: torch.cuda.Event, batch: Batch, stream: torch.cuda.Stream) -> None:
    """Let `stream` use a batch of another stream once `done`, and keep the batch's memory until it has."""
    stream.wait_event(done)
    variation = batch.variation
    moved = (variation.homography, variation.light, variation.patches) if variation else ()
    for tensor in (batch.images, batch.indices, batch.varied, *moved):
        tensor.record_stream(stream)


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
