"""Entry of processing jobs that judge a candidate, and whether it is better than the champion on the same images.

Leaves the report of `training.evaluate` and comparison.json. Compared is the log loss, since suspicion is reckoned from
the probabilities and not from the likeliest count, after the answers of both were shifted to the set's own mix of
counts, as a site does: a model is no better for assuming the mix of a test set. The interval of the gain is of the
differences bin by bin. Without a champion, knowing nothing but that mix stands in for one.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import numpy.typing as npt

from inventory.prediction import Prediction
from model.calibration import merge_tail
from model.predictor import BrokenArtifactError, Predictor
from training.data.bins import LabelledBin, counts_of, read_bins, training_label
from training.evaluate import predict_usable, read_answers, shifted_to_own_mix
from training.jobs.container.evaluate import FOLDER, input_set, judge
from training.jobs.errors import JobError
from training.jobs.pipeline import champion

MIN_PROBABILITY = 1e-12
ROUNDS = 2000


def losses(predictions: Sequence[Prediction], bins: Sequence[LabelledBin], labels: int) -> npt.NDArray[np.float64]:
    """Negative log likelihood of each bin's true label, in nats, (n,). Finer labels are merged into so many."""
    counts = counts_of(bins)
    shares = merge_tail(np.array([one.probabilities for one in shifted_to_own_mix(predictions, counts)]), labels)
    of_true = shares[np.arange(len(bins)), training_label(counts, shares.shape[1])]
    values: npt.NDArray[np.float64] = -np.log(np.maximum(of_true, MIN_PROBABILITY))
    return values


def mix_losses(labels: int, bins: Sequence[LabelledBin]) -> npt.NDArray[np.float64]:
    """The same of answers that are the mix of counts of the bins, whatever the image, (n,)."""
    true = training_label(counts_of(bins), labels)
    return -np.log(np.bincount(true)[true] / len(bins))


def gain(
    candidate: npt.NDArray[np.float64], other: npt.NDArray[np.float64], rounds: int = ROUNDS, seed: int = 0
) -> dict[str, float]:
    """How much less the candidate loses, in nats a bin: the mean, and its 95% bootstrap interval over bins."""
    gains = other - candidate
    drawn = np.random.default_rng(seed).integers(0, len(gains), (rounds, len(gains)))
    low, high = np.quantile(gains[drawn].mean(1), (0.025, 0.975))
    return {"mean": float(gains.mean()), "low": float(low), "high": float(high)}


def compare(bins: Sequence[LabelledBin], answers: Sequence[Prediction], endpoint: str) -> dict[str, Any]:
    """The answers of the candidate for `bins` beside those of the model that the endpoint serves.

    An image that the champion refuses is left out for both. Where one of them has more labels, those are merged into
    the other's. Raises JobError when the champion cannot be read, ValueError when it refuses every image.
    """
    skipped: dict[str, str] = {}
    uri = champion.archive(boto3.client("sagemaker"), endpoint)
    if uri is None:
        labels = len(answers[0].labels)
        name, candidate_losses = None, losses(answers, bins, labels)
        champion_losses = mix_losses(labels, bins)
    else:
        with champion.artifact(boto3.client("s3"), uri) as folder:
            predictor = Predictor(folder)
        labels = min(len(predictor.labels), len(answers[0].labels))
        of_candidate = dict(zip((one.id for one in bins), answers, strict=True))
        bins, of_champion, skipped = predict_usable(predictor, bins)
        name, champion_losses = predictor.name, losses(of_champion, bins, labels)
        candidate_losses = losses([of_candidate[one.id] for one in bins], bins, labels)
    return {
        "bins": len(bins),
        "skipped": skipped,
        "candidate": {"model": answers[0].model, "log_loss": float(candidate_losses.mean())},
        "champion": {"model": name, "archive": uri, "log_loss": float(champion_losses.mean())},
        "gain": gain(candidate_losses, champion_losses),
    }


def main() -> None:
    """Judge the candidate, then compare."""
    parser = argparse.ArgumentParser(description="Judge a candidate beside the champion.")
    parser.add_argument("--split", required=True)
    parser.add_argument("--endpoint", required=True)
    options = parser.parse_args()
    judge(["--split", options.split])
    with input_set(options.split) as folder:
        bins = read_bins(folder, options.split)
        try:
            answered, answers, unanswered = read_answers(FOLDER / "input" / "answers", bins)
            if unanswered:  # leaving them out would favour a candidate that fails on hard images
                first = next(iter(unanswered.values()))
                raise JobError(f"the candidate has no answer for {len(unanswered)} of {len(bins)} images: {first}")
            compared = compare(answered, answers, options.endpoint)
        except (JobError, BrokenArtifactError, ValueError) as error:
            raise SystemExit(str(error)) from error
    text = json.dumps(compared, indent=2)
    Path(FOLDER / "output" / "comparison.json").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
