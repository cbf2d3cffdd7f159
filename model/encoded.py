"""What is read of an encoded image before its pixels are decoded."""

from dataclasses import dataclass


class DamagedImage(ValueError):
    """The image lost a part, or is no image of its format. The text continues "the image", `cure` says what helps."""

    def __init__(self, text: str, cure: str = "upload it again") -> None:
        super().__init__(text)
        self.cure = cure


@dataclass(frozen=True)
class EncodedImage:
    """An image that is not decoded yet.

    `stream` is the image again, made of nothing but the parts that its pixels depend on, so that no decoder meets
    metadata. `exif` is the EXIF data without prefix, perhaps empty. `width` and `height` are pixels as stored.
    `has_zeros` says that its compressed pixels hold a long run of zero bytes.
    """

    width: int
    height: int
    exif: bytes
    stream: bytes
    has_zeros: bool = False
