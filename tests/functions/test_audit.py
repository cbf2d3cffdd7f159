"""The audit's figures hold for all checks, though few are reviewed, reviewers err, and alerts are no random sample."""

from collections import Counter
from math import lgamma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.audit import World, coverage, simulate
from inventory.prediction import Prediction
from inventory.reports.audit import OTHER, ReviewedCheck, audit, band_of, review_weights, slip_shares
from inventory.reports.intervals import clopper_pearson

RUNS = 40


def bins():
    """Bins of 0 to 9 objects, and a model that is right on half of them."""
    rng = np.random.default_rng(0)
    labels = ("0", "1", "2", "3", "4", "5", "6+")
    for count in rng.integers(0, 10, 300):
        shares = rng.dirichlet(0.15 + 1.5 * np.exp(-0.5 * (np.arange(7) - min(count, 6)) ** 2))
        yield int(count), Prediction(int(shares.argmax()), labels, tuple(shares), (1 / 7,) * 7, "m")


@pytest.fixture(scope="module")
def outcomes():
    world = World(list(bins()), checks=8_000, audit_share=0.025, alerts=150)
    return [simulate(world, seed) for seed in range(RUNS)]


def test_intervals_cover_the_truth_though_one_answer_in_thirty_is_wrong(outcomes):
    rows = coverage(outcomes)
    # Of 40 intervals of 95%, fewer than 33 cover with a chance of one in 600.
    assert {name: row["covered"] for name, row in rows.items() if row["covered"] < 33} == {}
    assert rows["wrong records"]["estimate"] == pytest.approx(rows["wrong records"]["truth"], abs=0.01)


def test_the_share_of_right_alerts_says_nothing_about_all_records(outcomes):
    naive = min(outcome.naive_wrong for outcome in outcomes)
    assert naive > 3 * max(outcome.truth["wrong records"] for outcome in outcomes)


def test_one_answer_alone_would_find_far_too_many_wrong_records():
    world = World(list(bins()), checks=8_000, audit_share=0.025, alerts=0, wrong_share=0.0)
    found = [simulate(world, seed).estimates["wrong records"].estimate for seed in range(5)]
    assert max(found) < 1 - world.reviewer_right


@given(st.just(0.0) | st.floats(0.01, 200), st.floats(1, 200))
def test_an_interval_holds_its_estimate_and_stays_between_0_and_1(successes, failures):
    interval = clopper_pearson(successes, successes + failures)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    # Newcombe (1998), "Two-sided confidence intervals for the single proportion", table I, method 5.
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0000, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_intervals_are_the_published_ones(successes, trials, low, high):
    interval = clopper_pearson(successes, trials)
    assert (interval.low, interval.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("trials", [7, 200, 5_000])
@given(share=st.floats(0, 1))
def test_the_limits_are_those_of_the_binomial(trials, share):
    successes = round(share * trials)
    interval = clopper_pearson(successes, trials)
    if 0 < successes < trials:
        assert 1 - below(successes - 1, trials, interval.low) == pytest.approx(0.025, rel=1e-6)
        assert below(successes, trials, interval.high) == pytest.approx(0.025, rel=1e-6)


def below(successes, trials, share):
    """The chance of at most so many successes, summed term by term."""
    logs = np.array([lgamma(trials + 1) - lgamma(k + 1) - lgamma(trials - k + 1) for k in range(successes + 1)])
    counts = np.arange(successes + 1)
    return float(np.exp(logs + counts * np.log(share) + (trials - counts) * np.log1p(-share)).sum())


def checked(expected, actual, suspicion, audited=True):
    return ReviewedCheck(expected, 3, actual, suspicion, audited)


def test_a_reviewed_check_stands_for_as_many_as_its_band_has_for_each_review():
    alerts = [checked(4, 3, 0.995, audited=False)] * 20
    sample = [checked(3, 3, 0.05)] * 20 + [checked(2, 3, 0.05)] * 20
    bands = Counter({band_of(0.995): 20, band_of(0.05): 80})
    found = [*alerts, *sample]
    shares = slip_shares(found, review_weights(found, bands))
    assert (shares[-1].estimate, shares[1].estimate) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert shares[OTHER].estimate == 0
    assert shares[OTHER].high > 0.05


def test_without_a_review_nothing_is_known():
    assert audit([]) is None
    assert audit([checked(4, 3, 0.9, audited=False)]) is None
    assert all((each.low, each.high) == (0, 1) for each in slip_shares([], []).values())


def test_suspicion_is_held_against_what_people_found():
    found = audit([checked(3, 3, 0.015)] * 9 + [checked(2, 3, 0.015)] + [checked(2, 3, 0.75)] * 4)
    low, high = found.reliability
    assert (low.checks, low.suspicion, low.wrong.estimate) == (10, pytest.approx(0.015), 0.1)
    assert (high.checks, high.wrong.estimate) == (4, 1.0)
    assert found.bias.estimate == 0
