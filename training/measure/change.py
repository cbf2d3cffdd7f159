"""How much the last photograph of a bin adds to suspicion: consecutive photographs are checked with and without it.

A network repeats its error on a bin: what hides an object hides it again. `given_last` takes the error on the last
photograph into account.

Neighbouring photographs of the public set nearly always differ by one object, so a wrong record breaks that pattern by
construction, and the claimed change (recorded count minus last count) finds most wrong records without any image. In a
warehouse a wrong record comes with an ordinary change. So scores are also compared within one claimed change.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import ndtr, ndtri
from sklearn.metrics import roc_auc_score

from inventory.metadata import Record
from inventory.prediction import Prediction
from inventory.verdict import TAIL_RATIO, suspect

from ..data.pairs import LEAST_COMMON, Pair, common_share
from .alert_quality import MISMATCH_RATE, ROUNDS
from .served_figures import estimated
from .slips import slip_weights

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
CORRELATION = 0.65
"""Of the served network's errors on two photographs that share at least half of their objects. Chosen on val: the AUC
and the log loss of the count are nearly the same from 0.6 to 0.75."""
LEAST_TAIL = 1e-4
"""A last record that the network finds less probable than this counts as if it were this probable."""
SHARE_BANDS = {"half": (LEAST_COMMON, 0.65), "two_thirds": (0.65, 0.8), "four_fifths": (0.8, math.inf)}
FEW_COUNTS = 10
FAR_COUNTS = 40
"""Counts over which an open label is spread; the last of them is open."""
LEAST_WRONG = 40
"""Wrong records that a claimed change needs for figures of its own."""


def given_last(prediction: Prediction, last: Prediction, last_count: int) -> Prediction:
    """The prediction once it is known that the bin held `last_count` objects when `last` was predicted.

    The place of a true count in its predicted distribution, as a quantile of a standard normal, is the error. Both
    errors are taken as normal with the correlation CORRELATION (a Gaussian copula). So F(k), the probability of at most
    k objects, becomes ndtr((ndtri(F(k)) - c * error of `last`) / sqrt(1 - c**2)), where c is that correlation.
    """
    place = (_fewer(last, last_count) + _fewer(last, last_count + 1)) / 2
    error = ndtri(np.clip(place, LEAST_TAIL, 1 - LEAST_TAIL))
    edges = np.concatenate(([0.0], np.clip(np.cumsum(prediction.probabilities[:-1]), 0, 1), [1.0]))
    moved = ndtr((ndtri(edges) - CORRELATION * error) / np.sqrt(1 - CORRELATION**2))
    moved = np.maximum.accumulate(moved)  # rounding may leave an edge below the one before
    return estimated(replace(prediction, probabilities=tuple(np.diff(moved).tolist())))


def given_change(prediction: Prediction, last_count: int, likelihoods: Array) -> Prediction:
    """The prediction once the bin's change since it held `last_count` objects was estimated.

    `likelihoods` (changes,) are those of the photographs for each change, from the greatest loss to the greatest gain;
    greater changes count as these. Bayes' rule: each probability times the likelihood of its change, then normalised,
    as if the estimate and the prediction had seen different things. The open label is spread over counts first, as the
    verdict does.
    """
    most = len(likelihoods) // 2
    probabilities, prior = (_spread(shares) for shares in (prediction.probabilities, prediction.prior))
    changes = np.clip(np.arange(len(probabilities)) - last_count, -most, most)
    weighted = probabilities * likelihoods[changes + most]
    labels = (*map(str, range(len(probabilities) - 1)), f"{len(probabilities) - 1}+")
    shares = tuple((weighted / weighted.sum()).tolist())
    return estimated(replace(prediction, labels=labels, probabilities=shares, prior=tuple(prior.tolist())))


def _spread(shares: Sequence[float]) -> Array:
    """Shares (labels,) with the open one spread geometrically over counts, (FAR_COUNTS,)."""
    beyond = np.arange(FAR_COUNTS - len(shares) + 1)
    tail = (1 - TAIL_RATIO) * TAIL_RATIO**beyond
    tail[-1] = TAIL_RATIO ** beyond[-1]
    return np.concatenate([shares[:-1], shares[-1] * tail])


def _fewer(prediction: Prediction, count: int) -> float:
    """The probability of fewer than `count` objects; the counts of the open label are spread as the verdict does."""
    last = len(prediction.labels) - 1
    beyond = TAIL_RATIO ** (count - last) if count > last else 1.0
    return 1 - sum(prediction.probabilities[min(count, last) :]) * beyond


@dataclass(frozen=True)
class PairChecks:
    """Consecutive photographs, the second one checked against records, columns of one length.

    `pair` is the position of the pair, `bin` that of the real bin, `true` its true count, `slip` the true minus the
    recorded count (0: the record is right), `weight` the frequency of this check. `claimed` is the recorded minus the
    last count, `common` the share of common objects in truth. `suspicions` are "alone", "with_past" and, where a
    network estimated the change, "with_network".
    """

    pair: Integers
    bin: Integers
    true: Integers
    slip: Integers
    weight: Array
    claimed: Integers
    common: Array
    suspicions: Mapping[str, Array]

    @property
    def wrong(self) -> Flags:
        return self.slip != 0

    def where(self, chosen: Flags) -> "PairChecks":
        columns = {name: column[chosen] for name, column in vars(self).items() if name != "suspicions"}
        return PairChecks(**columns, suspicions={name: scores[chosen] for name, scores in self.suspicions.items()})


def check_pairs(
    predictions: Sequence[Prediction],
    counts: Integers,
    pairs: Sequence[Pair],
    likelihoods: Array | None = None,
    mismatch_rate: float = MISMATCH_RATE,
) -> PairChecks:
    """Judge the second photograph of every pair with its right record and each wrong one, with and without the first.

    `likelihoods` (pairs, changes) are those of the changes, by a network that saw both photographs of each pair.

    `predictions` and true `counts` (n,) are of the bins that `pairs` point to. The last record is right.
    `mismatch_rate` is the share of wrong records, injected and assumed alike. Volumes are left out.
    """
    links = np.array([(one.last, one.now) for one in pairs]).T
    graph = coo_array((np.ones(len(pairs)), links), shape=(len(counts), len(counts)))
    chains = connected_components(graph, directed=False)[1]
    rows, scores = [], []
    for index, pair in enumerate(pairs):
        true, last_count = int(counts[pair.now]), int(counts[pair.last])
        seen = replace(predictions[pair.now], volume_in3=None)
        given = given_last(seen, predictions[pair.last], last_count)
        views = {"alone": seen, "with_past": given}
        if likelihoods is not None:
            views["with_network"] = given_change(given, last_count, likelihoods[index])
        truly_common = common_share(pair.last_items, pair.now_items)
        for slip, weight in slip_weights(true, mismatch_rate).items():
            record = Record(true - slip)
            rows.append((index, chains[pair.now], true, slip, weight, record.expected - last_count, truly_common))
            scores.append([suspect(one, record, mismatch_rate) for one in views.values()])
    suspicions = dict(zip(views, np.array(scores).T, strict=True))
    columns: list[Any] = [*map(np.array, zip(*rows, strict=True)), suspicions]
    return PairChecks(*columns)


def auc_within(scores: Array, wrong: Flags, weight: Array, strata: Integers) -> float:
    """The chance that a wrong record has a greater score than a right one of the same stratum; 0.5 for no information.

    Strata count by their wrong records. One without right or without wrong ones counts nothing. NaN if all are so.
    """
    areas, sizes = [], []
    for stratum in np.unique(strata):
        inside = (strata == stratum) & (weight > 0)
        if wrong[inside].any() and not wrong[inside].all():
            areas.append(roc_auc_score(wrong[inside], scores[inside], sample_weight=weight[inside]))
            sizes.append(weight[inside & wrong].sum())
    return float(np.average(areas, weights=sizes)) if areas else math.nan


def change_quality(checks: PairChecks) -> dict[str, object]:
    """Every figure with and without the past, ready for JSON.

    Each is under the name of a part of the checks, "all" the first. `claimed_change_alone` is the AUC of a score that
    knows how often each claimed change is wrong here, and no image.
    """
    last_count = checks.true - checks.slip - checks.claimed
    parts = {"up_to_ten_objects": checks.where(np.maximum(checks.true, last_count) <= FEW_COUNTS)}
    for name, (least, below) in SHARE_BANDS.items():
        parts[f"common_{name}"] = checks.where((checks.common >= least) & (checks.common < below))
    of_claim = {claim: checks.where(checks.claimed == claim) for claim in np.unique(checks.claimed).tolist()}
    for claim, part in of_claim.items():
        if part.wrong.sum() >= LEAST_WRONG and not part.wrong.all():
            parts[f"claimed_{claim:+d}"] = part
    wrong_share = {claim: np.average(part.wrong, weights=part.weight) for claim, part in of_claim.items()}
    claim_alone = np.array([wrong_share[claim] for claim in checks.claimed.tolist()])
    return {
        "correlation": CORRELATION,
        "claimed_change_alone": float(roc_auc_score(checks.wrong, claim_alone, sample_weight=checks.weight)),
        "all": _figures(checks) | {"intervals": _intervals(checks)},
        **{name: _figures(part) for name, part in parts.items() if len(part.pair)},
    }


def _figures(checks: PairChecks) -> dict[str, object]:
    figures: dict[str, object] = {"pairs": len(np.unique(checks.pair)), "bins": len(np.unique(checks.bin))}
    for name, scores in checks.suspicions.items():
        figures[f"auc_{name}"] = float(roc_auc_score(checks.wrong, scores, sample_weight=checks.weight))
        within = auc_within(scores, checks.wrong, checks.weight, checks.claimed)
        figures[f"auc_within_claimed_change_{name}"] = within
    return figures


def _intervals(checks: PairChecks) -> dict[str, list[float]]:
    """95% bootstrap intervals of each AUC within a claimed change, and of its gain over the photograph alone; real bins
    drawn with replacement."""
    rng = np.random.default_rng(0)
    bins, place = np.unique(checks.bin, return_inverse=True)
    draws = []
    for _ in range(ROUNDS):
        weight = checks.weight * np.bincount(rng.integers(0, len(bins), len(bins)), minlength=len(bins))[place]
        areas = {
            name: auc_within(scores, checks.wrong, weight, checks.claimed) for name, scores in checks.suspicions.items()
        }
        gains = {f"gain_{name}": area - areas["alone"] for name, area in areas.items() if name != "alone"}
        draws.append(areas | gains)
    return {name: np.nanquantile([draw[name] for draw in draws], (0.025, 0.975)).tolist() for name in draws[0]}
