"""What a bin is: its id, and the keys of the two files that describe it. Pure code."""

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
        """Names the bin in the checks table. It never ends in a slash: see `check_items`."""
        return self.name

    def keys(self, part: Part) -> list[str]:
        """The inbox keys under which a part of this bin may lie, the likeliest first."""
        folder = f"{self.site}/" if self.site else ""
        if part == "metadata":
            return [f"{folder}metadata/{self.id}.json"]
        return [f"{folder}bin-images/{self.id}.{extension}" for extension in IMAGE_EXTENSIONS]


@dataclass(frozen=True)
class StrayKey:
    """A key that has no place in the inbox layout, so belongs to no bin. It is kept apart from bins."""

    key: str
    site: str = ""

    @property
    def name(self) -> str:
        return self.key

    @property
    def partition(self) -> str:
        return f"keys/{self.key}/"


Subject = Bin | StrayKey
"""What checks are made of, one after the other."""


def locate(key: str) -> tuple[Bin, Part]:
    """The bin that an inbox key belongs to, and which part of it lies there.

    Raises:
        RejectedUpload: the key has no place in the inbox layout.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        raise RejectedUpload(
            f"key {key!r} is no place in the inbox: use [<site>/]bin-images/<id>.jpg (or .jpeg, .png) for images "
            "and [<site>/]metadata/<id>.json for metadata"
        )
    site = found["site"] or ""
    if found["image"] is not None:
        return Bin(site, found["image"]), "image"
    return Bin(site, found["metadata"]), "metadata"
