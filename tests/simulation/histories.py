"""Histories of a bin: what happened before, and what happens at once."""

from collections.abc import Iterator, Sequence
from itertools import combinations_with_replacement

from tests.simulation.warehouse import Key, Step

History = tuple[tuple[Step, ...], tuple[Step, ...]]
"""Steps that are over, and steps that run at once."""


def upload(key: Key, count: int | None = 2) -> Step:
    return Step("upload", key, count)


def again(key: Key) -> Step:
    return Step("again", key)


def remove(key: Key) -> Step:
    return Step("remove", key)


def expire(key: Key) -> Step:
    return Step("expire", key)


def review(count: int) -> Step:
    return Step("review", count=count)


UNCLEAR = Step("unclear")
WITHDRAWAL = Step("withdraw")
WATCHDOG = Step("watchdog")
ALPHABET = (
    upload("image", 2),
    upload("image", 3),
    upload("png", 3),
    upload("image", None),
    upload("metadata", 2),
    upload("metadata", 4),
    upload("metadata", None),
    upload("stray", 1),
    again("image"),
    again("metadata"),
    remove("image"),
    remove("metadata"),
    expire("image"),
    expire("png"),
    expire("metadata"),
    review(2),
    review(4),
    UNCLEAR,
    WITHDRAWAL,
    WATCHDOG,
)
BEFORE: tuple[tuple[Step, ...], ...] = (
    (),
    (upload("image", 2),),
    (upload("metadata", 4),),
    (upload("image", 2), upload("metadata", 4)),
    (upload("image", 2), upload("metadata", 2)),
    (upload("image", 2), upload("metadata", 4), upload("metadata", 2)),
    (upload("image", 2), WATCHDOG),
    (upload("png", 3), upload("metadata", 2), upload("image", 2)),
    (upload("image", 2), upload("metadata", 4), review(2)),
    (upload("image", 2), upload("metadata", 4), review(4), UNCLEAR, upload("metadata", 5)),
)


def histories(at_once: int, before: Sequence[tuple[Step, ...]] = BEFORE) -> Iterator[History]:
    """All histories in which so many things happen at once."""
    for past in before:
        for steps in combinations_with_replacement(ALPHABET, at_once):
            if is_possible(past + steps):
                yield past, steps


def is_possible(steps: Sequence[Step]) -> bool:
    """Whether each event that comes again comes at all."""
    uploaded = {step.key for step in steps if step.action == "upload"}
    return all(step.key in uploaded for step in steps if step.action == "again")


def killed(step: Step, at: int, *, after: bool) -> Step:
    """A step whose process dies at one of its calls."""
    return Step(step.action, step.key, step.count, at, after)
