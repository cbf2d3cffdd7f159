"""Random variations that change what a camera may change and keep every object in view.

An image's variation is drawn on the CPU from the image's own generator. The device that trains varies whole batches. So
batches, workers and processes do not decide what an image looks like.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from .degradation import NO_JPEG, Degradation, degrade

MAX_ROTATION_DEG = 8.0
MAX_SCALE = 0.16  # of the logarithm, each axis by itself
MAX_SHIFT = 0.06  # of the image's side
MAX_PERSPECTIVE = 0.09
JPEG_SHARE, JPEG_QUALITY = 0.4, (20, 90)
SOFTEN_SHARE, SOFTEN_TO = 0.35, (0.35, 0.9)  # scaled down to this share of each side, and up again
NOISE_SHARE, MAX_NOISE = 0.3, 12.0  # standard deviation, of 255
ERASE_SHARE, MAX_PATCHES, PATCH_SIDE = 0.5, 3, (0.06, 0.16)
BRIGHTNESS, CAST, CONTRAST, SATURATION, GAMMA, GREY_SHARE = 0.4, 0.1, 0.35, 0.5, 0.3, 0.1  # of logarithms
_SEEDS = 2**53  # as many as a uniform number of 64 bits tells apart
POLICIES = {"randaugment": v2.RandAugment, "trivialaugment": v2.TrivialAugmentWide}
"""torchvision's augmentation policies, with its defaults. They may move objects out of view."""
KINDS = ("camera", "mirror", *POLICIES)
"""What varies: all that a camera may change; the mirror image only; a policy, and the mirror image."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Variation:
    """What is done to a batch of n images.

    `homography` (n, 3, 3) maps places of the result, -1 to 1, to places of the image. `light` (n, 7) holds the gains
    of red, green and blue, contrast, saturation, gamma, and the share of colour kept. `patches` (n, MAX_PATCHES, 7)
    holds top, bottom, left and right as shares of the side, and the colour of what is blotted out. `degradation` and
    the `policy`, one of POLICIES, with a seed (n,) for each image come before all of these, if there are any.
    """

    homography: Tensor
    light: Tensor
    patches: Tensor
    degradation: Degradation | None = None
    policy: str | None = None
    seeds: Tensor | None = None

    def to(self, device: torch.device) -> "Variation":
        """The same on another device; `degradation` and `seeds` are used on the CPU."""
        names = ("homography", "light", "patches")
        return replace(self, **{name: getattr(self, name).to(device, non_blocking=True) for name in names})


def draw(kind: str, seeds: Sequence[tuple[int, ...]]) -> Variation:
    """A variation of `kind`, one of KINDS, for each image; all of an image's is drawn from its own seed."""
    drawn = _Uniform(seeds)
    if kind == "camera":
        return _camera(drawn)
    mirror = np.zeros((len(seeds), 3, 3))
    mirror[:, 0, 0], mirror[:, 1, 1], mirror[:, 2, 2] = drawn.sign(), 1, 1
    seeds_of_policy = drawn.seeds()
    policy = kind if kind in POLICIES else None
    patches = torch.zeros(len(seeds), MAX_PATCHES, 7)
    return Variation(_tensor(mirror), torch.ones(len(seeds), 7), patches, None, policy, seeds_of_policy)


class _Uniform:
    """Uniform numbers for n images; each call takes the next ones of every image's generator."""

    NUMBERS = 64

    def __init__(self, seeds: Sequence[tuple[int, ...]]) -> None:
        self._numbers = np.stack([np.random.default_rng(seed).random(self.NUMBERS) for seed in seeds])
        self._taken = 0

    def __call__(self, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()) -> Numbers:
        """Numbers (n, *shape) in low..high."""
        width = int(np.prod(shape, dtype=int))
        part = self._numbers[:, self._taken : self._taken + width]
        self._taken += width
        return low + (high - low) * part.reshape(-1, *shape)

    def sign(self) -> Numbers:
        """-1 or 1 (n,)."""
        return np.where(self() < 0.5, -1.0, 1.0)

    def seeds(self) -> Tensor:
        """Seeds (n,) of further generators."""
        return torch.from_numpy((self() * _SEEDS).astype(np.int64))


def _camera(drawn: _Uniform) -> Variation:
    return Variation(_homography(drawn), _light(drawn), _patches(drawn), _degradation(drawn))


def _homography(drawn: _Uniform) -> Tensor:
    angle = np.deg2rad(drawn(-MAX_ROTATION_DEG, MAX_ROTATION_DEG))
    matrices = np.stack((np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)), 1).reshape(-1, 2, 2)
    homography = np.zeros((len(angle), 3, 3))
    homography[:, :2, :2] = matrices * np.exp(drawn(-MAX_SCALE, MAX_SCALE, (1, 2)))
    homography[:, :2, 2] = drawn(-2 * MAX_SHIFT, 2 * MAX_SHIFT, (2,))
    homography[:, 2, :2] = drawn(-MAX_PERSPECTIVE, MAX_PERSPECTIVE, (2,))
    homography[:, 2, 2] = 1
    homography[:, :, 0] *= drawn.sign()[:, None]
    return _tensor(homography)


def _light(drawn: _Uniform) -> Tensor:
    gain = drawn(-BRIGHTNESS, BRIGHTNESS, (1,)) + drawn(-CAST, CAST, (3,))
    others = drawn(-1, 1, (3,)) * (CONTRAST, SATURATION, GAMMA)
    colour = drawn(shape=(1,)) >= GREY_SHARE
    return _tensor(np.concatenate((np.exp(gain), np.exp(others), colour), 1))


def _patches(drawn: _Uniform) -> Tensor:
    number = np.where(drawn() < ERASE_SHARE, 1 + np.floor(drawn(0, MAX_PATCHES)), 0)
    sides, colours = drawn(*PATCH_SIDE, (MAX_PATCHES, 2)), drawn(shape=(MAX_PATCHES, 3))
    corners = drawn(shape=(MAX_PATCHES, 2)) * (1 - sides)
    edges = np.stack((corners, corners + sides), 3).reshape(-1, MAX_PATCHES, 4)
    kept = np.arange(MAX_PATCHES) < number[:, None]
    return _tensor(np.concatenate((edges, colours), 2) * kept[..., None])


def _degradation(drawn: _Uniform) -> Degradation:
    soften = np.where(drawn(shape=(1,)) < SOFTEN_SHARE, drawn(*SOFTEN_TO, (2,)), 1)
    quality = np.where(drawn() < JPEG_SHARE, np.floor(drawn(*JPEG_QUALITY)), NO_JPEG)
    noise = np.where(drawn() < NOISE_SHARE, drawn(0, MAX_NOISE), 0)
    return Degradation(_tensor(soften), torch.from_numpy(quality).long(), _tensor(noise), drawn.seeds())


def _tensor(numbers: Numbers) -> Tensor:
    return torch.from_numpy(numbers).float()


def augment(images: Tensor, variation: Variation, size: int) -> Tensor:
    """Images (n, side, side, 3) in 0..255, varied: (n, 3, size, size) in 0..1."""
    if variation.policy and variation.seeds is not None:
        images = _apply_policy(images, POLICIES[variation.policy](), variation.seeds)
    batch = images.permute(0, 3, 1, 2).float().contiguous()
    if variation.degradation:
        batch = degrade(batch, variation.degradation)
    moved = _move(batch.div_(255), variation.homography, size)
    return _erase(_change_light(moved, variation.light), variation.patches)


def to_float(images: Tensor) -> Tensor:
    """Images (n, side, side, 3) in 0..255 without any variation: (n, 3, side, side) in 0..1."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def _apply_policy(images: Tensor, policy: v2.Transform, seeds: Tensor) -> Tensor:
    """Each image (side, side, 3) as the policy draws it from the CPU's generator, which continues as it was."""
    varied = torch.empty_like(images)
    with torch.random.fork_rng(devices=[]):
        for image, out, seed in zip(images, varied, seeds.tolist(), strict=True):
            torch.default_generator.manual_seed(seed)
            out.copy_(policy(image.permute(2, 0, 1)).permute(1, 2, 0))
    return varied


def _move(batch: Tensor, homography: Tensor, size: int) -> Tensor:
    """Mirror, rotate, scale, shift and tilt; what comes into view mirrors what is there."""
    axis = torch.linspace(-1 + 1 / size, 1 - 1 / size, size, device=batch.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    places = torch.stack((x, y, torch.ones_like(x)), -1).reshape(1, -1, 3)
    moved = places @ homography.transpose(1, 2)
    grid = (moved[..., :2] / moved[..., 2:]).reshape(len(batch), size, size, 2)
    return functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


def _change_light(batch: Tensor, light: Tensor) -> Tensor:
    """Gain, contrast and saturation are one matrix of the colours (n, 3, 3) and an offset (n, 1, 1); then gamma."""
    gain, (contrast, saturation, gamma, colour) = light[:, :3], light[:, 3:, None, None].unbind(1)
    kept = saturation * colour
    mixing = kept * torch.eye(3, device=batch.device) + (1 - kept) / 3
    level = (batch.mean((2, 3)) * gain).mean(1)[:, None, None]
    flat = torch.baddbmm((1 - contrast) * level, mixing * gain[:, None, :] * contrast, batch.flatten(2))
    return flat.clamp_(1e-3, 1).pow_(gamma).reshape(batch.shape)


def _erase(batch: Tensor, patches: Tensor) -> Tensor:
    size = batch.shape[-1]
    axis = (torch.arange(size, device=batch.device) + 0.5) / size
    for patch in patches.unbind(1):
        top, bottom, left, right = patch[:, :4, None].unbind(1)
        rows, columns = (axis >= top) & (axis < bottom), (axis >= left) & (axis < right)
        inside = rows[:, None, :, None] & columns[:, None, None, :]
        batch = torch.where(inside, patch[:, 4:, None, None], batch)
    return batch
