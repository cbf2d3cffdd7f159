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
    """A published result. `exact` and `rmse_of_class` are by true count.

    `data` describes the `bins` and the split; `epochs`, `time` and `cost` are the authors' words. None, {} or "" stand
    for what was not published.
    """

    name: str
    source: str
    data: str
    bins: int | None = None
    epochs: str = ""
    accuracy: float | None = None
    rmse: float | None = None
    exact: Mapping[int, float] = field(default_factory=dict)
    rmse_of_class: Mapping[int, float] = field(default_factory=dict)
    time: str = ""
    cost: str = ""

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
    "324,735 images of 0 to 5, random split, val; the same recipe on the 10,441-image list has 38.4%",
    bins=324_735,
    epochs="21 of 40",
    accuracy=0.5567,
    rmse=0.930,
    exact={0: 0.977, 1: 0.834, 2: 0.672, 3: 0.549, 4: 0.426, 5: 0.449},
    rmse_of_class={0: 0.187, 1: 0.542, 2: 0.710, 3: 0.867, 4: 1.025, 5: 1.311},
)

FROZEN = Published(
    "frozen ResNet-50, learning rate and batch tuned",
    "github.com/joangerard/Inventory-Monitoring-at-Distribution-Centers-w-Sagemaker; others on this list: 31% to 36%",
    "the 10,441-image list of 1 to 5, random split, test",
    bins=10_441,
    epochs="10",
    accuracy=0.3241,
)
BALANCED = Published(
    "frozen ResNet-50, balanced sampler, class weights, plateau schedule",
    "Yue Chang, AWS Machine Learning Engineer Nanodegree, capstone report of 6 March 2023",
    "0 to 5 of the public val list, random split, test; on several instances",
    epochs="50",
    accuracy=0.31,
    rmse=1.96,
    exact={0: 0.7474, 1: 0.2866, 2: 0.7082, 3: 0.2318, 4: 0.2012, 5: 0.1908},
    rmse_of_class={0: 1.08, 1: 0.99, 2: 1.47, 3: 1.53, 4: 1.85, 5: 2.13},
)
SEVERAL_INSTANCES = Published(
    "ResNet-34 from scratch on two instances",
    "github.com/nov05/udacity-nd009t-capstone-starter",
    "the 10,441-image list of 1 to 5, random split; two ml.g4dn.xlarge, the cost with debugging and tuning",
    bins=10_441,
    epochs="20",
    accuracy=0.36,
    cost="28 USD",
)
SEARCH = Published(
    "AutoGluon's search",
    "a public script: 2 trials over ghostnet_100 and mobilenetv3_large_100, learning rate 5e-5 to 1e-3",
    "no figures are published",
)
