"""What robots drop in a soak: pairs, at once or minutes apart; files again, files replaced, and files of no use."""

import hashlib
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from inventory.bins import Part, locate

AGAIN = 0.10
REPLACED = 0.05
FAR_APART = 0.5
"""Shares of uploads that are dropped again and replaced, and of pairs whose halves do not come at once."""
LONE = 0.02
UNREADABLE = 0.03
CURSED = 0.005
"""Shares of bins whose partner never comes, one of whose files is of no use, whose image breaks the endpoint."""
WRONG = 0.5
"""Share of records that say something else than the model sees."""
GAP = 0.15
"""The longest time between two uploads that belong together, as a share of the whole run."""

Use = Literal["pair", "lone", "unreadable", "cursed"]


@dataclass(frozen=True)
class Image:
    """An image, the record that lay beside it, and the label of what the model counts in it, as "3" or "6+"."""

    content: bytes
    record: dict[str, Any]
    label: str


@dataclass(frozen=True)
class Content:
    """One version of a part of a bin. `says` is the label that the model sees, or the quantity that is recorded; None
    for a file of no use."""

    body: bytes
    says: str | int | None

    @cached_property
    def version(self) -> str:
        return hashlib.md5(self.body).hexdigest()


@dataclass(frozen=True)
class Drop:
    """One upload: when, as a share of the run, under which key, and what."""

    at: float
    key: str
    content: Content


@dataclass(frozen=True)
class Plan:
    """All uploads in their order, and what each bin is used for."""

    drops: Sequence[Drop]
    uses: dict[str, Use]

    @property
    def cursed(self) -> frozenset[str]:
        """The versions of the images that break the endpoint."""
        return frozenset(
            drop.content.version
            for drop in self.drops
            if "/bin-images/" in drop.key and self.uses[bin_of(drop.key)] == "cursed"
        )


def plan(uploads: int, album: Sequence[Image], seed: int, site: str, *, curses: bool) -> Plan:
    """So many uploads in pairs, and those beyond them that are dropped again or replaced."""
    chance = random.Random(seed)
    drops: list[Drop] = []
    uses: dict[str, Use] = {}
    for number in range(uploads // 2):
        bin = f"{site}/{number:05d}"
        uses[bin] = use = _use(chance, curses)
        keys = [f"{site}/bin-images/{number:05d}.jpg", f"{site}/metadata/{number:05d}.json"]
        chance.shuffle(keys)
        first = chance.random()
        apart = chance.uniform(0, GAP) if chance.random() < FAR_APART else 0.0
        spoilt = chance.choice(keys) if use == "unreadable" else None
        image = chance.choice(album)
        for key, at in zip(keys[: 1 if use == "lone" else 2], (first, first + apart), strict=False):
            part = locate(key)[1]
            content = _unreadable(part, number) if key == spoilt else _content(chance, part, image)
            if use == "cursed" and part == "image":
                content = Content(content.body + f" cursed {number}".encode(), None)
            drops.append(Drop(at, key, content))
            if use == "cursed":
                continue
            if chance.random() < AGAIN:
                drops.append(Drop(at + _later(chance), key, content))
            if chance.random() < REPLACED:
                other = content
                while other.version == content.version:
                    other = _content(chance, part, chance.choice(album))
                drops.append(Drop(at + _later(chance), key, other))
    return Plan(sorted(drops, key=lambda drop: drop.at), uses)


def bin_of(key: str) -> str:
    return locate(key)[0].name


def images_in(folders: Iterable[Path], most: int) -> list[tuple[bytes, dict[str, Any]]]:
    """The readable bins of some folders in the inbox layout: image and record."""
    found = []
    for folder in folders:
        for path in sorted((folder / "bin-images").iterdir()):
            record = folder / "metadata" / f"{path.stem}.json"
            if len(found) < most and record.exists():
                found.append((path.read_bytes(), _parsed(record.read_bytes())))
    return found


def _parsed(record: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(record)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _use(chance: random.Random, curses: bool) -> Use:
    drawn = chance.random()
    if drawn < LONE:
        return "lone"
    if drawn < LONE + UNREADABLE:
        return "unreadable"
    return "cursed" if curses and drawn < LONE + UNREADABLE + CURSED else "pair"


def _later(chance: random.Random) -> float:
    """At once, while the file before is worked on, or in a while."""
    return 0.0 if chance.random() < 0.5 else chance.uniform(0, GAP)


def _content(chance: random.Random, part: Part, image: Image) -> Content:
    if part == "image":
        return Content(image.content, image.label)
    seen = int(image.label.removesuffix("+"))
    expected = max(0, seen + chance.choice((-2, -1, 1, 2))) if chance.random() < WRONG else seen
    return Content(json.dumps({**image.record, "EXPECTED_QUANTITY": expected}).encode(), expected)


def _unreadable(part: Part, number: int) -> Content:
    body = b"\xff\xd8\xff no image" if part == "image" else b"no record"
    return Content(body + f" {number}".encode(), None)
