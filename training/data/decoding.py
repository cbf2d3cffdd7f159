"""Decoding for training: the pixels that serving sees, or nearly these in a third of the time."""

import io

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional
from torchvision.io import ImageReadMode, decode_jpeg

from model.images import MAX_PIXELS, RejectedImage, decode, resize

from .bins import LabelledBin, pixels_of

MARGIN = 2
"""A JPEG that is decoded at a reduced scale keeps at least this many times the pixels a side that are needed."""


def exact_pixels(one: LabelledBin, size: int) -> Tensor:
    """Pixels (size, size, 3), uint8, of a bin's image, as serving sees it. Raises ValueError when unreadable."""
    return torch.from_numpy(pixels_of(one, size))


def fast_pixels(one: LabelledBin, size: int) -> Tensor:
    """Pixels (size, size, 3), uint8, of a bin's image for training. Raises ValueError when unreadable.

    They equal `exact_pixels` where the image has `size` pixels a side already. The mean difference is 0.01 of 255 where
    it is resized, and 0.2 where it is so large that its JPEG is decoded at a reduced scale.
    """
    try:
        data = one.image.read_bytes()
        return _fast_jpeg(data, size) if data.startswith(b"\xff\xd8") else torch.from_numpy(resize(decode(data), size))
    except (OSError, RejectedImage, RuntimeError):
        return exact_pixels(one, size)  # which decides whether the image is readable


def _fast_jpeg(data: bytes, size: int) -> Tensor:
    header = Image.open(io.BytesIO(data), formats=("JPEG",))
    if header.mode != "RGB" or header.width * header.height > MAX_PIXELS:
        return torch.from_numpy(resize(decode(data), size))
    if min(header.size) >= 2 * MARGIN * size:
        header.draft("RGB", (MARGIN * size, MARGIN * size))
        ImageOps.exif_transpose(header, in_place=True)
        pixels = torch.from_numpy(np.array(header)).permute(2, 0, 1)
    else:
        raw = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        pixels = decode_jpeg(raw, ImageReadMode.RGB, apply_exif_orientation=True)
    if pixels.shape[1:] != (size, size):
        pixels = functional.interpolate(pixels[None], (size, size), mode="bicubic", antialias=True)[0]
    return pixels.permute(1, 2, 0)
