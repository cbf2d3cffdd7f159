"""Measures the artifact as it is served: picture bytes go through model.predictor, and what comes out is judged.

    python -m training.evaluate --data FOLDER --split val --out runs/first/val.json
    python -m training.evaluate --data ORIGINALS --out runs/first/originals.json     (no index: every pair there)

Figures come with 95% bootstrap intervals. Look at test once, when nothing is left to choose.
"""

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inventory.counting import Prediction
from model.predictor import ARTIFACT, Predictor

from .alert_quality import alert_quality
from .data import WHOLE, picture_paths
from .metrics import all_figures, bootstrap_intervals, confusion, per_class


def evaluate(predictor: Predictor, root: Path, split: str, *, limit: int | None = None) -> dict[str, object]:
    """Figures of a split, or of every pair of a folder without index (`split` "all")."""
    bins = picture_paths(root, split)[:limit]
    with ThreadPoolExecutor(2) as pool:
        served = pool.map(lambda entry: predictor.predict(entry[2].read_bytes()), bins)
        predictions = [Prediction(**asdict(one)) for one in tqdm(served, split, len(bins), unit="bin", leave=False)]
    counts = np.array([count for _, count, _ in bins])
    probabilities = np.array([prediction.probabilities for prediction in predictions])
    intervals = bootstrap_intervals(probabilities, counts)
    exact = {f"exact_{k}": share for k, share in per_class(probabilities, counts).items()}
    return {
        "model": predictor.name,
        "split": split,
        "bins": len(bins),
        "bins_0_5": int(np.sum(counts <= 5)),
        "figures": {
            name: {"value": round(value, 4), "interval": [round(bound, 4) for bound in intervals[name]]}
            for name, value in (all_figures(probabilities, counts) | exact).items()
        },
        "confusion": confusion(probabilities, counts).tolist(),
        "alert_quality": alert_quality(predictions, counts),
    }


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Measure the artifact as it is served.")
    parser.add_argument("--data", type=Path, required=True, help="folder with bin pictures")
    parser.add_argument("--split", default=WHOLE, help="of its index.csv; 'all' takes every pair, labelled by metadata")
    parser.add_argument("--artifact", type=Path, default=ARTIFACT)
    parser.add_argument("--limit", type=int, help="only the first so many bins: a quick try")
    parser.add_argument("--out", type=Path, help="also write the figures here, as JSON")
    options = parser.parse_args()
    report = evaluate(Predictor(options.artifact), options.data, options.split, limit=options.limit)
    text = json.dumps(report, indent=2) + "\n"
    print(text, end="")
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
