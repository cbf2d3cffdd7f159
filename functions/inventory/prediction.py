"""What a model sees in an image. A value, without AWS."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Prediction:
    """What the model sees in an image.

    `labels` are whole numbers from "0" up, the last of which may be open ("6+": six or more). `probabilities` and
    `prior` go with them, each from 0 to 1 and adding up to 1; `prior` is the mix of counts that the probabilities
    assume. `count` is the likeliest label's number, `model` is `<name>@<digest>`. `volume_in3` is how many cubic inches
    of objects the model sees, `volume_error` the standard deviation of its natural logarithm; None where a model does
    not tell.
    """

    count: int
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]
    prior: tuple[float, ...]
    model: str
    volume_in3: float | None = None
    volume_error: float | None = None
