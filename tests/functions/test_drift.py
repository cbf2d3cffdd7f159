"""When a site answers unlike before, and when it is chance."""

import random
from collections import Counter

import pytest

from inventory.reports.drift import MIN_ANSWERS, compare, stability_index
from inventory.reports.tallies import Tally

DAYS = [f"2026-02-{day:02d}" for day in range(1, 29)]


def tallied(day, labels, mismatch_rate=0.5, site="BOS1", model="m@1"):
    answers = sum(labels.values())
    mismatches = round(answers * mismatch_rate)
    return Tally(site, day, answers, 0, answers, mismatches, labels=dict(labels), models={model: answers})


def drawn(number, chance):
    """Counts as frequent as in warehouses, with the labels that the endpoint answers with."""
    labels, shares = [*map(str, range(10)), "10+"], (2, 7.2, 13.4, 15.9, 14, 11, 9.5, 7.4, 5.1, 3.6, 10.9)
    return Counter(chance.choices(labels, shares, k=number))


def compared(tally, before):
    (comparison,) = compare([tally], before)
    return comparison


WEEKS = [tallied(day, {"1": 30, "2": 40, "3": 30}) for day in DAYS]


def test_the_index_is_that_of_a_worked_example():
    counts, reference = {"a": 3_000_000, "b": 7_000_000}, {"a": 5_000_000, "b": 5_000_000}
    assert stability_index(counts, reference) == pytest.approx(0.169460, abs=1e-5)  # .2·ln(5/3) + .2·ln(7/5)
    assert stability_index(reference, counts) == stability_index(counts, reference)
    assert stability_index(counts, counts) == 0
    assert stability_index({"a": 500}, {"b": 500}) > 5


def test_a_site_whose_counts_shift_has_drifted_and_one_that_stays_has_not():
    assert compared(tallied("2026-03-01", {"1": 100, "2": 110, "3": 70}), WEEKS).findings == []
    changed = compared(tallied("2026-03-01", {"3": 70, "4": 100, "5": 110}), WEEKS)
    assert changed.drifted
    assert changed.findings[0].startswith("BOS1 on 2026-03-01: the counts seen have drifted")


def test_chance_alone_hardly_ever_counts_as_drift_at_the_least_number_of_answers():
    chance = random.Random(0)
    pairs = [(drawn(MIN_ANSWERS, chance), drawn(MIN_ANSWERS, chance)) for _ in range(4_000)]
    comparisons = [compared(tallied("2026-03-01", day), [tallied("2026-02-28", before)]) for day, before in pairs]
    assert sum(one.drifted for one in comparisons) <= 4


def test_with_few_answers_nothing_is_said():
    few = tallied("2026-03-01", {"6+": MIN_ANSWERS - 1}, mismatch_rate=1)
    comparison = compared(few, WEEKS)
    assert (comparison.drift, comparison.excess, comparison.findings) == (None, None, [])
    many = tallied("2026-03-01", {"6+": MIN_ANSWERS}, mismatch_rate=1)
    assert compared(many, WEEKS[:1]).findings == []


@pytest.mark.parametrize(("answers", "rate", "told"), [(300, 0.57, False), (300, 0.62, True), (50_000, 0.53, False)])
def test_a_mismatch_rate_is_told_of_when_it_is_neither_chance_nor_slight(answers, rate, told):
    labels = {"1": round(answers * 0.3), "2": round(answers * 0.4), "3": round(answers * 0.3)}
    comparison = compared(tallied("2026-03-01", labels, rate), WEEKS)
    assert comparison.disagrees is told
    assert comparison.excess == pytest.approx(rate - 0.5)


def test_fewer_mismatches_are_no_reason_to_worry():
    assert not compared(tallied("2026-03-01", {"1": 90, "2": 120, "3": 90}, 0.2), WEEKS).disagrees


def test_only_the_four_weeks_before_at_the_same_site_are_the_reference():
    others = [
        *(tallied(day, {"6+": 1000}, site="BOS2") for day in DAYS),
        tallied("2026-01-31", {"6+": 1000}),
        tallied("2026-03-01", {"6+": 1000}),
    ]
    today = tallied("2026-03-01", {"1": 90, "2": 120, "3": 90})
    assert compared(today, [*WEEKS, *others]).reference.answers == 2800


def test_a_finding_names_the_model_that_is_new():
    changed = tallied("2026-03-01", {"3": 70, "4": 100, "5": 110}, model="m@2")
    assert "m@2 is new" in compared(changed, WEEKS).findings[0]
    assert "new" not in compared(tallied("2026-03-01", {"5": 300}), WEEKS).findings[0]
