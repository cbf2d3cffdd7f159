"""Images of a set inside a few tar archives instead of a file each.

A store like S3 reads a few large files many times as fast as hundreds of thousands of small ones. The index has the
place of every image in its archive, so images are read in any order, and training draws the same batches as from files.
Each archive also holds `<id>.cls`, the count, and `<id>.json`, the metadata, beside `<id>.jpg`: the layout of
WebDataset, which other loaders stream.
"""

import io
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class StoredFile(Protocol):
    """What holds an encoded image or a metadata file: a Path, or a member of an archive."""

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


@dataclass(frozen=True)
class Sample:
    """What an archive holds of a bin: its image, its count, and its metadata if there is any."""

    id: str
    count: int
    image: StoredFile
    metadata: StoredFile | None


def write_archives(
    folder: Path, name: str, samples: Iterable[Sample], limit_bytes: int
) -> Iterator[tuple[Member, Member | None]]:
    """Write samples into <name>-00000.tar and so on; yields where the image and the metadata of each one lie.

    An archive that has reached `limit_bytes` gets no further sample.
    """
    archive, number = None, 0
    try:
        for one in samples:
            if archive is None:
                path = folder / f"{name}-{number:05}.tar"
                archive, number = tarfile.open(path, "w", format=tarfile.PAX_FORMAT), number + 1  # noqa: SIM115
            image = _put(archive, path, f"{one.id}{Path(one.image.name).suffix}", one.image)
            _add(archive, f"{one.id}.cls", str(one.count).encode())
            yield image, _put(archive, path, f"{one.id}.json", one.metadata) if one.metadata else None
            if archive.offset >= limit_bytes:
                archive.close()
                archive = None
    finally:
        if archive:
            archive.close()


def _put(archive: tarfile.TarFile, path: Path, name: str, file: StoredFile) -> Member:
    content = file.read_bytes()
    return Member(path, name, _add(archive, name, content), len(content))


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> int:
    """Add a file; returns where its content begins in the archive."""
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
    blocks = -(-len(content) // tarfile.BLOCKSIZE)
    return archive.offset - blocks * tarfile.BLOCKSIZE
