"""The prediction of a model for one image. Pure code."""

from dataclasses import dataclass

Interval = tuple[int, int | None]


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
