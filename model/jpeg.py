"""Reads and decodes JPEGs. Whatever libjpeg warns of is damage, since metadata never reaches it."""

import io
import re
import struct

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from .encoded import DamagedImage, EncodedImage

START, END = b"\xff\xd8", b"\xff\xd9"
MAX_SCANS = 500
"""A photograph has a dozen at most. Each scan is a pass over all pixels."""
ZERO_RUN = 64
"""Bytes. The longest run of zero bytes in the scans of 13,199 real bins is 4."""
FLAT_BLOCKS = 4
"""A run of ZERO_RUN zeros can only be whole if it stands for at least so many blocks of one colour."""
_MARKER = re.compile(
    rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL
)  # FF 00 and restarts belong to the pixels, FF FF is filling
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_PIXELS = _FRAMES | {0xC4, 0xCC, 0xDB, 0xDD}
_STANDALONE = frozenset({0x01, 0xD8})
_SCAN, _EXIF, _JFIF, _ADOBE = 0xDA, 0xE1, 0xE0, 0xEE
_EXTRANEOUS = re.compile(r"(\d+) extraneous bytes before marker 0xd9")


def read(data: bytes) -> EncodedImage:
    """Read everything but the pixels. Raises DamagedImage when a segment or a scan is missing."""
    kept, exif, has_zeros, scans = [START], b"", False, 0
    width = height = 0
    framed, progressive, missing = False, False, dict[int, set[int]]()
    place = len(START)
    while (found := _MARKER.search(data, place)) and (marker := data[found.end() - 1]) != END[1]:
        place = found.end()
        if marker in _STANDALONE:
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        content = data[place + 2 : place + length]
        if length < 2 or len(content) != length - 2:
            raise DamagedImage("ends in its header")
        place += length
        if marker in _FRAMES:
            if framed:  # a decoder makes room for the first, whatever a later one says
                raise DamagedImage("is damaged, not whole (it has two frames)")
            framed = True
            height, width, components = struct.unpack_from(">HHB", content.ljust(6, b"\0"), 1)
            progressive = marker in _PROGRESSIVE
            missing = {one: set(range(64)) for one in content[6 : 6 + 3 * components : 3]}
        if marker == _SCAN:
            scans += 1
            if scans > MAX_SCANS:
                raise DamagedImage(f"has more than {MAX_SCANS} scans", "save it again with fewer")
            content = _scan(content, missing, progressive=progressive)
            end = _MARKER.search(data, place)
            stop = end.start() if end else len(data)
            pixels, place = data[place:stop], stop
            has_zeros = has_zeros or bytes(ZERO_RUN) in pixels
            kept += [_segment(marker, content), pixels]
        elif marker in _PIXELS or _tells_colours(marker, content):
            kept.append(_segment(marker, content))
        elif marker == _EXIF and not exif and content.startswith(b"Exif\0"):
            exif = content[6:]
    if not scans or not missing:
        raise DamagedImage("ends before its pixels")
    if any(missing.values()):
        raise DamagedImage("lacks a scan")
    return EncodedImage(width, height, exif, b"".join([*kept, END]), has_zeros)


def decode(image: EncodedImage) -> Image.Image:
    """The pixels as RGB, in the orientation in which they are stored. Raises DamagedImage when some are lost."""
    return Image.fromarray(decode_pixels(image))


def decode_pixels(image: EncodedImage, least: int = 0) -> npt.NDArray[np.uint8]:
    """The same as (height, width, 3), 0 to 255.

    With `least`, an image is decoded at the smallest reduced scale (a half or less) that leaves so many pixels a side.
    """
    scale = {"min_height": least, "min_width": least, "min_factor": 2} if least else {}
    try:
        pixels = simplejpeg.decode_jpeg(image.stream, **scale)
    except ValueError as error:
        if "subsampling" in str(error):  # TurboJPEG decodes only common ones
            return np.array(Image.open(io.BytesIO(image.stream), formats=("JPEG",)).convert("RGB"))
        padding = _EXTRANEOUS.search(str(error))
        if not padding or image.stream[: -len(END)][-int(padding[1]) :].strip(b"\0"):
            raise DamagedImage(f"is damaged, not whole ({error})") from error
        pixels = simplejpeg.decode_jpeg(image.stream, strict=False, **scale)
    if image.has_zeros and _flat_blocks(pixels) < FLAT_BLOCKS:
        raise DamagedImage("is damaged, not whole (a part is zeros)")
    return np.asarray(pixels, np.uint8)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _tells_colours(marker: int, content: bytes) -> bool:
    return (marker == _JFIF and content.startswith(b"JFIF\0\1")) or (
        marker == _ADOBE and content.startswith(b"Adobe") and len(content) > 11 and content[11] <= 2
    )


def _scan(content: bytes, missing: dict[int, set[int]], *, progressive: bool) -> bytes:
    """The header of a scan; what it brings is taken from the coefficients that are `missing` of each component."""
    if len(content) < 4 or len(content) < 4 + 2 * content[0]:
        raise DamagedImage("ends in its header")
    if not progressive:  # some cameras fill in what means nothing here
        content = content[:-3] + b"\x00\x3f\x00"
    first, last, precision = content[-3:]
    if precision & 15 == 0:
        for component in content[1 : 1 + 2 * content[0] : 2]:
            missing.get(component, set()).difference_update(range(first, last + 1))
    return content


def _flat_blocks(pixels: npt.NDArray[np.uint8]) -> int:
    """How many blocks of 16x16 pixels have one exact colour."""
    height, width = (side // 16 for side in pixels.shape[:2])
    blocks = pixels[: height * 16, : width * 16].reshape(height, 16, width, 16, 3)
    return int((blocks.max((1, 3)) == blocks.min((1, 3))).all(-1).sum())
