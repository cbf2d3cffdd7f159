"""Converts the bytes of an upload to the pixels of the network's input. Training and serving share this code.

An image that cannot be counted raises `RejectedImage`, which says why and what to do: it is no image, it lost a part,
or it shows nothing. What is not its pixels never decides. The header is read before the pixels, so an image that would
need gigabytes is rejected without allocating them.
"""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from . import jpeg, png
from .encoded import DamagedImage
from .exif import orientation

MAX_BYTES = 6 * 1024 * 1024  # the payload limit of a real-time SageMaker endpoint
MAX_PIXELS = 40_000_000
MIN_SIDE = 32
"""Pixels: the network's coarsest cells are 32 pixels wide. The smallest original of 202 is 239 high."""
BLOCK, TAIL_SHARE, TAIL_BLOCKS = 16, 0.01, 4
"""An image whose last 1% of blocks, at least four, has one exact colour lost its end: a decoder fills it like that.
Every second half of 202 originals is found so; of 13,199 whole bins none has more than one such block."""
SHAPES_SIDE, DETAILS_SIDE = 16, 64
MIN_SHAPES = 4.0
"""Standard deviation of brightness (0 to 255) from a plane, at 16x16. The least of 10,496 real bins (training split) is
5.5; a lens cap has 0.2, noise over all brightnesses at 640x480 has 2.0, a straight gradient 0.3."""
MIN_DETAILS = 1.5
"""Standard deviation of the second difference of brightness between neighbours, at 64x64. The least of those bins is
2.4; gradients of any smooth shape stay below 1.3."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SLOPE = (np.arange(SHAPES_SIDE) - (SHAPES_SIDE - 1) / 2) / math.sqrt(SHAPES_SIDE**2 / 12 - 1 / 12)
Pixels = npt.NDArray[np.uint8]


class RejectedImage(ValueError):
    """The image is at fault, so a retry cannot help. `too_large` says that only its size is."""

    def __init__(self, reason: str, *, too_large: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.too_large = too_large


def decode(data: bytes) -> Image.Image:
    """Decode a JPEG or PNG to RGB, upright as its EXIF orientation says.

    Grey, palette, 16-bit, CMYK and transparent images are converted (transparency over white).

    Raises RejectedImage if `data` is empty, too large or too small, neither JPEG nor PNG, animated, damaged, or shows
    nothing.
    """
    if not data:
        raise RejectedImage("the image is empty (0 bytes): upload it again")
    if len(data) > MAX_BYTES:
        reason = f"the image has {len(data):,} bytes, more than {MAX_BYTES:,}: upload a smaller or more compressed one"
        raise RejectedImage(reason, too_large=True)
    codec = jpeg if data.startswith(jpeg.START) else png if data.startswith(png.SIGNATURE) else None
    if codec is None:
        raise RejectedImage("the bytes are no JPEG or PNG image: upload the photograph itself")
    try:
        encoded = codec.read(data)
        _check_size(encoded.width, encoded.height)
        image: Image.Image = codec.decode(encoded)
    except (RejectedImage, MemoryError):
        raise
    except DamagedImage as error:
        raise RejectedImage(f"the image {error}: {error.cure}") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error ...
        raise RejectedImage(f"the image cannot be decoded ({error}): upload it again") from error
    if not _shows_something(image):
        raise RejectedImage("the image shows nothing (no shapes, or no details): look at the camera and upload another")
    if _has_flat_tail(image):
        raise RejectedImage("the image is damaged (its end is one flat colour): upload it again, without a border")
    turn = _TURNS.get(orientation(encoded.exif))
    return image if turn is None else image.transpose(turn)


def resize(image: Image.Image, size: int) -> Pixels:
    """Resize to `size` x `size` without keeping the aspect ratio, so that no object is cut off.

    Returns (size, size, 3), uint8, 0 to 255.
    """
    return np.array(image.resize((size, size), Image.Resampling.BICUBIC))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        reason = f"the image is {width}x{height} pixels, more than {MAX_PIXELS // 1_000_000} million: scale it down"
        raise RejectedImage(reason, too_large=True)
    if min(width, height) < MIN_SIDE:
        reason = f"the image is {width}x{height} pixels, less than {MIN_SIDE} a side: upload the photograph itself"
        raise RejectedImage(reason)


def _has_flat_tail(image: Image.Image) -> bool:
    """Whether the last blocks, as they are stored, have one exact colour. Black and white are light, not loss."""
    columns, rows = (math.ceil(side / BLOCK) for side in image.size)
    width, height = image.size
    full, rest = divmod(max(TAIL_BLOCKS, math.ceil(TAIL_SHARE * columns * rows)), columns)
    colour = image.crop((width - 1, height - 1, width, height)).getextrema()
    top = BLOCK * (rows - full)
    parts = [(0, top, width, height)] if full else []
    if rest:
        parts.append((BLOCK * (columns - rest), top - BLOCK, width, min(top, height)))
    return colour not in {((0, 0),) * 3, ((255, 255),) * 3} and all(
        image.crop(part).getextrema() == colour for part in parts
    )


def _shows_something(image: Image.Image) -> bool:
    small = image.resize((DETAILS_SIDE, DETAILS_SIDE), Image.Resampling.BOX, reducing_gap=1.0)
    grey = np.asarray(small) @ np.full(3, 1 / 3)
    shapes = grey.reshape(SHAPES_SIDE, DETAILS_SIDE // SHAPES_SIDE, SHAPES_SIDE, -1).mean((1, 3))
    variance = shapes.var() - (shapes * _SLOPE).mean() ** 2 - (shapes * _SLOPE[:, None]).mean() ** 2
    details = (np.diff(grey, 2, 0).var() + np.diff(grey, 2, 1).var()) / 2
    return bool(variance >= MIN_SHAPES**2 and details >= MIN_DETAILS**2)
