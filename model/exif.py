"""The orientation of a photograph, the only thing that is read of its EXIF data."""

import struct

ORIENTATION = 0x0112
INTEGERS = {1: "B", 3: "H", 4: "I"}
"""EXIF's types of an unsigned integer, by their numbers."""


def orientation(tiff: bytes) -> int:
    """1 to 8, as the main directory of EXIF data (without its `Exif` prefix) says; 1 where it says nothing sensible.

    Other tags, directories and values are passed over unread, so nothing in them can fail.
    """
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, start)
        for place in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", tiff, place)
            if tag == ORIENTATION and kind in INTEGERS and count == 1:
                (value,) = struct.unpack_from(order + INTEGERS[kind], tiff, place + 8)
                return int(value) if 1 <= value <= 8 else 1
    except struct.error:  # the data ends before what it promises
        pass
    return 1
