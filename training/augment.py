"""Random variations of a batch of bins that change what a camera may change and keep every object in view."""

import io

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

MAX_ROTATION_DEG = 5.0
MAX_SCALE = 0.1
MAX_SHIFT = 0.06  # of the picture's side
MAX_PERSPECTIVE = 0.06
JPEG_SHARE, JPEG_QUALITY = 0.4, (25, 90)
SOFTEN_SHARE, SOFTEN_TO = 0.3, (0.4, 0.9)  # scaled down to this share of the side, and up again


def augment(pixels: npt.NDArray[np.uint8], rng: np.random.Generator) -> Tensor:
    """Vary pictures (n, size, size, 3) in 0..255; returns (n, 3, size, size) in 0..1, channels last."""
    degraded = np.stack([_degrade(picture, rng) for picture in pixels])
    batch = torch.from_numpy(degraded).permute(0, 3, 1, 2).float().div_(255)
    return _vary_light(_move(batch, rng), rng).contiguous(memory_format=torch.channels_last)


def plain(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """The same layout without any variation."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)


def _degrade(picture: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Lose detail as another camera, resolution or compression would."""
    soften, compress = rng.random() < SOFTEN_SHARE, rng.random() < JPEG_SHARE
    if not (soften or compress):
        return picture
    image = Image.fromarray(picture)
    if soften:
        side = round(image.width * rng.uniform(*SOFTEN_TO))
        image = image.resize((side, side), Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BICUBIC)
    if compress:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=int(rng.integers(*JPEG_QUALITY)))
        image = Image.open(buffer)
    return np.asarray(image)


def _move(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Flip left to right, rotate, scale, stretch, shift and tilt; what comes into view mirrors what is there."""
    count, _, size, _ = batch.shape
    angle = np.deg2rad(rng.uniform(-MAX_ROTATION_DEG, MAX_ROTATION_DEG, count))
    zoom_x, zoom_y = rng.uniform(1 - MAX_SCALE, 1 + MAX_SCALE, (2, count))
    homography = np.zeros((count, 3, 3))
    homography[:, 0, 0], homography[:, 0, 1] = np.cos(angle) * zoom_x, -np.sin(angle) * zoom_y
    homography[:, 1, 0], homography[:, 1, 1] = np.sin(angle) * zoom_x, np.cos(angle) * zoom_y
    homography[:, :2, 2] = rng.uniform(-2 * MAX_SHIFT, 2 * MAX_SHIFT, (count, 2))
    homography[:, 2, :2] = rng.uniform(-MAX_PERSPECTIVE, MAX_PERSPECTIVE, (count, 2))
    homography[:, 2, 2] = 1
    homography[:, :, 0] *= np.where(rng.random(count) < 0.5, -1, 1)[:, None]
    axis = torch.linspace(-1 + 1 / size, 1 - 1 / size, size)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), -1).reshape(1, -1, 3)
    moved = points @ torch.from_numpy(homography).float().transpose(1, 2)
    grid = (moved[..., :2] / moved[..., 2:]).reshape(count, size, size, 2)
    return functional.grid_sample(batch, grid, padding_mode="reflection", align_corners=False)


def _vary_light(batch: Tensor, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast, saturation and colour cast."""
    count = len(batch)

    def factors(spread: float, channels: int = 1) -> Tensor:
        return torch.from_numpy(np.exp(rng.uniform(-spread, spread, (count, channels, 1, 1)))).float()

    batch = batch * factors(0.35) * factors(0.08, channels=3)
    level = batch.mean((1, 2, 3), keepdim=True)
    batch = (batch - level) * factors(0.3) + level
    grey = batch.mean(1, keepdim=True)
    return ((batch - grey) * factors(0.4) + grey).clamp_(0, 1)
