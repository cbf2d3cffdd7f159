"""Images of a set inside a few tar archives instead of a file each.

A store like S3 reads a few large files many times as fast as hundreds of thousands of small ones. The index has the
place of every image in its archive, so images are read in any order, and training draws the same batches as from files.
Each archive also holds `<id>.cls`, the count, beside `<id>.jpg`: the layout of WebDataset, which other loaders stream.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class ImageFile(Protocol):
    """What holds one encoded image: a Path, or a member of an archive."""

    @property
    def name(self) -> str:
        """Its file name."""

    def read_bytes(self) -> bytes:
        """The whole content."""


@dataclass(frozen=True)
class Member:
    """`size` bytes from `offset` on in the file `archive`, the member `name` of it."""

    archive: Path
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        """The whole content. Raises OSError when the archive is shorter than its index says."""
        with self.archive.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise OSError(f"{self.archive} ends within {self.name}: copy it again")
        return content

    def __str__(self) -> str:
        return f"{self.archive}/{self.name}"


def write_archives(folder: Path, images: Iterable[tuple[str, int, ImageFile]], limit_bytes: int) -> Iterator[Member]:
    """Write images, each with its id and count, into images-00000.tar and so on; yields where each one lies.

    An archive that has reached `limit_bytes` gets no further image.
    """
    archive, number = None, 0
    try:
        for id, count, image in images:
            if archive is None:
                path = folder / f"images-{number:05}.tar"
                archive, number = tarfile.open(path, "w", format=tarfile.PAX_FORMAT), number + 1  # noqa: SIM115
            content = image.read_bytes()
            name = f"{id}{Path(image.name).suffix}"
            yield Member(path, name, _add(archive, name, content), len(content))
            _add(archive, f"{id}.cls", str(count).encode())
            if archive.offset >= limit_bytes:
                archive.close()
                archive = None
    finally:
        if archive:
            archive.close()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> int:
    """Add a file; returns where its content begins in the archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
    blocks = -(-len(content) // tarfile.BLOCKSIZE)
    return archive.offset - blocks * tarfile.BLOCKSIZE
