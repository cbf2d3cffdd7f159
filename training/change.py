"""Measures what the last photograph of a bin adds to suspicion, on consecutive photographs in a set.

    python -m training.change --data SET --split val --out runs/change.json

Neighbouring ids that share half of their objects are photographs of one bin. Read test once, when nothing remains to be
chosen.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from inventory.alert_text import one_line
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .data.bins import SPLITS, counts_of, read_bins
from .data.pairs import consecutive_pairs
from .evaluate import predict_all
from .measure.change import change_quality, check_pairs


def measure(data: Path, split: str, artifact: Path) -> dict[str, object]:
    """The figures of `change_quality` for the consecutive photographs of a split.

    Raises FileNotFoundError and ValueError as `read_bins` does, ValueError when there are none, BrokenArtifactError
    when the artifact cannot be served.
    """
    bins = read_bins(data, split)
    paired = {pair.now for pair in consecutive_pairs(bins)}
    if not paired:
        raise ValueError(f"no neighbouring ids in {split} share half of their objects: name a set with metadata")
    bins = [bins[place] for place in sorted(paired)]
    predictor = Predictor(artifact)
    predictions = predict_all(predictor, bins)
    return {"model": predictor.name} | change_quality(
        check_pairs(predictions, counts_of(bins), consecutive_pairs(bins))
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring; `arguments` instead of the process's own."""
    parser = argparse.ArgumentParser(description="Measure what the last photograph of a bin adds to suspicion.")
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument("--split", choices=SPLITS, default="val")
    parser.add_argument("--artifact", type=Path, default=ARTIFACT)
    parser.add_argument("--out", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    try:
        figures = measure(options.data, options.split, options.artifact)
    except (BrokenArtifactError, FileNotFoundError, ValueError) as error:
        sys.exit(f"change: {one_line(error)}")
    text = json.dumps(figures, indent=2) + "\n"
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
