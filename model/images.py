"""Converts the bytes of an upload to the pixels of the network's input. Training and serving share this code.

An image that cannot be counted raises `RejectedImage`, which says why and what to do. The header is read before the
pixels, so an image that would need gigabytes is rejected without allocating them.
"""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_BYTES = 6 * 1024 * 1024  # the payload limit of a real-time SageMaker endpoint
MAX_PIXELS = 40_000_000
MAX_SEGMENTS = 500
"""The maximum number of segments of one kind in a JPEG. A photograph has a dozen scans. In 6 MiB of noise, such as a
video that a telephone appends, any two given bytes occur about 96 times."""
COSTLY_SEGMENTS = {b"\xff\xda": "scans", b"\xff\xe1": "EXIF segments"}
"""Segments whose number makes decoding slow. Each scan is a pass over all pixels, and for each EXIF segment Pillow
copies all EXIF data before it."""
FORMATS = ("JPEG", "PNG")
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

    Raises RejectedImage if `data` is empty, too large, truncated, animated, or neither JPEG nor PNG.
    """
    if not data:
        raise RejectedImage("the image is empty (0 bytes): upload it again")
    if len(data) > MAX_BYTES:
        reason = f"the image has {len(data):,} bytes, more than {MAX_BYTES:,}: upload a smaller or more compressed one"
        raise RejectedImage(reason, too_large=True)
    for marker, name in COSTLY_SEGMENTS.items():
        if data.startswith(b"\xff\xd8") and data.count(marker) > MAX_SEGMENTS:
            raise RejectedImage(f"the image has more than {MAX_SEGMENTS} {name}: save it again with fewer")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = image.size
        if width * height > MAX_PIXELS:
            reason = f"the image is {width}x{height} pixels, more than {MAX_PIXELS // 1_000_000} million: scale it down"
            raise RejectedImage(reason, too_large=True)
        if getattr(image, "n_frames", 1) > 1 and image.format == "PNG":
            raise RejectedImage("the image is animated: upload a single frame")
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return _to_rgb(image)
    except (RejectedImage, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        reason = f"the image has more than {MAX_PIXELS // 1_000_000} million pixels: scale it down"
        raise RejectedImage(reason, too_large=True) from error
    except UnidentifiedImageError as error:
        raise RejectedImage("the bytes are no JPEG or PNG image: upload the photograph itself") from error
    except Exception as error:  # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, zlib.error ...
        raise RejectedImage(f"the image cannot be decoded ({error}): upload it again") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8), "L").convert("RGB")
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")


def resize(image: Image.Image, size: int) -> Pixels:
    """Resize to `size` x `size` without keeping the aspect ratio, so that no object is cut off.

    Returns (size, size, 3), uint8, 0 to 255.
    """
    return np.array(image.resize((size, size), Image.Resampling.BICUBIC))
