"""Measures what the last photograph of a bin adds to suspicion, on consecutive photographs in a set.

    python -m training.change --data SET --split val --out runs/change.json
    python -m training.change --data SET --split val --network      (minutes)

Neighbouring ids that share half of their objects are photographs of one bin. With --network, networks that see both
photographs are trained on the pairs of train, and measured too. They also learn from, and are measured on, pairs of a
photograph and a variation of it: bins that did not change. Read test once, when nothing remains to be chosen.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from inventory.alert_text import one_line
from inventory.prediction import Prediction, estimated
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .data.bins import SPLITS, LabelledBin, counts_of, read_bins
from .data.metadata import object_volumes
from .data.pairs import consecutive_pairs
from .evaluate import predict_all
from .measure.change import change_quality, check_pairs, count_quality

if TYPE_CHECKING:
    from .network.pair_network import Photographs

TRAIN = SPLITS[0]


def measure(data: Path, split: str, artifact: Path, *, network: bool = False) -> dict[str, object]:
    """The figures of `change_quality` for the consecutive photographs of a split.

    With `network` also those with the change that networks estimate, which are trained on the pairs of train.

    Raises FileNotFoundError and ValueError as `read_bins` does, ValueError when there are no pairs or networks would be
    measured on what they were trained on, BrokenArtifactError when the artifact cannot be served.
    """
    if network and split == TRAIN:
        raise ValueError(f"networks that were trained on {TRAIN} are not measured on it: name another --split")
    predictor = Predictor(artifact)
    bins = _paired(data, split)
    counts, pairs = counts_of(bins), consecutive_pairs(bins)
    volumes = [object_volumes(one.metadata.read_bytes()) if one.metadata else None for one in bins]
    if not network:
        predictions = predict_all(predictor, bins)
        checks = check_pairs(predictions, counts, pairs, volumes=volumes)
        count = {"count": count_quality(predictions, counts, pairs)}
        return {"model": predictor.name} | count | change_quality(checks)

    from .network.features import photographs  # here: all else needs neither torch nor onnx
    from .network.pair_network import ChangeEstimator, unchanged_pairs

    def both(bins: Sequence[LabelledBin]) -> "Photographs":
        return photographs(predictor, artifact, bins) + photographs(predictor, artifact, bins, varied=True)

    learnt = _paired(data, TRAIN)
    estimator = ChangeEstimator(both(learnt), consecutive_pairs(learnt) + unchanged_pairs(len(learnt)))
    seen = both(bins)
    predictions, known = _predictions(predictor, seen), pairs + unchanged_pairs(len(bins))
    checks = check_pairs(predictions, seen.counts, known, estimator.likelihoods(seen, known), volumes)
    count = {"count": count_quality(predictions, counts, pairs)}
    return {"model": predictor.name} | count | change_quality(checks)


def _predictions(predictor: Predictor, seen: "Photographs") -> list[Prediction]:
    """The endpoint's answers for photographs."""
    volumes = np.expm1(seen.log_volumes).clip(0).tolist() if predictor.volume_error else repeat(None)
    return [
        estimated(Prediction(0, predictor.labels, tuple(row), predictor.prior, predictor.name, volume, error))
        for row, volume, error in zip(seen.probabilities.tolist(), volumes, repeat(predictor.volume_error))
    ]


def _paired(data: Path, split: str) -> list[LabelledBin]:
    """The bins of a split that were photographed more than once."""
    bins = read_bins(data, split)
    paired = {pair.now for pair in consecutive_pairs(bins)}
    if not paired:
        raise ValueError(f"no neighbouring ids in {split} share half of their objects: name a set with metadata")
    return [bins[place] for place in sorted(paired)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: see the module's docstring; `arguments` instead of the process's own."""
    parser = argparse.ArgumentParser(description="Measure what the last photograph of a bin adds to suspicion.")
    parser.add_argument("--data", type=Path, required=True, help="set that training.prepare made")
    parser.add_argument("--split", choices=SPLITS, default="val")
    parser.add_argument("--artifact", type=Path, default=ARTIFACT)
    parser.add_argument("--network", action="store_true", help="also train networks that see both photographs")
    parser.add_argument("--out", type=Path, help="also write the figures here")
    options = parser.parse_args(arguments)
    try:
        figures = measure(options.data, options.split, options.artifact, network=options.network)
    except (BrokenArtifactError, FileNotFoundError, ValueError) as error:
        sys.exit(f"change: {one_line(error)}")
    text = json.dumps(figures, indent=2) + "\n"
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
