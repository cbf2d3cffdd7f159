"""Bins, and the inbox keys of the image and the metadata file of each. Pure code."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from inventory.errors import RejectedUpload

Part = Literal["image", "metadata"]
PARTS: tuple[Part, Part] = ("image", "metadata")


@dataclass(frozen=True)
class PartFiles:
    """The files of a part: their folder, and their media types by extension. The case of an extension is ignored."""

    folder: str
    media_types: Mapping[str, str]


FILES: Mapping[Part, PartFiles] = {
    "image": PartFiles("bin-images", {"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png"}),
    "metadata": PartFiles("metadata", {"json": "application/json"}),
}
"""What may be a file of a bin."""
FOLDERS: Mapping[str, Part] = {files.folder: part for part, files in FILES.items()}
LAYOUT = "[<site>/]bin-images/<id>.jpg (or .jpeg, .png) beside [<site>/]metadata/<id>.json"
KEY_LIMIT_BYTES = 1024
"""The longest key that S3 accepts."""
FILE_NAME_LIMIT_BYTES = 255

_LONGEST_PLACE = max(len(f"{files.folder}/.{name}") for files in FILES.values() for name in files.media_types)
"""The most bytes that a key has besides its bin's name."""
_KEY = re.compile(
    "(?:(?P<site>.+)/)?(?:"
    + "|".join(
        rf"{files.folder}/(?P<{part}>[^/]+)\.(?ai:{'|'.join(map(re.escape, files.media_types))})"
        for part, files in FILES.items()
    )
    + ")",
    re.DOTALL,
)


@dataclass(frozen=True)
class Bin:
    """A bin of a site. Ids are strings: `523` is not `00523`. `site` may be empty.

    `locate` gives site and id with composed accents (NFC), whichever form the key has: they look alike.
    """

    site: str
    id: str

    @classmethod
    def named(cls, name: str) -> "Bin":
        """The bin of that name: `<site>/<id>`, or `<id>` without a site."""
        site, _, id = name.rpartition("/")
        return cls(site, id)

    @property
    def name(self) -> str:
        return f"{self.site}/{self.id}" if self.site else self.id

    @property
    def partition(self) -> str:
        """The partition key in the checks table. It never ends in a slash: see `check_items`."""
        return self.name

    def keys(self, part: Part) -> list[str]:
        """The usual inbox keys of a part of this bin, the most likely first: extensions in small letters, then in
        capitals, and then the same with decomposed accents. Without those that are too long for S3."""
        extensions = FILES[part].media_types
        keys = (
            f"{beginning}{extension}"
            for beginning in self.beginnings(part)
            for extension in (*extensions, *map(str.upper, extensions))
        )
        return [*filter(is_name, keys)]

    def beginnings(self, part: Part) -> list[str]:
        """What comes before the extension in the keys of a part, with composed and with decomposed accents; without
        what is too long for S3."""
        decomposed = Bin.named(unicodedata.normalize("NFD", self.name))
        spellings = (self, decomposed) if composed(decomposed.name) == self.name else (self,)
        return [*filter(is_name, dict.fromkeys(bin._beginning(part) for bin in spellings))]

    def _beginning(self, part: Part) -> str:
        return f"{self.site}/{FILES[part].folder}/{self.id}." if self.site else f"{FILES[part].folder}/{self.id}."


@dataclass(frozen=True)
class StrayKey:
    """A key outside the inbox layout. It belongs to no bin, and has partitions of its own in the checks table."""

    key: str
    site: str = ""

    @property
    def name(self) -> str:
        return self.key

    @property
    def partition(self) -> str:
        return f"keys/{self.key}/"


Subject = Bin | StrayKey
"""The subject of a check: a bin, or a key outside the inbox layout."""


def subjects_named(name: str) -> list[Subject]:
    """Whose checks a name may stand for, the likeliest first: a bin, a bin that an earlier version recorded with
    decomposed accents, a key outside the inbox layout."""
    return [*(Bin.named(spelt) for spelt in dict.fromkeys((composed(name), name))), StrayKey(name)]


def is_name(text: str) -> bool:
    """Whether a bin or a key can have this name: UTF-8 of 1 to KEY_LIMIT_BYTES bytes."""
    try:
        return 0 < len(text.encode()) <= KEY_LIMIT_BYTES
    except UnicodeEncodeError:
        return False


def is_file_name(name: str) -> bool:
    """Whether a file can be named so: the usual file systems take 255 bytes, and S3 takes keys that are longer."""
    try:
        return 0 < len(name.encode()) <= FILE_NAME_LIMIT_BYTES and not {"/", "\0"} & set(name)
    except UnicodeEncodeError:
        return False


def locate(key: str) -> tuple[Bin, Part]:
    """The bin that an inbox key belongs to, and which part of the bin it holds.

    Raises:
        RejectedUpload: the key is outside the inbox layout.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        raise RejectedUpload(
            f"key {key!r} is outside the inbox layout: use [<site>/]bin-images/<id>.jpg (or .jpeg, .png) for images "
            "and [<site>/]metadata/<id>.json for metadata"
        )
    part: Part = "metadata" if found["image"] is None else "image"
    return Bin.named(composed(Bin(found["site"] or "", found[part]).name)), part


def is_inbox_key(key: str) -> bool:
    """Whether a key is the place of a bin's file."""
    return _KEY.fullmatch(key) is not None


def why_no_bin_file(key: str) -> str:
    """Why a key is not the place of a bin's file, as the end of a sentence about it."""
    part = FOLDERS.get(key.rpartition("/")[0].rpartition("/")[2])
    if part is None:
        return f"is outside the layout {LAYOUT}"
    return f"is no {' or '.join(f'.{extension}' for extension in FILES[part].media_types)}"


def media_type(key: str) -> str:
    """The media type that the name of a bin's file promises. Raises RejectedUpload as `locate` does."""
    _, part = locate(key)
    return FILES[part].media_types[key.rpartition(".")[2].lower()]


def composed(name: str) -> str:
    """A bin's name with composed accents (NFC); as it is if it would get too long for one of the bin's keys by that."""
    normal = unicodedata.normalize("NFC", name)
    return normal if len(normal.encode(errors="surrogatepass")) + _LONGEST_PLACE <= KEY_LIMIT_BYTES else name
