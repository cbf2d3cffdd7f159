"""Bins, and the inbox keys of the image and the metadata file of each. Pure code."""

import re
from dataclasses import dataclass
from typing import Literal

from inventory.errors import RejectedUpload

Part = Literal["image", "metadata"]
PARTS: tuple[Part, Part] = ("image", "metadata")

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png")

_KEY = re.compile(
    r"(?:(?P<site>.+)/)?(?:bin-images/(?P<image>[^/]+)\.(?i:jpe?g|png)|metadata/(?P<metadata>[^/]+)\.(?i:json))",
    re.DOTALL,
)


@dataclass(frozen=True)
class Bin:
    """A bin of a site. Ids are strings: `523` is not `00523`. `site` may be empty."""

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
        """The possible inbox keys of a part of this bin, the most likely first."""
        folder = f"{self.site}/" if self.site else ""
        if part == "metadata":
            return [f"{folder}metadata/{self.id}.json"]
        return [f"{folder}bin-images/{self.id}.{extension}" for extension in IMAGE_EXTENSIONS]


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
    site = found["site"] or ""
    if found["image"] is not None:
        return Bin(site, found["image"]), "image"
    return Bin(site, found["metadata"]), "metadata"
