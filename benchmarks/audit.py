"""Whether the audit's intervals hold what they promise: reviews of simulated checks, beside the truth.

    python -m benchmarks.audit FOLDER --split test

FOLDER holds labelled bins: `bin-images/<id>.jpg` and index.csv with the columns id, expected_quantity and split. The
shipped model counts each image once. Then, again and again with another seed, checks are drawn from these bins, some
records are made wrong by known slips, and a reviewer who errs now and then answers the most suspicious alerts and the
whole audit. Printed: how often each 95% interval covers the truth, and the naive share of wrong records among alerts.
"""

import argparse
import csv
import json
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.progress import track

from inventory.check import Finding
from inventory.metadata import Record
from inventory.prediction import Prediction
from inventory.reports.audit import OTHER, Interval, ReviewedCheck, audit, band_of, review_weights, slip_shares
from inventory.sampling import agreed_count
from inventory.verdict import MIXED_UP_SHARE, SLIPS, judge
from model.predictor import Predictor

PROGRESS = Console(stderr=True)
ASSUMED_RATE = 0.02
"""What the template assumes, whatever the truth is."""


@dataclass(frozen=True)
class World:
    """Bins, as true counts and what the model says of each, and how people err in it.

    `wrong_share` of the records are wrong; of the `checks`, `audit_share` is audited and `alerts` are reviewed, by
    somebody who is right in `reviewer_right` of all answers and one off in the others. Shares lie between 0 and 1.
    """

    bins: Sequence[tuple[int, Prediction]]
    checks: int = 200_000
    wrong_share: float = 0.04
    audit_share: float = 0.001
    alerts: int = 300
    reviewer_right: float = 0.97


@dataclass(frozen=True)
class Outcome:
    """Of one seed: the truth, the estimate of each figure, and the naive share of wrong records."""

    truth: dict[str, float]
    estimates: dict[str, Interval]
    naive_wrong: float


def simulate(world: World, seed: int) -> Outcome:
    """One simulated month."""
    rng = random.Random(seed)  # noqa: S311
    verdict = cache(lambda bin, recorded: judge(world.bins[bin][1], Record(recorded), ASSUMED_RATE))
    bands: Counter[int] = Counter()
    slips: Counter[int] = Counter()
    audited, alerts, right, errors, wrong = [], [], 0, [0, 0], 0
    for _ in range(world.checks):
        bin = rng.randrange(len(world.bins))
        actual, prediction = world.bins[bin]
        recorded = _slipped(world, actual, rng) if rng.random() < world.wrong_share else actual
        judged = verdict(bin, recorded)
        opens = prediction.count == len(prediction.labels) - 1
        bands[band_of(judged.suspicion)] += 1
        right += actual == prediction.count or (opens and actual >= prediction.count)
        if not opens:
            errors = [errors[0] + prediction.count - actual, errors[1] + 1]
        if recorded != actual:
            wrong += 1
            slips[actual - recorded if actual - recorded in SLIPS else OTHER] += 1
        check = ReviewedCheck(recorded, prediction.count, actual, judged.suspicion, False, opens)
        if rng.random() < world.audit_share:
            audited.append(check)
        elif judged.status == "mismatch":
            alerts.append(check)
    reviewed = list(_reviewed(world, audited, alerts, rng))
    found = audit(reviewed)
    if found is None or found.bias is None:
        raise ValueError("nothing was audited: raise audit_share or checks")
    truth = {"wrong records": wrong / world.checks, "accuracy": right / world.checks, "bias": errors[0] / errors[1]}
    estimates = {"wrong records": found.wrong, "accuracy": found.accuracy, "bias": found.bias}
    for slip, interval in slip_shares(reviewed, review_weights(reviewed, bands)).items():
        name = f"slip {slip:+d}" if slip != OTHER else "slip, other"
        truth[name], estimates[name] = slips[slip] / max(1, wrong), interval
    return Outcome(truth, estimates, found.naive_wrong or 0.0)


def coverage(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """Of each figure: how often its interval covers the truth, the means of truth and estimate, and the mean width."""
    rows = {}
    for name in outcomes[0].truth:
        pairs = [(outcome.truth[name], outcome.estimates[name]) for outcome in outcomes]
        rows[name] = {
            "covered": sum(estimate.low <= truth <= estimate.high for truth, estimate in pairs),
            "truth": fmean(truth for truth, _ in pairs),
            "estimate": fmean(estimate.estimate for _, estimate in pairs),
            "width": fmean(estimate.high - estimate.low for _, estimate in pairs),
        }
    return rows


def _slipped(world: World, actual: int, rng: random.Random) -> int:
    """What a wrong record says of a bin that holds `actual` objects."""
    if rng.random() < MIXED_UP_SHARE:
        return rng.choice([count for count, _ in world.bins if count != actual])
    possible = [slip for slip in SLIPS if actual - slip >= 0]
    return actual - rng.choices(possible, [SLIPS[slip] for slip in possible])[0]


def _reviewed(
    world: World, audited: list[ReviewedCheck], alerts: list[ReviewedCheck], rng: random.Random
) -> Iterator[ReviewedCheck]:
    """What people find: each audited check until answers agree, at most thrice, and the most suspicious alerts once."""

    def answer(actual: int) -> int:
        return actual if rng.random() < world.reviewer_right else abs(actual + rng.choice((-1, 1)))

    for check in audited:
        findings: list[Finding] = []
        agreed = None
        while agreed is None and len(findings) < 3:
            findings.append(Finding("", "count", answer(check.actual), "", len(findings)))
            agreed = agreed_count(check.expected, findings)
        if agreed is not None:
            yield ReviewedCheck(check.expected, check.predicted, agreed, check.suspicion, True, check.open_label)
    for check in sorted(alerts, key=lambda one: one.suspicion, reverse=True)[: world.alerts]:
        found = answer(check.actual)
        yield ReviewedCheck(check.expected, check.predicted, found, check.suspicion, False, check.open_label)


def counted(folder: Path, split: str) -> list[tuple[int, Prediction]]:
    """The labelled bins of a split, counted by the shipped model."""
    with (folder / "index.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    predictor, found = Predictor(), []
    for row in track(rows, "counting", console=PROGRESS):
        seen = predictor.predict((folder / "bin-images" / f"{row['id']}.jpg").read_bytes())
        prediction = Prediction(seen.count, seen.labels, seen.probabilities, seen.prior, seen.model)
        found.append((int(row["expected_quantity"]), prediction))
    return found


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="How often the audit's intervals cover the truth.")
    parser.add_argument("folder", type=Path, help="labelled bins: bin-images/ and index.csv")
    parser.add_argument("--split", default="test", help="of index.csv")
    parser.add_argument("--runs", type=int, default=100, help="seeds")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    world = World(counted(options.folder, options.split))
    outcomes = [simulate(world, seed) for seed in track(range(options.runs), "simulating", console=PROGRESS)]
    rows, naive = coverage(outcomes), fmean(outcome.naive_wrong for outcome in outcomes)
    if options.json:
        print(json.dumps({"runs": options.runs, "figures": rows, "naive_wrong": naive}, indent=2))
        return
    print(f"| figure | truth | mean estimate | mean width | covered, of {options.runs} |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, row in rows.items():
        print(f"| {name} | {row['truth']:.3f} | {row['estimate']:.3f} | {row['width']:.3f} | {row['covered']} |")
    print(f"\nShare of wrong records among reviewed alerts: {naive:.3f}")


if __name__ == "__main__":
    main()
