"""Images in SET/<split>/<class>/<id>.jpg, as torchvision's ImageFolder reads them; each one whole or absent."""

import hashlib
from collections.abc import Container
from pathlib import Path

from PIL import Image

from inventory.bins import FILES, composed
from model.images import decode, resize

from .bins import SPLITS

OPEN_CLASS = 10
JPEG_QUALITY = 92
PNG = b"\x89PNG"
Size = tuple[int, int]


def class_name(count: int) -> str:
    """The class folder of a count: "00" to "09", and "10+"."""
    return f"{count:02d}" if count < OPEN_CLASS else f"{OPEN_CLASS}+"


def images_in(root: Path) -> dict[str, Path]:
    """Where the image of each id lies."""
    placed = (path for split in SPLITS for path in (root / split).glob("*/*"))
    return {composed(path.stem): path for path in placed if path.suffix[1:] in FILES["image"].media_types}


def put(data: bytes, folder: Path, name: str, size: int | None) -> tuple[Path, Size]:
    """Write the image `name`.* into a folder, as it is or resized to `size` pixels a side; its path and original
    (width, height) in pixels. Raises model.images.RejectedImage when it cannot be read."""
    image = decode(data)
    path = folder / f"{name}{'.png' if size is None and data.startswith(PNG) else '.jpg'}"
    if size is None:
        write_whole(path, data)
        return path, image.size
    started = _started(path)
    original = f"{image.width}x{image.height}".encode()
    Image.fromarray(resize(image, size)).save(started, "JPEG", quality=JPEG_QUALITY, comment=original)
    return started.replace(path), image.size


def original_size(path: Path, *, resized: bool) -> Size:
    """(width, height) in pixels of the image that was `put` there: a resized one has it in its JPEG comment."""
    if not resized:
        return decode(path.read_bytes()).size
    with Image.open(path) as image:
        width, height = image.info["comment"].split(b"x")
    return int(width), int(height)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that is whole or absent, even if this process is killed."""
    started = _started(path)
    started.write_bytes(data)
    started.replace(path)


def _started(path: Path) -> Path:
    """Where a file is written until it is whole; a name of any length has room for it."""
    return path.with_name(f"{hashlib.sha256(path.name.encode()).hexdigest()}.part")


def remove_others(root: Path, kept: Container[Path]) -> None:
    """Remove the files of other labels, of other splits and of killed runs from the class folders."""
    for path in (path for split in SPLITS for path in (root / split).glob("*/*") if path not in kept):
        path.unlink()
    for folder in (folder for split in SPLITS for folder in (root / split).glob("*")):
        if not any(folder.iterdir()):
            folder.rmdir()
