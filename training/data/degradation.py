"""Loss of detail as another camera, resolution or compression causes it, for a batch on the device that trains.

Only the images that lose something are computed. JPEG is computed as libjpeg does it (its DCT, tables, 4:2:0 chroma and
rounding), since no library compresses a batch on a GPU and leaves it there.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

NO_JPEG = 0
_LUMA_TABLE = (
    *(16, 11, 10, 16, 24, 40, 51, 61),
    *(12, 12, 14, 19, 26, 58, 60, 55),
    *(14, 13, 16, 24, 40, 57, 69, 56),
    *(14, 17, 22, 29, 51, 87, 80, 62),
    *(18, 22, 37, 56, 68, 109, 103, 77),
    *(24, 35, 55, 64, 81, 104, 113, 92),
    *(49, 64, 78, 87, 103, 121, 120, 101),
    *(72, 92, 95, 98, 112, 100, 103, 99),
)  # ITU-T T.81, table K.1
_CHROMA_TABLE = (
    *(17, 18, 24, 47, 99, 99, 99, 99),
    *(18, 21, 26, 66, 99, 99, 99, 99),
    *(24, 26, 56, 99, 99, 99, 99, 99),
    *(47, 66, 99, 99, 99, 99, 99, 99),
    *(99,) * 32,
)  # ITU-T T.81, table K.2
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))
_FROM_YCC = ((1.0, 0.0, 1.402), (1.0, -0.344136, -0.714136), (1.0, 1.772, 0.0))


@dataclass(frozen=True)
class Degradation:
    """What each of n images loses. All tensors stay on the CPU, where they select the images to compute.

    `soften` (n, 2) holds the shares of height and width that an image is scaled down to before it is scaled up again;
    1 changes nothing. `quality` (n,) is that of a JPEG, or NO_JPEG. `noise` (n,) is the standard deviation of Gaussian
    noise, of 255. `seeds` (n,) seed the noise.
    """

    soften: Tensor
    quality: Tensor
    noise: Tensor
    seeds: Tensor


def degrade(images: Tensor, degradation: Degradation) -> Tensor:
    """Degrade images (n, 3, side, side) in 0..255, in place."""
    for index in (degradation.soften < 1).any(1).nonzero().flatten().tolist():
        images[index : index + 1] = soften(images[index : index + 1], *degradation.soften[index].tolist())
    compressed = (degradation.quality != NO_JPEG).nonzero().flatten()
    if len(compressed):
        chosen = compressed.to(images.device)
        images[chosen] = compress(images[chosen], degradation.quality[compressed])
    for index in degradation.noise.nonzero().flatten().tolist():
        random = torch.Generator(images.device).manual_seed(int(degradation.seeds[index]))
        grain = torch.randn(images.shape[1:], generator=random, device=images.device)
        images[index].add_(grain, alpha=float(degradation.noise[index])).clamp_(0, 255)
    return images


def soften(image: Tensor, height: float, width: float) -> Tensor:
    """Scale images (n, 3, side, side) in 0..255 down to these shares of their sides, and up again, as Pillow does."""
    side = image.shape[-1]
    small = functional.interpolate(
        image, (round(side * height), round(side * width)), mode="bilinear", antialias=True, align_corners=False
    )
    large = functional.interpolate(small, (side, side), mode="bicubic", antialias=True, align_corners=False)
    return large.clamp_(0, 255)


def compress(images: Tensor, quality: Tensor) -> Tensor:
    """Images (n, 3, side, side) in 0..255, as a JPEG of `quality` (n,), 1 to 100, has them: whole numbers."""
    side, device = images.shape[-1], images.device
    padding = -side % 16
    whole = functional.pad(images, (0, padding, 0, padding), mode="replicate").round_()
    ycc = (torch.tensor(_TO_YCC, device=device) @ whole.flatten(2)).reshape(whole.shape).round_()
    luma = _quantise(ycc[:, :1] - 128, _tables(_LUMA_TABLE, quality).to(device)) + 128
    chroma = _quantise(_halve(ycc[:, 1:]), _tables(_CHROMA_TABLE, quality).to(device))
    chroma = functional.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False)
    ycc = torch.cat((luma.round_().clamp_(0, 255), chroma.round_().clamp_(-128, 127)), 1)
    rgb = (torch.tensor(_FROM_YCC, device=device) @ ycc.flatten(2)).reshape(whole.shape)
    return rgb.round_().clamp_(0, 255)[..., :side, :side]


def _halve(planes: Tensor) -> Tensor:
    """Planes of whole numbers (n, c, h, w) at half their sides; libjpeg rounds halves down and up in turn."""
    turn = torch.tensor((0.25, 0.5), device=planes.device).repeat(planes.shape[-1] // 4)
    return functional.avg_pool2d(planes, 2).add_(turn).floor_()


def _tables(base: tuple[int, ...], quality: Tensor) -> Tensor:
    """The quantisation tables (n, 8, 8) of each quality, as libjpeg scales them."""
    scale = torch.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    tables = (torch.tensor(base)[None] * scale[:, None] + 50) // 100
    return tables.clamp(1, 255).float().reshape(-1, 8, 8)


def _quantise(planes: Tensor, tables: Tensor) -> Tensor:
    """Planes (n, c, h, w) around 0 after their 8 x 8 blocks' frequencies are rounded to multiples of `tables`."""
    dct = _dct(planes.device)
    frequencies = (dct @ planes.reshape(-1, 8, planes.shape[-1])).reshape(-1, 8) @ dct.mT
    blocks = frequencies.reshape(*planes.shape[:2], planes.shape[2] // 8, 8, planes.shape[3] // 8, 8)
    steps = tables[:, None, None, :, None, :]
    rounded = blocks.div_(steps).round_().mul_(steps)
    columns = (rounded.reshape(-1, 8) @ dct).reshape(-1, 8, planes.shape[-1])
    return (dct.mT @ columns).reshape(planes.shape)


def _dct(device: torch.device) -> Tensor:
    """The orthonormal DCT matrix (8, 8): frequency, place."""
    frequency, place = torch.arange(8.0, device=device)[:, None], torch.arange(8.0, device=device)
    matrix = torch.cos((2 * place + 1) * frequency * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix
