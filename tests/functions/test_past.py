"""Which earlier check of its bin a new one is compared with, and what that says about the count."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from statistics import NormalDist

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inventory.check import Check, timestamp
from inventory.past import (
    CORRELATION,
    LEAST_TAIL,
    RESTOCKED,
    REVIEW_DOUBT,
    SETTLED,
    Confirmed,
    given_last,
    given_past,
    last_confirmed,
    remembering,
)
from inventory.prediction import Prediction, estimated
from inventory.verdict import TAIL_RATIO

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANSWERED = {"model": "m@1", "probabilities": {"0": 1.0}}
MATCH = {"status": "match", "expected": 5, "suspicion": 0.01} | ANSWERED
MISMATCH = {"status": "mismatch", "expected": 7, "suspicion": 0.4} | ANSWERED
REVIEWED = {"reviewed_at": timestamp(NOON)}
CONFIRMED = [
    (MATCH, (5, 0.01)),
    (MATCH | REVIEWED | {"actual": 4}, (4, REVIEW_DOUBT)),
    (MISMATCH | REVIEWED | {"actual": 0}, (0, REVIEW_DOUBT)),
]
UNCONFIRMED = [
    (MISMATCH, None),
    (MATCH | REVIEWED, None),
    (MISMATCH | REVIEWED, None),
    (MATCH | {"suspicion": None}, None),
    ({"status": "rejected"}, None),
    ({"status": "rejected", "model": "m@1"} | REVIEWED | {"actual": 3}, None),
    (MATCH | {"model": "m@2"}, None),
]
"""Fields of a check, and the count and doubt that they confirm."""
results = st.sampled_from([*CONFIRMED, *UNCONFIRMED])
updates = st.lists(
    st.tuples(st.booleans(), results, results, st.integers(1, 59), st.integers(1, 99), st.sampled_from(["", "/m@2"])),
    min_size=1,
    max_size=5,
)
"""Whether the image came first, the check of the moment between the two files and the one after, the seconds between
them, the hours until the next update, and the end of the check's identity."""


def made(identity, at, **fields):
    known = {"status": "match", "image": "s3://inbox/bin-images/1.jpg"} | fields
    return Check("1", "", identity, checked_at=timestamp(at), **known)


@given(updates, st.booleans())
def test_the_last_confirmed_check_of_another_image_is_chosen_and_no_transitional_record(updates, is_whole):
    checks, confirmed, moment = [], [], NOON
    for number, (image_first, between, after, seconds, hours, end) in enumerate(updates):
        if number:
            image, record = (number, number - 1) if image_first else (number - 1, number)
            checks.append(made(f"i{image}/r{record}", moment, **between[0]))
            if between[0].get("reviewed_at") and between[1]:
                confirmed.append((image, Confirmed(checks[-1], *between[1])))
            moment += timedelta(seconds=seconds)
        checks.append(made(f"i{number}/r{number}{end}", moment, **after[0]))
        if after[1]:
            confirmed.append((number, Confirmed(checks[-1], *after[1])))
        moment += timedelta(hours=hours)
    if not is_whole and len(checks) > 1:
        checks.pop()
    check, *earlier = reversed(checks)
    shown = int(check.check.split("/")[0].removeprefix("i"))
    expected = [one for image, one in confirmed if image != shown and one.check in earlier]
    assert last_confirmed(replace(check, model="m@1"), earlier) == (expected[-1] if expected else None)


@pytest.mark.parametrize(("current_for", "counts"), [(SETTLED, True), (SETTLED - timedelta(seconds=1), False)])
def test_a_pair_counts_whose_record_alone_was_replaced_if_it_was_current_for_an_hour(current_for, counts):
    first = made("i1/r1", NOON, **MATCH)
    corrected = made("i1/r2", NOON + current_for, **MISMATCH)
    found = last_confirmed(made("i2/r3", NOON + 9 * SETTLED, model="m@1"), [corrected, first])
    assert found == (Confirmed(first, 5, 0.01) if counts else None)


def test_no_more_checks_are_read_than_it_takes():
    earlier = iter([made("i2/r2", NOON, **MISMATCH), made("i1/r1", NOON, **MATCH), made("i0/r0", NOON, **MATCH)])
    last_confirmed(made("i3/r3", NOON, model="m@1"), earlier)
    assert [check.check for check in earlier] == ["i0/r0"]


ROUNDED = (0.0,) * 5 + (0.5625, 0.5665335487619022, 0.0625, 2**-52, 0.9032910336197506, 0.0078125)
LAST = (0.5, *(0.0,) * 6, 0.5, 0.5, 0.5625, 0.00390625)
EVEN = (1 / 11,) * 11


def scaled(drawn):
    return tuple(share / sum(drawn) for share in drawn)


shares = st.lists(st.floats(0, 1), min_size=11, max_size=11).filter(any).map(scaled)
counts = st.integers(0, 100_000)


@given(shares, shares, counts, st.booleans())
@example(scaled(ROUNDED), scaled(LAST), 0, True)
def test_the_last_photograph_always_leaves_a_distribution(now, last, count, open_end):
    told = given_last(now, last, count, open_end=open_end)
    assert min(told) >= 0
    assert sum(told) == pytest.approx(1)


@given(shares, st.lists(counts, min_size=2, max_size=2).map(sorted))
def test_the_more_a_bin_held_last_time_the_more_it_holds_now(last, held):
    now = around(4).probabilities
    fewer, more = (given_last(now, last, count, open_end=True) for count in held)
    assert all(one >= other - 1e-9 for one, other in zip(accumulate(fewer), accumulate(more), strict=True))


def around(count, **fields):
    """A prediction of about so many objects."""
    drawn = scaled([math.exp(-0.5 * ((label - count) / 1.5) ** 2) for label in range(11)])
    labels = (*map(str, range(10)), "10+")
    return estimated(replace(Prediction(0, labels, drawn, EVEN, "test@1"), **fields))


def confirmed(count, doubt=0.0, **fields):
    seen = around(4)
    known = {"probabilities": dict(zip(seen.labels, seen.probabilities, strict=True))} | fields
    return Confirmed(made("i1/r1", NOON, **known), count, doubt)


def test_what_was_overlooked_last_time_is_expected_to_be_overlooked_again():
    assert [given_past(around(4), confirmed(held)).count for held in (2, 4, 6)] == [3, 4, 5]
    assert given_past(around(4), confirmed(6)).interval[0] > around(4).interval[0]


@pytest.mark.parametrize("doubt", [0.0, 0.3, 1.0])
def test_a_doubtful_count_says_less(doubt):
    seen = around(4)
    alone = seen.probabilities
    sure = given_last(alone, alone, 8, open_end=True)
    trust = (1 - doubt) * (1 - RESTOCKED)
    expected = [trust * one + (1 - trust) * other for one, other in zip(sure, alone, strict=True)]
    assert given_past(seen, confirmed(8, doubt)).probabilities == pytest.approx(expected)


def test_the_error_is_that_of_the_image_alone():
    seen = confirmed(6).check.probabilities
    remembered = {"probabilities": dict.fromkeys(seen, 1 / 11), "probabilities_alone": seen}
    assert given_past(around(4), confirmed(6, **remembered)) == given_past(around(4), confirmed(6))


def test_the_order_in_which_the_table_gives_shares_does_not_matter():
    given_in_order = confirmed(6)
    reversed_shares = dict(reversed(given_in_order.check.probabilities.items()))
    assert given_past(around(4), confirmed(6, probabilities=reversed_shares)) == given_past(around(4), given_in_order)


def test_other_labels_say_nothing():
    assert given_past(around(4), confirmed(6, probabilities={"0": 0.5, "1+": 0.5})) is None


@pytest.mark.parametrize(
    ("last_count", "open_end", "place"),
    [
        (0, True, 0.1),  # half of the first label
        (1, True, 0.2 + 0.2),
        (2, True, 1 - 0.4 * (1 + TAIL_RATIO) / 2),  # the first count of the open label
        (4, True, 1 - 0.4 * (TAIL_RATIO**2 + TAIL_RATIO**3) / 2),
        (2, False, 0.8),
        (4, False, 1 - LEAST_TAIL),
        (10**9, True, 1 - LEAST_TAIL),
    ],
)
def test_the_error_is_the_place_of_the_last_count_in_its_distribution(last_count, open_end, place):
    error = NormalDist().inv_cdf(place)
    edges = [NormalDist().inv_cdf(share) for share in (0.3, 0.8)]
    moved = [NormalDist().cdf((edge - CORRELATION * error) / math.sqrt(1 - CORRELATION**2)) for edge in edges]
    told = given_last((0.3, 0.5, 0.2), (0.2, 0.4, 0.4), last_count, open_end=open_end)
    assert told == pytest.approx((moved[0], moved[1] - moved[0], 1 - moved[1]), abs=1e-9)


def test_closed_labels_stay_closed():
    closed = replace(around(4), labels=tuple(map(str, range(11))))
    last = closed.probabilities
    told = remembering(closed, last, 12, doubt=0)
    moved = given_last(last, last, 12, open_end=False)
    expected = [(1 - RESTOCKED) * one + RESTOCKED * other for one, other in zip(moved, last, strict=True)]
    assert told.probabilities == pytest.approx(expected)
