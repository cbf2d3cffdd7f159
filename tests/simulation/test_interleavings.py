"""Whatever the order in which processes take their turns, a bin ends as it should, and people hear what is news once.

All orders of small histories are gone through; long histories and their orders are drawn.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.exploration import explored
from tests.simulation.histories import ALPHABET, BEFORE, WATCHDOG, again, histories, is_possible, killed, review, upload
from tests.simulation.interleaving import Schedule, run
from tests.simulation.oracle import violations
from tests.simulation.warehouse import Warehouse

FEW = BEFORE[1], BEFORE[3]
"""Pasts that `make test` goes through; `make soak` goes through all."""


@pytest.mark.parametrize("before", FEW, ids=["alone", "mismatch"])
def test_whatever_two_things_happen_at_once(before):
    for history in histories(2, [before]):
        found = explored(*history)
        assert found.violation is None, found
        assert found.complete


@pytest.mark.parametrize(
    "steps",
    [
        (upload("image", 2), upload("metadata", 4), again("metadata")),
        (upload("image", 2), again("image"), upload("metadata", 4)),
        (upload("metadata", 4), upload("image", 2), WATCHDOG),
    ],
    ids=["second-part-twice", "first-part-twice", "watchdog"],
)
def test_three_at_once(steps):
    """The first runs of them; `make soak` goes through some triples whole."""
    found = explored((), steps, most=3_000)
    assert found.violation is None, found


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_at_any_of_its_calls(after):
    for at in range(1, 9):
        steps = (killed(upload("metadata", 4), at, after=after), again("image"))
        found = explored((upload("image", 2),), steps)
        assert found.violation is None, found


steps = st.sampled_from(ALPHABET)
deaths = st.tuples(st.none() | st.integers(1, 9), st.booleans())


@st.composite
def long_histories(draw):
    happened = draw(st.lists(st.tuples(steps, deaths), min_size=3, max_size=7))
    at_once = tuple(replace(step, dies_at=at, after=after) for step, (at, after) in happened)
    before = draw(st.sampled_from(BEFORE))
    return before, tuple(step for step in at_once if is_possible([*before, *at_once, step]))


@settings(max_examples=settings().max_examples * 3, deadline=None)
@given(history=long_histories(), choices=st.lists(st.integers(0, 6), max_size=80), versions=st.booleans())
def test_long_histories_in_any_order(history, choices, versions):
    before, at_once = history
    house = Warehouse(at_once if is_possible(before + at_once) else (), before, versions=versions)
    run(house.world(), Schedule(choices))
    assert list(violations(house)) == []


def test_a_review_meets_a_check_and_the_watchdog():
    found = explored(FEW[1], (review(2), upload("metadata", 5), WATCHDOG), most=3_000)
    assert found.violation is None, found
