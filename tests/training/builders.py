"""Sets of small images: learnable ones, in which three objects are three bright squares, and inboxes of noise."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

SPLIT_OF = ("train", "train", "train", "val", "test")


def write_set(folder: Path, bins: int, *, labels: int = 4, side: int = 32, facts: bool = True) -> Path:
    """Write `bins` images of 0 to labels - 1 squares, every label in every split, with an index.csv."""
    (folder / "bin-images").mkdir(parents=True)
    rows = []
    for number in range(bins):
        count = number // len(SPLIT_OF) % labels
        rng = np.random.default_rng(number)
        pixels = rng.integers(0, 80, (side, side, 3), dtype=np.uint8)
        for place in rng.permutation(9)[:count]:
            top, left = 2 + 10 * (place // 3), 2 + 10 * (place % 3)
            pixels[top : top + 7, left : left + 7] = 220
        Image.fromarray(pixels).save(folder / "bin-images" / f"{number:05}.png")
        row = {"id": f"{number:05}", "expected_quantity": count, "split": SPLIT_OF[number % len(SPLIT_OF)]}
        if facts:
            row |= {"volume_in3": 20.0 * count, "largest_in3": 20.0 * min(count, 1), "weight_lb": 0.5 * count}
        rows.append(row)
    with (folder / "index.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def record(count: int, items: Mapping[str, int] | None = None) -> bytes:
    held = {asin: {"asin": asin, "quantity": quantity} for asin, quantity in (items or {}).items()}
    return json.dumps({"BIN_FCSKU_DATA": held, "EXPECTED_QUANTITY": count}).encode()


def photo(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((40, 32)).save(buffer, "JPEG")
    return buffer.getvalue()


def write_bins(root: Path, counts: Mapping[str, int]) -> Path:
    for folder in ("bin-images", "metadata"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for seed, (bin_id, count) in enumerate(counts.items()):
        (root / "bin-images" / f"{bin_id}.jpg").write_bytes(photo(seed))
        (root / "metadata" / f"{bin_id}.json").write_bytes(record(count, {f"B{bin_id}": count} if count else {}))
    return root


def far_apart(bins: int) -> dict[str, int]:
    """Ids of different blocks, counts 1 to 3."""
    return {str(1000 + 50 * number): 1 + number % 3 for number in range(bins)}
