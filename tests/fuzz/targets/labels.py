"""A list of labels as people save it, up to the label of each bin."""

import json
import tempfile
from pathlib import Path

from inventory.metadata import EXPECTED_QUANTITY_LIMIT
from training.data.labels import read_labels

MEMORY_MB = 512
BINS = ("00523", "523", "S\u00fcd 1", "=1+1", "a,b")
TOKENS = (
    *(b"id", b"expected_quantity", b"split", b"train", b"00523", b"523", b"sep=", b"\xef\xbb\xbf", b"\xff\xfe", b"\0"),
    *(b",", b";", b"\t", b"|", b'"', b"'", b'="', b"\r\n", b"\r", b"\n", b"2,0", b"1e999", b"9" * 4301, b"[" * 5000),
    *("\u200e".encode(), b"\xc3\x28", b"PK\x03\x04", b"x" * 131_072),
)
path = Path(tempfile.mkdtemp()) / "labels.csv"


def feed(data: bytes) -> str:
    path.write_bytes(data)
    try:
        read = read_labels(path, BINS)
    except ValueError:
        return "ValueError"
    assert all(0 <= label.count <= EXPECTED_QUANTITY_LIMIT for label in read.labels.values())
    assert read.labels.keys().isdisjoint(read.faults)
    assert set(read.matches.found.values()) == read.labels.keys() | read.faults.keys()
    assert set(read.matches.found.values()) <= set(BINS)
    json.dumps([*read.faults.values(), read.matches.advice()])
    return "Labels"
