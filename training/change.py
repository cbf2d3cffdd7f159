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
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from inventory.alert_text import one_line
from inventory.prediction import Prediction
from model.predictor import ARTIFACT, BrokenArtifactError, Predictor

from .data.bins import SPLITS, LabelledBin, counts_of, read_bins
from .data.metadata import object_volumes
from .data.pairs import Pair, consecutive_pairs
from .evaluate import predict_all
from .measure.change import change_quality, check_pairs, count_quality

if TYPE_CHECKING:
    from .network.pair_network import Photographs

Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
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
    pairs = consecutive_pairs(bins)
    volumes = [object_volumes(one.metadata.read_bytes()) if one.metadata else None for one in bins]
    if network:
        predictions, counts, known, likelihoods = _compared(predictor, artifact, bins, _paired(data, TRAIN))
    else:
        predictions, counts, known, likelihoods = predict_all(predictor, bins), counts_of(bins), pairs, None
    checks = check_pairs(predictions, counts, known, likelihoods, volumes)
    count = {"count": count_quality(predictions, counts, pairs)}
    return {"model": predictor.name} | count | change_quality(checks)


def _compared(
    predictor: Predictor, artifact: Path, bins: Sequence[LabelledBin], learnt: Sequence[LabelledBin]
) -> tuple[list[Prediction], Counts, list[Pair], Array]:
    """The photographs of `bins` and their variations: predictions and true counts, pairs of them, and the likelihoods
    (pairs, changes) of their changes by networks that were trained on those of `learnt`."""
    from .network.features import photographs  # here: all else needs neither torch nor onnx
    from .network.pair_network import ChangeEstimator, unchanged_pairs

    def pairs_of(bins: Sequence[LabelledBin]) -> "tuple[Photographs, list[Pair]]":
        both = photographs(predictor, artifact, bins) + photographs(predictor, artifact, bins, varied=True)
        return both, consecutive_pairs(bins) + unchanged_pairs(len(bins))

    estimator = ChangeEstimator(*pairs_of(learnt))
    seen, known = pairs_of(bins)
    return _predictions(predictor, seen), seen.counts, known, estimator.likelihoods(seen, known)


def _predictions(predictor: Predictor, seen: "Photographs") -> list[Prediction]:
    """The endpoint's answers for photographs."""
    shown = zip(seen.probabilities, seen.log_volumes.tolist(), strict=True)
    return [Prediction(**asdict(predictor.answer(*one))) for one in shown]


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
