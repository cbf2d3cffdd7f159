"""Sets of small pictures that are quick to learn: a bin with three objects shows three bright squares."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image

SPLIT_OF = ("train", "train", "train", "val", "test")


def write_set(folder: Path, bins: int, *, labels: int = 4, side: int = 32, facts: bool = True) -> Path:
    """Write `bins` pictures of 0 to labels - 1 squares, every label in every split, with an index.csv."""
    (folder / "bin-images").mkdir(parents=True)
    rows = []
    for number in range(bins):
        count = number // len(SPLIT_OF) % labels
        rng = np.random.default_rng(number)
        pixels = rng.integers(20, 60, (side, side, 3), dtype=np.uint8)
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
