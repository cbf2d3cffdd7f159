"""From something sound to something hostile: bytes change, move and repeat, and values of JSON are exchanged."""

import json
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

PNG = b"\x89PNG\r\n\x1a\n"
HOSTILE_JSON = (
    *(
        b"null",
        b"true",
        b"false",
        b"0",
        b"-0",
        b"-1",
        b"3",
        b"3.0",
        b'"3"',
        b"100001",
        b"2147483648",
        b'""',
        b"[]",
        b"{}",
    ),
    *(
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"1e-400",
        b"1e308",
        b"5e-324",
        b"1" + b"0" * 400,
        b"9" * 4301,
    ),
    *(b'"\\ud800"', b'"\\u0000"', b'"\\u202e"', b'"' + b"x" * 2000 + b'"', b'"' + b"\xf0\x9f\x93\xa6" * 300 + b'"'),
    *(b"[" * 985 + b"]" * 985, b'{"a":' * 985 + b"1" + b"}" * 985, b"[" * 100_000, b"[" + b"1," * 5000 + b"1]"),
)
_MARK = "\0exchanged\0"


def mutated(rng: random.Random, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """One of `seeds`, changed in a few places; `tokens` are what its readers look for."""
    data = rng.choice(seeds)
    if data.startswith((b"{", b"[")) and rng.random() < 0.6:
        data = exchanged(rng, data)
        if rng.random() < 0.7:
            return data
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        data = rng.choice(_EDITS)(rng, data, rng.choice((rng.randbytes(rng.randrange(1, 5)), rng.choice(tokens))))
    if rng.random() < 0.2:
        other = rng.choice(seeds)
        data = data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    if PNG in data and rng.random() < 0.8:
        start = data.index(PNG)
        data = data[:start] + sealed(data[start:])
    return data


def exchanged(rng: random.Random, data: bytes) -> bytes:
    """A JSON document with a value or two exchanged for hostile ones, or left out."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(rng.choice((1, 1, 2))):
        places = list(_places(document))
        if not places:
            break
        holder, place = rng.choice(places)
        if rng.random() < 0.1:
            del holder[place]
        else:
            holder[place] = _MARK
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5).encode()
    mark = json.dumps(_MARK).encode()
    while mark in text:
        text = text.replace(mark, rng.choice(HOSTILE_JSON), 1)
    return text


def sealed(png: bytes) -> bytes:
    """A PNG whose chunks have the right checksums, so that a change gets past them."""
    parts, at = [png[:8]], 8
    while at + 12 <= len(png):
        (length,) = struct.unpack_from(">I", png, at)
        content = png[at + 4 : at + 8 + length]
        parts += [png[at : at + 4], content, struct.pack(">I", zlib.crc32(content))]
        at += 12 + length
    return b"".join([*parts, png[at:]])


def _places(document: Any) -> Any:
    if isinstance(document, dict | list):
        for place, value in document.items() if isinstance(document, dict) else enumerate(document):
            yield document, place
            yield from _places(value)


def _span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 256)))


def _flip(rng: random.Random, data: bytes, _: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _insert(rng: random.Random, data: bytes, token: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + token + data[at:]


def _overwrite(rng: random.Random, data: bytes, token: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + token + data[at + len(token) :]


def _cut(rng: random.Random, data: bytes, _: bytes) -> bytes:
    start, end = _span(rng, data)
    return data[:start] + data[end:]


def _truncate(rng: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _repeat(rng: random.Random, data: bytes, token: bytes) -> bytes:
    start, end = _span(rng, data)
    repeated = data[start:end] or token
    return data[:start] + repeated * min(rng.choice((2, 2, 10, 100, 2000)), 40_000 // len(repeated)) + data[end:]


def _blank(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Zeros, as in a block that never reached the disk."""
    start, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:start] + bytes(end - start) + data[end:]


_EDITS: tuple[Callable[[random.Random, bytes, bytes], bytes], ...] = (
    _flip,
    _insert,
    _overwrite,
    _cut,
    _truncate,
    _repeat,
    _blank,
)
