"""The prediction of a model for one image. Pure code."""

from dataclasses import dataclass, replace
from itertools import accumulate

Interval = tuple[int, int | None]
INTERVAL_SHARE = 0.8
"""The least probability of an interval."""
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Prediction:
    """The prediction of a model for one image.

    `labels` are whole numbers from "0" up. The last one may be open ("10+": ten or more). `probabilities` and `prior`
    have one share for each label, from 0 to 1, and add up to 1. `prior` is the mix of counts that the probabilities
    assume. `count` is the number of a label: the median of the distribution. `model` is `<name>@<digest>`. `volume_in3`
    is the volume of the objects in cubic inches, `volume_error` the standard deviation of its natural logarithm. Both
    are None for a model without a volume output. `interval` is the shortest one that holds at least 80% of the
    distribution: the least and the greatest count, None for the greatest of an open label. A model of an earlier
    version gives no interval.
    """

    count: int
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    prior: tuple[float, ...]
    model: str
    volume_in3: float | None = None
    volume_error: float | None = None
    interval: Interval | None = None


def is_open(prediction: Prediction) -> bool:
    """Whether the last label means "that count or more"."""
    return prediction.labels[-1].endswith("+")


def distance(prediction: Prediction, count: int) -> int:
    """The predicted count minus another one. An open label ("10+") is at no distance from a count that it covers."""
    last = len(prediction.labels) - 1
    covers = is_open(prediction) and prediction.count == last and count >= last
    return 0 if covers else prediction.count - count


def estimated(prediction: Prediction) -> Prediction:
    """The prediction with the count and the interval of its probabilities, as the endpoint gives them."""
    shares, labels = prediction.probabilities, len(prediction.labels)
    count = next(count for count, share in enumerate(accumulate(shares)) if share >= 0.5 - _ROUNDING)
    held = {(low, high): sum(shares[low : high + 1]) for low in range(labels) for high in range(low, labels)}
    wide_enough = [run for run, share in held.items() if share >= INTERVAL_SHARE - _ROUNDING]
    low, high = min(wide_enough, key=lambda run: (run[1] - run[0], -held[run], run))
    is_unbounded = is_open(prediction) and high == labels - 1
    return replace(prediction, count=count, interval=(low, None if is_unbounded else high))
