"""The prediction of a model for one image. Pure code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """The prediction of a model for one image.

    `labels` are whole numbers from "0" up. The last one may be open ("6+": six or more). `probabilities` and `prior`
    have one share for each label, from 0 to 1, and add up to 1. `prior` is the mix of counts that the probabilities
    assume. `count` is the number of the most likely label. `model` is `<name>@<digest>`. `volume_in3` is the volume of
    the objects in cubic inches, `volume_error` the standard deviation of its natural logarithm. Both are None for a
    model without a volume output.
    """

    count: int
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    prior: tuple[float, ...]
    model: str
    volume_in3: float | None = None
    volume_error: float | None = None
