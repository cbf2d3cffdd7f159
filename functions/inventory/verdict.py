"""The verdict: does the image disagree with the record, and how likely is the record wrong? Pure code.

Suspicion is Bayes' rule over the true count k. p is the model's calibrated distribution, e the recorded count, r the
share of records that are wrong, and q(e|k) the chance that a wrong record of a bin with k objects says e:

    suspicion = r·Σ_{k≠e} q(e|k)·p_k / (r·Σ_{k≠e} q(e|k)·p_k + (1-r)·p_e)

If the record has the sizes of its objects and the model predicts a volume, each p_k is first multiplied by how well k
such objects fill that volume (`Record.volumes_in3`).

A record is disputed, a mismatch, if the count differs and suspicion exceeds r: after the image, the record is more
likely wrong than it was before. The count alone would dispute three of five right records (docs/experiments.md).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from inventory.metadata import Record
from inventory.prediction import Prediction, distance, is_open

Status = Literal["match", "mismatch"]
Severity = Literal["low", "medium", "high"]
Direction = Literal["missing", "extra"]

SLIPS = {-1: 0.45, 1: 0.30, -2: 0.10, 2: 0.08, -3: 0.04, 3: 0.03}
"""Share of wrong records by (true count - recorded count). Assumed until reviewed alerts measure it."""
MIXED_UP_SHARE = 0.05
"""Share of wrong records that belong to another bin, so they can have any count. Assumed likewise. Without it, a record
of 5 beside an image of an empty bin would have no suspicion, because no slip is that large."""
TAIL_RATIO = 0.766
"""The frequency of each count above an open label, relative to the count before. It is the maximum likelihood fit of a
geometric distribution to the recorded counts above 5 in the training split of the public bin images."""
FLAT_TAIL = 60
"""Recorded counts that exceed the labels by more are treated as this. There suspicion no longer depends on the count,
and the tail of a far larger count would underflow to 0."""
VOLUME_FREEDOM = 4.0
"""Degrees of freedom of Student's t, the distribution of the model's error in volume. With a normal one, a single size
that is mistyped would outweigh every image. Lange et al. (1989), "Robust Statistical Modeling Using the t
Distribution"."""
SEVERITIES: tuple[tuple[float, Severity], ...] = ((0.5, "high"), (0.1, "medium"), (0.0, "low"))
"""The minimum suspicion of each severity. High means that the record is more likely wrong than right."""


@dataclass(frozen=True)
class Verdict:
    """The result of comparing an image with a record.

    `difference` is the predicted count minus the expected one; a match may have one that the image does not make sure
    of. `direction` is the sign of a mismatch in words, None for a match. `suspicion` is the probability, from 0 to 1,
    that the record is wrong.
    """

    status: Status
    difference: int
    direction: Direction | None
    suspicion: float
    severity: Severity


@dataclass(frozen=True)
class Slips:
    """How records come to be wrong. `shares` are those of each slip, true minus recorded count, and add up to 1.
    `mixed_up` is the share of wrong records that belong to another bin, from 0 to below 1."""

    shares: Mapping[int, float] = field(default_factory=lambda: SLIPS)
    mixed_up: float = MIXED_UP_SHARE

    @classmethod
    def of_wrong_records(cls, shares: Mapping[int, float]) -> "Slips":
        """From the share of each slip among all wrong records. What is missing to 1 is mixed up."""
        slipped = sum(shares.values())
        return cls({slip: share / slipped for slip, share in shares.items()}, max(0.0, 1 - slipped))


ASSUMED_SLIPS = Slips()


def judge(prediction: Prediction, record: Record, mismatch_rate: float, slips: Slips = ASSUMED_SLIPS) -> Verdict:
    """Compare a prediction with the record.

    `mismatch_rate` is the share of wrong records in general, between 0 and 1 exclusive. An open label ("10+") differs
    from no record that it covers.
    """
    difference = distance(prediction, record.expected)
    suspicion = suspect(prediction, record, mismatch_rate, slips)
    disputed = difference != 0 and suspicion > mismatch_rate
    return Verdict(
        status="mismatch" if disputed else "match",
        difference=difference,
        direction=("missing" if difference < 0 else "extra") if disputed else None,
        suspicion=suspicion,
        severity=next(severity for least, severity in SEVERITIES if suspicion >= least),
    )


def suspect(prediction: Prediction, record: Record, mismatch_rate: float, slips: Slips = ASSUMED_SLIPS) -> float:
    """The probability, from 0 to 1, that the record is wrong. The arguments are those of `judge`."""
    recorded = min(record.expected, len(prediction.labels) + FLAT_TAIL)
    record = replace(record, expected=recorded)
    opens = is_open(prediction)

    def likely(count: int) -> float:
        return _mass(prediction.probabilities, opens, count) * _volume_fit(prediction, record, count)

    slipped = sum(
        _slip_chance(slips, recorded, recorded + slip) * likely(recorded + slip)
        for slip in slips.shares
        if recorded + slip >= 0
    )
    mixed_up = (1 - _mass(prediction.probabilities, opens, recorded)) * _mass(prediction.prior, opens, recorded)
    wrong = mismatch_rate * ((1 - slips.mixed_up) * slipped + slips.mixed_up * mixed_up)
    right = (1 - mismatch_rate) * likely(recorded)
    # Both are 0 only if the model rules out the recorded count and all others that the slips reach: a wrong record.
    return wrong / (wrong + right) if wrong + right > 0 else 1.0


def _volume_fit(prediction: Prediction, record: Record, count: int) -> float:
    """How well `count` of the recorded objects fill the predicted volume: 1 for an exact fit, towards 0 for none."""
    if prediction.volume_in3 is None or prediction.volume_error is None or not record.products:
        return 1.0
    seen, error = math.log1p(prediction.volume_in3), prediction.volume_error

    def fit(volume_in3: float) -> float:
        distance = (seen - math.log1p(volume_in3)) / error
        return float((1 + distance**2 / VOLUME_FREEDOM) ** (-(VOLUME_FREEDOM + 1) / 2))

    return sum(chance * fit(volume_in3) for chance, volume_in3 in record.volumes_in3(count))


def _mass(distribution: tuple[float, ...], opens: bool, count: int) -> float:
    last = len(distribution) - 1
    if not opens or count < last:
        return distribution[count] if count <= last else 0.0
    return distribution[last] * (1 - TAIL_RATIO) * TAIL_RATIO ** (count - last)


def _slip_chance(slips: Slips, recorded: int, true: int) -> float:
    """q(recorded | true). A record is never negative, so the shares of the possible slips are scaled to add up to 1."""
    possible = sum(share for slip, share in slips.shares.items() if true - slip >= 0)
    return slips.shares.get(true - recorded, 0.0) / possible if possible else 0.0
