"""Decoding for training: the pixels that serving sees, or nearly these in half of the time.

One decision says what a damaged image is: that of `model.images.decode`. `training.prepare` takes it for each image of
a set. `exact_pixels` takes it again. `fast_pixels` takes what of it is cheap, all that the file itself tells (segments,
scans, libjpeg's warnings): whether an image shows nothing or ends in one colour would take as long as its pixels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from model import jpeg
from model.exif import orientation
from model.images import MAX_PIXELS, MIN_SIDE

from .bins import LabelledBin, pixels_of

MARGIN = 2
"""A JPEG that is decoded at a reduced scale keeps at least this many times the pixels a side that are needed."""
UPRIGHT = 1
"""Orientation of EXIF."""


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
        pixels = _fast_jpeg(data, size) if data.startswith(jpeg.START) else None
    except Exception:
        pixels = None
    return exact_pixels(one, size) if pixels is None else pixels


def _fast_jpeg(data: bytes, size: int) -> Tensor | None:
    """The pixels; None if the image is turned, too large or too small. Raises DamagedImage and what decoders raise."""
    encoded = jpeg.read(data)
    small, large = min(encoded.width, encoded.height) < MIN_SIDE, encoded.width * encoded.height > MAX_PIXELS
    if small or large or orientation(encoded.exif) != UPRIGHT:
        return None
    pixels = torch.from_numpy(jpeg.decode_pixels(encoded, MARGIN * size))
    if pixels.shape[:2] == (size, size):
        return pixels
    resized = functional.interpolate(pixels.permute(2, 0, 1)[None], (size, size), mode="bicubic", antialias=True)[0]
    return resized.permute(1, 2, 0)
