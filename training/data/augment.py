"""Random variations that change what a camera may change and keep every object in view.

What costs detail is done image by image where images are loaded; geometry and light are done for a whole batch,
on the device that trains. All is drawn from an image's own generator, so neither batches nor processes matter.
"""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

MAX_ROTATION_DEG = 8.0
MAX_SCALE = 0.16  # of the logarithm, each axis by itself
MAX_SHIFT = 0.06  # of the image's side
MAX_PERSPECTIVE = 0.09
JPEG_SHARE, JPEG_QUALITY = 0.4, (20, 90)
SOFTEN_SHARE, SOFTEN_TO = 0.35, (0.35, 0.9)  # scaled down to this share of each side, and up again
NOISE_SHARE, MAX_NOISE = 0.3, 12.0  # standard deviation, of 255
ERASE_SHARE, MAX_PATCHES, PATCH_SIDE = 0.5, 3, (0.06, 0.16)
BRIGHTNESS, CAST, CONTRAST, SATURATION, GAMMA, GREY_SHARE = 0.4, 0.1, 0.35, 0.5, 0.3, 0.1  # of logarithms


@dataclass(frozen=True)
class Variation:
    """What is done to a batch of n images.

    `homography` (n, 3, 3) maps places of the result, -1 to 1, to places of the image; `light` (n, 7) holds the gains
    of red, green and blue, contrast, saturation, gamma, and the keeping of colour; `patches` (n, MAX_PATCHES, 7) holds
    top, bottom, left and right as shares of the side and the colour of what is blotted out.
    """

    homography: Tensor
    light: Tensor
    patches: Tensor

    def to(self, device: torch.device) -> "Variation":
        """The same on another device."""
        return Variation(*(part.to(device, non_blocking=True) for part in (self.homography, self.light, self.patches)))


def degrade(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Lose detail as another camera, resolution or compression would; pixels (side, side, 3), 0..255, stay as many."""
    soften, compress, noise = rng.random(3) < (SOFTEN_SHARE, JPEG_SHARE, NOISE_SHARE)
    image = Image.fromarray(pixels)
    if soften:
        width, height = (
            round(side * share) for side, share in zip(image.size, rng.uniform(*SOFTEN_TO, 2), strict=True)
        )
        image = image.resize((width, height), Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BICUBIC)
    if compress:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(*JPEG_QUALITY)))
        image = Image.open(buffer)
    pixels = np.asarray(image)
    if noise:
        grain = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(0, MAX_NOISE))
        pixels = np.clip(pixels + grain, 0, 255).astype(np.uint8)
    return pixels


def draw(rng: np.random.Generator) -> Variation:
    """The variation of one image (n = 1)."""
    angle, shear = (
        np.deg2rad(rng.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG)),
        np.exp(rng.uniform(-MAX_SCALE, MAX_SCALE, 2)),
    )
    homography = np.eye(3)
    homography[:2, :2] = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) * shear
    homography[:2, 2] = rng.uniform(-2 * MAX_SHIFT, 2 * MAX_SHIFT, 2)
    homography[2, :2] = rng.uniform(-MAX_PERSPECTIVE, MAX_PERSPECTIVE, 2)
    homography[:, 0] *= rng.choice((-1, 1))
    gain = rng.uniform(-BRIGHTNESS, BRIGHTNESS) + rng.uniform(-CAST, CAST, 3)
    others = rng.uniform(-1, 1, 3) * (CONTRAST, SATURATION, GAMMA)
    light = np.append(np.exp(np.concatenate((gain, others))), float(rng.random() >= GREY_SHARE))
    patches = np.zeros((MAX_PATCHES, 7))
    if rng.random() < ERASE_SHARE:
        for patch in patches[: rng.integers(1, MAX_PATCHES + 1)]:
            side, colour = rng.uniform(*PATCH_SIDE, 2), rng.random(3)
            corner = rng.random(2) * (1 - side)
            patch[:] = (corner[0], corner[0] + side[0], corner[1], corner[1] + side[1], *colour)
    return Variation(*(torch.from_numpy(part[None]).float() for part in (homography, light, patches)))


def draw_mirror(rng: np.random.Generator) -> Variation:
    """The variation of one image (n = 1) that is mirrored or left as it is."""
    homography = torch.diag(torch.tensor([float(rng.choice((-1, 1))), 1.0, 1.0]))
    return Variation(homography[None], torch.ones(1, 7), torch.zeros(1, MAX_PATCHES, 7))


def joined(variations: list[Variation]) -> Variation:
    """The variations of several images as those of one batch."""
    names = ("homography", "light", "patches")
    return Variation(*(torch.cat([getattr(one, name) for one in variations]) for name in names))


def augment(images: Tensor, variation: Variation, size: int) -> Tensor:
    """Images (n, side, side, 3) in 0..255, varied: (n, 3, size, size) in 0..1."""
    batch = to_float(images)
    return _erase(_light(_move(batch, variation.homography, size), variation.light), variation.patches)


def to_float(images: Tensor) -> Tensor:
    """Images (n, side, side, 3) in 0..255 without any variation: (n, 3, side, side) in 0..1."""
    return images.permute(0, 3, 1, 2).float().div_(255)


def _move(batch: Tensor, homography: Tensor, size: int) -> Tensor:
    """Mirror, rotate, scale, shift and tilt; what comes into view mirrors what is there."""
    axis = torch.linspace(-1 + 1 / size, 1 - 1 / size, size, device=batch.device)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    places = torch.stack((x, y, torch.ones_like(x)), -1).reshape(1, -1, 3)
    moved = places @ homography.transpose(1, 2)
    grid = (moved[..., :2] / moved[..., 2:]).reshape(len(batch), size, size, 2)
    return functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


def _light(batch: Tensor, light: Tensor) -> Tensor:
    gain, (contrast, saturation, gamma, colour) = light[:, :3, None, None], light[:, 3:, None, None, None].unbind(1)
    batch = batch * gain
    level = batch.mean((1, 2, 3), keepdim=True)
    batch = (batch - level) * contrast + level
    grey = batch.mean(1, keepdim=True)
    return ((batch - grey) * (saturation * colour) + grey).clamp(1e-3, 1) ** gamma


def _erase(batch: Tensor, patches: Tensor) -> Tensor:
    size = batch.shape[-1]
    axis = (torch.arange(size, device=batch.device) + 0.5) / size
    for patch in patches.unbind(1):
        top, bottom, left, right = patch[:, :4, None].unbind(1)
        rows, columns = (axis >= top) & (axis < bottom), (axis >= left) & (axis < right)
        inside = rows[:, None, :, None] & columns[:, None, None, :]
        batch = torch.where(inside, patch[:, 4:, None, None], batch)
    return batch
