"""The bytes of an image, up to the pixels that the network sees."""

import warnings

from model.images import RejectedImage, decode, resize

MEMORY_MB = 1024
"""A quarter of ml.c6i.large, the smallest instance that docs/costs.md reckons with, which runs two images at once."""
TOKENS = (
    *(
        b"\xff\xd8",
        b"\xff\xd9",
        b"\xff\xda",
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xc4",
        b"\xff\xdb",
        b"\xff\xdd",
        b"\xff\xe1",
        b"\xff\xe2",
    ),
    *(
        b"Exif\0\0",
        b"MPF\0",
        b"ICC_PROFILE\0",
        b"Adobe",
        b"8BIM",
        b"MM\0*",
        b"II*\0",
        b"\xff\xff",
        b"\0\0",
        b"\x7f\xff\xff\xff",
    ),
    *(
        b"IHDR",
        b"IDAT",
        b"IEND",
        b"PLTE",
        b"tRNS",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"zTXt",
        b"iTXt",
        b"iCCP",
        b"eXIf",
        b"\x10",
        b"\x03",
    ),
)
SIDE = 260
warnings.simplefilter("ignore")  # Pillow's, of EXIF that makes no sense


def feed(data: bytes) -> str:
    try:
        pixels = resize(decode(data), SIDE)
    except RejectedImage as rejection:
        assert len(rejection.reason.encode()) < 500
        return "RejectedImage"
    assert pixels.shape == (SIDE, SIDE, 3)
    return "pixels"
