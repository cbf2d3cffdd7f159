"""How much the last photograph of a bin adds to suspicion: consecutive photographs are checked with and without it.

A network repeats its error on a bin: what hides an object hides it again. `inventory.past` takes the error on the
last photograph into account.

Neighbouring photographs of the public set nearly always differ by one object, so a wrong record breaks that pattern by
construction, and the claimed change (recorded count minus last count) finds most wrong records without any image. In a
warehouse a wrong record comes with an ordinary change. So scores are also compared within one claimed change.

Nor is there a bin that did not change between two photographs. Pairs of a photograph and a variation of it
(`Pair.made`) stand for those. They have parts of their own in the figures, and are no part of "all".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.metrics import roc_auc_score

from inventory.metadata import Record
from inventory.past import CORRELATION, REVIEW_DOUBT, given_last, remembering
from inventory.prediction import Prediction, distance, estimated, is_open
from inventory.verdict import TAIL_RATIO, judge, suspect

from ..data.pairs import LEAST_COMMON, Pair, common_share
from .alert_quality import MISMATCH_RATE, ROUNDS
from .slips import claimed_products, slip_weights

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
SHARE_BANDS = {"half": (LEAST_COMMON, 0.65), "two_thirds": (0.65, 0.8), "four_fifths": (0.8, math.inf)}
BY_VOLUME = "_by_volume"
FEW_COUNTS = 10
FAR_COUNTS = 40
"""Counts over which an open label is spread; the last of them is open."""
COUNT_FIGURES = ("exact", "within_one", "mean_error", "log_loss", "interval_holds", "interval_labels")
LEAST_SHARE = 1e-9
"""Of a true label, for its log loss."""
LEAST_WRONG = 40
"""Wrong records that a claimed change needs for figures of its own."""


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


@dataclass(frozen=True)
class PairChecks:
    """Consecutive photographs, the second one checked against records, columns of one length.

    `pair` is the position of the pair, `bin` that of the real bin, `true` its true count, `slip` the true minus the
    recorded count (0: the record is right), `weight` the frequency of this check. `claimed` is the recorded minus the
    last count, `common` the share of common objects in truth, `made` whether the last photograph is a variation of the
    other. `suspicions` are "alone", "with_past" and, where a network estimated the change, "with_network"; where the
    volumes of objects are known also each of them "…_by_volume", as the endpoint's volume makes it.
    """

    pair: Integers
    bin: Integers
    true: Integers
    slip: Integers
    weight: Array
    claimed: Integers
    common: Array
    made: Flags
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
    volumes: Sequence[Sequence[float] | None] | None = None,
    mismatch_rate: float = MISMATCH_RATE,
) -> PairChecks:
    """Judge the second photograph of every pair with its right record and each wrong one, with and without the first.

    `predictions` and true `counts` (n,) are of the bins that `pairs` point to. The last record is right.
    `likelihoods` (pairs, changes) are those of the changes, by a network that saw both photographs of each pair.
    `volumes` are those of each bin's objects in cubic inches, None where there is no record of them; which objects a
    wrong record lacks or claims is drawn once. `mismatch_rate` is the share of wrong records, injected and assumed
    alike.
    """
    chains = _real_bins(pairs, len(counts))
    rng = np.random.default_rng(0)
    catalogue = [volume for held in volumes or () for volume in held or () if np.isfinite(volume)]
    rows, scores = [], []
    for index, pair in enumerate(pairs):
        true, last_count = int(counts[pair.now]), int(counts[pair.last])
        seen = replace(predictions[pair.now], volume_in3=None)
        last = predictions[pair.last].probabilities
        views = {"alone": seen, "with_past": remembered(seen, predictions[pair.last], last_count)}
        if likelihoods is not None:
            shares = given_last(seen.probabilities, last, last_count, open_end=is_open(seen))
            given = replace(seen, probabilities=shares)
            views["with_network"] = given_change(given, last_count, likelihoods[index])
        truly_common = common_share(pair.last_items, pair.now_items)
        for slip, weight in slip_weights(true, mismatch_rate).items():
            record = Record(true - slip)
            suspicions = {name: suspect(one, record, mismatch_rate) for name, one in views.items()}
            if volumes is not None:
                held = volumes[pair.now]
                products = () if held is None else claimed_products(held, slip, catalogue, rng)
                with_sizes = replace(record, products=products)
                for name, view in views.items():
                    complete = replace(view, volume_in3=predictions[pair.now].volume_in3)
                    suspicions[f"{name}{BY_VOLUME}"] = suspect(complete, with_sizes, mismatch_rate)
            claimed = record.expected - last_count
            rows.append((index, chains[pair.now], true, slip, weight, claimed, truly_common, pair.made))
            scores.append(suspicions)
    columns: list[Any] = [*map(np.array, zip(*rows, strict=True))]
    columns.append({name: np.array([one[name] for one in scores]) for name in scores[0]})
    return PairChecks(*columns)


def count_quality(predictions: Sequence[Prediction], counts: Integers, pairs: Sequence[Pair]) -> dict[str, object]:
    """How well the second photograph of every pair is counted, alone and with the first, whose count is known.

    exact, within_one   the share whose count is right, or wrong by one object at most
    mean_error          the mean absolute error in objects
    log_loss            of the true label in nats
    interval_holds, interval_labels  the share of intervals that hold the true count, and their mean number of labels

    Each has its value alone; with the past if no alert is answered, and if all are; and the 95% bootstrap intervals of
    the differences over real bins. An open label is right about every count that it stands for. Arguments are those of
    `check_pairs`.
    """
    rows = []
    for pair in pairs:
        now, last = predictions[pair.now], predictions[pair.last]
        true, last_count = int(counts[pair.now]), int(counts[pair.last])
        views = (now, *(remembered(now, last, last_count, answered=answered) for answered in (False, True)))
        rows.append([_count_figures(view, true) for view in views])
    alone, *pasts = np.array(rows, np.float64).transpose(1, 0, 2)
    rng, chains = np.random.default_rng(0), _real_bins(pairs, len(counts))[[pair.now for pair in pairs]]
    bins, place = np.unique(chains, return_inverse=True)
    times = [np.bincount(rng.integers(0, len(bins), len(bins)), minlength=len(bins))[place] for _ in range(ROUNDS)]
    quality: dict[str, Any] = {name: {"alone": float(alone[:, k].mean())} for k, name in enumerate(COUNT_FIGURES)}
    for kind, past in zip(("unanswered", "answered"), pasts, strict=True):
        draws = [np.average(past - alone, axis=0, weights=one) for one in times]
        for k, (name, gain) in enumerate(zip(COUNT_FIGURES, np.quantile(draws, (0.025, 0.975), axis=0).T, strict=True)):
            quality[name] |= {kind: float(past[:, k].mean()), f"{kind}_difference": gain.tolist()}
    return quality


def remembered(now: Prediction, last: Prediction, last_count: int, *, answered: bool = True) -> Prediction:
    """`now` as the Checker has it when the last record of the bin rightly said `last_count`, and `last` was predicted.

    An undisputed last record is doubted as its suspicion says. A disputed one was reviewed if alerts are `answered`,
    and else is not remembered. Volumes are left out.
    """
    judged = judge(replace(last, volume_in3=None), Record(last_count), MISMATCH_RATE)
    if judged.status == "mismatch" and not answered:
        return now
    doubt = judged.suspicion if judged.status == "match" else REVIEW_DOUBT
    return remembering(now, last.probabilities, last_count, doubt)


def _count_figures(prediction: Prediction, true: int) -> tuple[float, ...]:
    """COUNT_FIGURES of one prediction."""
    error, last = abs(distance(prediction, true)), len(prediction.labels) - 1
    low, high = prediction.interval or (prediction.count, prediction.count)
    loss = -math.log(max(prediction.probabilities[min(true, last)], LEAST_SHARE))
    holds = low <= true and (high is None or true <= high)
    return error == 0, error <= 1, error, loss, holds, (last if high is None else high) - low + 1


def _real_bins(pairs: Sequence[Pair], photographs: int) -> Integers:
    """The real bin (photographs,) that each photograph shows: those that pairs connect show the same one."""
    links = np.array([(one.last, one.now) for one in pairs]).T
    graph = coo_array((np.ones(len(pairs)), links), shape=(photographs, photographs))
    return np.asarray(connected_components(graph, directed=False)[1])


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
    knows how often each claimed change is wrong here, and no image. Where there are made pairs, they are "unchanged",
    and "with_unchanged" are these and all others.
    """
    whole, checks = checks, checks.where(~checks.made)
    last_count = checks.true - checks.slip - checks.claimed
    parts = {"up_to_ten_objects": checks.where(np.maximum(checks.true, last_count) <= FEW_COUNTS)}
    for name, (least, below) in SHARE_BANDS.items():
        parts[f"common_{name}"] = checks.where((checks.common >= least) & (checks.common < below))
    of_claim = {claim: checks.where(checks.claimed == claim) for claim in np.unique(checks.claimed).tolist()}
    for claim, part in of_claim.items():
        if part.wrong.sum() >= LEAST_WRONG and not part.wrong.all():
            parts[f"claimed_{claim:+d}"] = part
    if whole.made.any():
        parts |= {"unchanged": whole.where(whole.made), "with_unchanged": whole}
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
        figures[f"auc_within_claimed_change_{name}"] = None if math.isnan(within) else within
        for kind, chosen in (("right", ~checks.wrong), ("wrong", checks.wrong)):
            suspected = np.average(scores[chosen] > MISMATCH_RATE, weights=checks.weight[chosen])
            figures[f"{kind}_records_suspected_{name}"] = float(suspected)
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
        gains = {f"gain_{name}": area - areas[_alone(name)] for name, area in areas.items() if name != _alone(name)}
        draws.append(areas | gains)
    return {name: np.nanquantile([draw[name] for draw in draws], (0.025, 0.975)).tolist() for name in draws[0]}


def _alone(name: str) -> str:
    """The suspicion without a past that another one is compared with."""
    return f"alone{BY_VOLUME}" if name.endswith(BY_VOLUME) else "alone"
