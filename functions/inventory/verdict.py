"""The decision: does the image disagree with the record, and how likely is the record wrong?

Pure code. Bayes' rule over the true count k, given the model's calibrated distribution p, the recorded count e, the
share r of records that are wrong, and the chance q(e|k) that a wrong record of a bin holding k says e:

    suspicion = r·Σ_{k≠e} q(e|k)·p_k / (r·Σ_{k≠e} q(e|k)·p_k + (1-r)·p_e)

Where the record says how large its objects are, and the model how large a volume it sees, each p_k is first multiplied
by how well k such objects fill that volume (`Record.volumes_in3`).
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

from inventory.metadata import Record
from inventory.prediction import Prediction

Status = Literal["match", "mismatch"]
Severity = Literal["low", "medium", "high"]
Direction = Literal["missing", "extra"]

SLIPS = {-1: 0.45, 1: 0.30, -2: 0.10, 2: 0.08, -3: 0.04, 3: 0.03}
"""Share of wrong records by (true count - recorded count); assumed until reviewed alerts measure it."""
MIXED_UP_SHARE = 0.05
"""Share of wrong records that belong to some other bin altogether, so say any count; assumed likewise. Without it a
record of 5 beside an image of an empty bin would look innocent, for no slip reaches that far."""
TAIL_RATIO = 0.766
"""Above an open label, each count is this many times as frequent as the one before: the maximum likelihood fit of a
geometric distribution to the recorded counts above 5 in the training split of the public bin images."""
FLAT_TAIL = 60
"""That far above the labels suspicion no longer depends on the recorded count, so larger ones are judged as this."""
VOLUME_FREEDOM = 4.0
"""Degrees of freedom of the model's error in volume, a Student's t: with a normal error a size that somebody mistyped
would outweigh every image. Lange et al. (1989), "Robust Statistical Modeling Using the t Distribution"."""
SEVERITIES: tuple[tuple[float, Severity], ...] = ((0.5, "high"), (0.1, "medium"), (0.0, "low"))
"""Least suspicion of each severity: high means more likely wrong than right."""


@dataclass(frozen=True)
class Verdict:
    """What a check concludes.

    `difference` is predicted minus expected, `direction` its sign in words (None when they agree), `suspicion` the
    probability from 0 to 1 that the record is wrong.
    """

    status: Status
    difference: int
    direction: Direction | None
    suspicion: float
    severity: Severity


def judge(prediction: Prediction, record: Record, mismatch_rate: float) -> Verdict:
    """Compare a prediction with the record.

    `mismatch_rate` is the share of records that are wrong before looking, between 0 and 1 exclusive. An open label
    ("6+") agrees with every record that it covers.
    """
    expected = record.expected
    covers = is_open(prediction) and prediction.count == len(prediction.labels) - 1 and expected >= prediction.count
    difference = 0 if covers else prediction.count - expected
    suspicion = suspect(prediction, record, mismatch_rate)
    return Verdict(
        status="mismatch" if difference else "match",
        difference=difference,
        direction=("missing" if difference < 0 else "extra") if difference else None,
        suspicion=suspicion,
        severity=next(severity for least, severity in SEVERITIES if suspicion >= least),
    )


def suspect(prediction: Prediction, record: Record, mismatch_rate: float) -> float:
    """The probability, from 0 to 1, that the record is wrong, given the image; arguments are those of `judge`."""
    recorded = min(record.expected, len(prediction.labels) + FLAT_TAIL)
    record = replace(record, expected=recorded)
    opens = is_open(prediction)

    def likely(count: int) -> float:
        return _mass(prediction.probabilities, opens, count) * _volume_fit(prediction, record, count)

    slipped = sum(
        _slip_chance(recorded, recorded + slip) * likely(recorded + slip) for slip in SLIPS if recorded + slip >= 0
    )
    mixed_up = (1 - _mass(prediction.probabilities, opens, recorded)) * _mass(prediction.prior, opens, recorded)
    wrong = mismatch_rate * ((1 - MIXED_UP_SHARE) * slipped + MIXED_UP_SHARE * mixed_up)
    right = (1 - mismatch_rate) * likely(recorded)
    return wrong / (wrong + right) if wrong + right > 0 else 1.0


def _volume_fit(prediction: Prediction, record: Record, count: int) -> float:
    """How well so many of the recorded objects fill the volume that the model sees: 1 just so, towards 0 not."""
    if prediction.volume_in3 is None or prediction.volume_error is None or not record.products:
        return 1.0
    seen, error = math.log1p(prediction.volume_in3), prediction.volume_error

    def fit(volume_in3: float) -> float:
        distance = (seen - math.log1p(volume_in3)) / error
        return float((1 + distance**2 / VOLUME_FREEDOM) ** (-(VOLUME_FREEDOM + 1) / 2))

    return sum(chance * fit(volume_in3) for chance, volume_in3 in record.volumes_in3(count))


def is_open(prediction: Prediction) -> bool:
    """Whether the last label stands for that count or more."""
    return prediction.labels[-1].endswith("+")


def _mass(distribution: tuple[float, ...], opens: bool, count: int) -> float:
    last = len(distribution) - 1
    if not opens or count < last:
        return distribution[count] if count <= last else 0.0
    return distribution[last] * (1 - TAIL_RATIO) * TAIL_RATIO ** (count - last)


def _slip_chance(recorded: int, true: int) -> float:
    """q(recorded | true): a record cannot say less than nothing, so the slips that could be made share the whole."""
    possible = sum(share for slip, share in SLIPS.items() if true - slip >= 0)
    return SLIPS.get(true - recorded, 0.0) / possible
