"""Reads and decodes PNGs. Only the chunks that hold pixels reach a decoder, and their checksums are compared."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from .encoded import DamagedImage, EncodedImage

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type
_TRANSPARENCY_BYTES = {0: 2, 2: 6}
_PIECE = 1 << 20


def read(data: bytes) -> EncodedImage:
    """Read everything but the pixels. Raises DamagedImage when a chunk is missing or altered, or it is animated."""
    kept, exif, pixels = [SIGNATURE], b"", list[bytes]()
    header, palette, place = b"", b"", len(SIGNATURE)
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        chunk = data[place : place + 12 + length]
        content = chunk[8:-4]
        if kind == b"IEND" or len(chunk) != 12 + length:
            break
        place += len(chunk)
        sound = chunk[-4:] == struct.pack(">I", zlib.crc32(chunk[4:-4]))
        if kind in {b"IHDR", b"PLTE", b"IDAT"}:
            if not sound:
                raise DamagedImage("is damaged (a checksum is wrong)")
            kept.append(chunk)
        if kind == b"IHDR":
            if header:
                raise DamagedImage("is damaged (it has two headers)")
            header = content
        elif kind == b"PLTE":
            palette = content
        elif kind == b"IDAT":
            pixels.append(content)
        elif kind == b"tRNS" and sound and header and _fits(content, header, palette):
            kept.append(chunk)
        elif kind == b"eXIf" and sound:
            exif = content
        elif kind == b"acTL" and content[:4] > b"\0\0\0\1" and not pixels:
            raise DamagedImage("is animated", "upload a single frame")
    if len(header) != 13 or not pixels:
        raise DamagedImage("ends before its pixels")
    width, height, depth, colour = struct.unpack_from(">IIBB", header)
    _check_pixels(b"".join(pixels), height * (width * depth * _CHANNELS.get(colour, 4) // 8 + 5) + 64)
    stream = b"".join([*kept, struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND"))])
    return EncodedImage(width, height, exif, stream)


def _fits(transparency: bytes, header: bytes, palette: bytes) -> bool:
    return len(transparency) <= len(palette) // 3 or len(transparency) == _TRANSPARENCY_BYTES.get(header[9])


def _check_pixels(data: bytes, limit: int) -> None:
    """Decompress at most `limit` bytes, which is what the pixels need, and compare the checksum where they end."""
    inflate = zlib.decompressobj()
    try:
        while data and limit > 0 and not inflate.eof:
            limit -= len(inflate.decompress(data, _PIECE))
            data = inflate.unconsumed_tail
    except zlib.error as error:
        raise DamagedImage(f"is damaged, not whole ({error})") from error
    if limit > 0 and not inflate.eof:
        raise DamagedImage("is damaged (it ends too early)")


def decode(image: EncodedImage) -> Image.Image:
    """The pixels as RGB, transparency over white. Raises DamagedImage when some are lost."""
    opened = Image.open(io.BytesIO(image.stream), formats=("PNG",))
    opened.load()
    return _to_rgb(opened)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8), "L").convert("RGB")
    if image.mode in {"LA", "PA", "RGBA"} or "transparency" in image.info:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return image if image.mode == "RGB" else image.convert("RGB")
