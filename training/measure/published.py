"""Figures that others published on the Amazon Bin Image Dataset, with their sources.

Accuracies are shares, errors are in objects. Every published split is random, so that neighbouring ids, which are often
one bin twice, lie on both sides: published figures are better than those of a split by groups would be.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .metrics import STANDARD_MIX

PUBLIC_SET = {
    "images": 535_234,
    "mean quantity": 5.1,
    "share below ten": 0.9,
    "source": "github.com/silverbottlep/abid_challenge",
}
"""Statistics of the whole public set."""


@dataclass(frozen=True)
class Published:
    """A published result. `exact` and `rmse_of_class` are by true count; fields that were not published are None or {}.

    `data` describes the bins and the split, `time` and `cost` are as the authors put them.
    """

    name: str
    source: str
    data: str
    accuracy: float | None = None
    rmse: float | None = None
    exact: Mapping[int, float] = field(default_factory=dict)
    rmse_of_class: Mapping[int, float] = field(default_factory=dict)
    time: str = "not published"
    cost: str = "not published"

    @property
    def standardised_accuracy(self) -> float | None:
        """The accuracy at the mix of counts of the public list (metrics.STANDARD_MIX); None without all its classes."""
        return _standardised(self.exact)

    @property
    def standardised_rmse(self) -> float | None:
        """The root mean square error at that mix, in objects; None without a per-class table."""
        mean_square = _standardised({count: error**2 for count, error in self.rmse_of_class.items()})
        return None if mean_square is None else mean_square**0.5


def _standardised(values: Mapping[int, float]) -> float | None:
    if set(STANDARD_MIX) - set(values):
        return None
    return float(np.average([values[count] for count in STANDARD_MIX], weights=list(STANDARD_MIX.values())))


BENCHMARK = Published(
    "ResNet-34 from scratch (public benchmark)",
    "github.com/silverbottlep/abid_challenge, counting/",
    "324,735 images of 0 to 5, random split, val",
    accuracy=0.5567,
    rmse=0.930,
    exact={0: 0.977, 1: 0.834, 2: 0.672, 3: 0.549, 4: 0.426, 5: 0.449},
    rmse_of_class={0: 0.187, 1: 0.542, 2: 0.710, 3: 0.867, 4: 1.025, 5: 1.311},
    time="best after 21 of 40 epochs",
)
