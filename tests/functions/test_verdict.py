from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.metadata import Product, Record
from inventory.verdict import FLAT_TAIL, SLIPS, Slips, judge, suspect
from tests.builders import distribution, prediction

RATE = 0.02


def record(expected, *volumes_in3):
    """A record of that many objects, the products listed being one of each volume."""
    return Record(expected, tuple(Product(1, volume) for volume in volumes_in3))


def test_agreement_is_a_match_and_lowers_the_suspicion_below_the_base_rate():
    verdict = judge(prediction(3), record(3), RATE)
    assert (verdict.status, verdict.difference, verdict.direction, verdict.severity) == ("match", 0, None, "low")
    assert verdict.suspicion < RATE


@pytest.mark.parametrize(("expected", "difference", "direction"), [(5, -2, "missing"), (2, 1, "extra")])
def test_disagreement_is_a_mismatch_with_a_direction(expected, difference, direction):
    verdict = judge(prediction(3), record(expected), RATE)
    assert (verdict.status, verdict.difference, verdict.direction) == ("mismatch", difference, direction)


def test_a_count_that_differs_but_leaves_the_record_as_likely_as_it_was_is_a_match():
    unsure = distribution(0.0, 0.02, 0.1, 0.4, 0.38, 0.08, 0.02)
    verdict = judge(unsure, record(4), RATE)
    assert (unsure.count, verdict.status, verdict.difference, verdict.direction) == (3, "match", -1, None)
    assert verdict.suspicion < RATE


@pytest.mark.parametrize(("expected", "status"), [(6, "match"), (9, "match"), (99_999, "match"), (5, "mismatch")])
def test_the_open_label_agrees_with_every_count_it_covers(expected, status):
    assert judge(prediction(6), record(expected), RATE).status == status


def test_suspicion_is_the_formula_of_the_design_plus_mixed_up_records():
    seen = distribution(0.0, 0.1, 0.2, 0.6, 0.1, 0.0, 0.0)
    # expected 3; true 2 is slip -1, true 4 is slip +1, true 1 is slip -2: the shares of those that 2, 4 and 1 can make
    slipped = 0.95 * (0.45 * 0.2 / (1 - 0.03) + 0.30 * 0.1 / 1 + 0.10 * 0.1 / (1 - 0.03 - 0.08))
    wrong = RATE * (slipped + 0.05 * 0.4 * 0.133)
    assert suspect(seen, record(3), RATE) == pytest.approx(wrong / (wrong + (1 - RATE) * 0.6))


def test_an_empty_bin_recorded_as_full_is_suspicious_though_no_slip_reaches_that_far():
    seen = distribution(0.9997, 5e-5, 5e-5, 5e-5, 5e-5, 5e-5, 5e-5)
    assert judge(seen, record(5), RATE).severity == "high"


def test_a_count_that_the_image_rules_out_is_certain_to_be_wrong():
    assert suspect(distribution(0, 1.0, 0, 0, 0, 0, 0), record(0), RATE) == 1.0


def test_slips_are_a_distribution():
    assert sum(SLIPS.values()) == pytest.approx(1)


shares = st.lists(st.floats(0.001, 1), min_size=7, max_size=7).map(lambda xs: [x / sum(xs) for x in xs])


@given(shares, st.integers(0, 100_000), st.floats(0.0001, 0.5))
def test_suspicion_is_a_probability_that_grows_with_the_base_rate(probabilities, expected, rate):
    seen = distribution(*probabilities)
    assert 0 <= suspect(seen, record(expected), rate / 2) <= suspect(seen, record(expected), rate) <= 1


@given(shares, st.integers(0, 8), st.floats(0.0001, 0.5))
def test_a_mismatch_has_another_count_and_more_suspicion_than_a_record_has_without_an_image(
    probabilities, expected, rate
):
    seen = distribution(*probabilities)
    verdict = judge(seen, record(expected), rate)
    differs = seen.count != min(expected, 6)
    assert (verdict.status == "mismatch") == (differs and verdict.suspicion > rate)
    assert (verdict.direction is None) == (verdict.status == "match")


@given(shares, st.integers(0, 100_000))
def test_far_above_the_labels_suspicion_does_not_depend_on_the_count(probabilities, beyond):
    seen = distribution(*probabilities)
    far = suspect(seen, record(7 + FLAT_TAIL + beyond), RATE)
    assert far == pytest.approx(suspect(seen, record(40), RATE), rel=1e-3)


def seeing(volume_in3, *shares):
    return replace(distribution(*shares), volume_in3=volume_in3, volume_error=0.5)


EVEN = (0.0, 0.0, 0.25, 0.25, 0.25, 0.25, 0.0)


def test_a_record_whose_objects_fill_the_volume_seen_is_less_suspicious_and_one_whose_do_not_is_more():
    three = record(3, 100, 100, 100)
    plain = suspect(distribution(*EVEN), three, RATE)
    assert suspect(seeing(300, *EVEN), three, RATE) < plain < suspect(seeing(150, *EVEN), three, RATE)


def test_an_object_that_may_be_missing_is_any_of_those_recorded_but_not_their_mean():
    one_or_two = (0.0, 0.5, 0.5, 0.0, 0.0, 0.0, 0.0)
    box_and_pen = record(2, 990, 10)
    plain = suspect(distribution(*one_or_two), box_and_pen, RATE)
    pen_alone, half_of_all = (suspect(seeing(volume, *one_or_two), box_and_pen, RATE) for volume in (10, 500))
    assert half_of_all < plain < pen_alone


def test_volume_says_nothing_where_record_or_model_do_not_tell_it():
    plain = suspect(distribution(*EVEN), record(3), RATE)
    assert suspect(distribution(*EVEN), record(3, 100, 100, 100), RATE) == plain
    assert suspect(seeing(300, *EVEN), record(3), RATE) == plain


def test_a_mistyped_size_does_not_outweigh_a_sure_image():
    sure = (0.0005, 0.0005, 0.0005, 0.997, 0.0005, 0.0005, 0.0005)
    assert suspect(seeing(300, *sure), record(3, 100, 100, 100), RATE) < RATE
    assert suspect(seeing(300, *sure), record(3, 100, 100, 300_000), RATE) < 0.5


@given(shares, st.integers(0, 100_000), st.floats(0, 1e12), st.lists(st.floats(1e-9, 1e6), max_size=5))
def test_suspicion_stays_a_probability_whatever_the_volumes(probabilities, expected, seen, recorded):
    assert 0 <= suspect(seeing(seen, *probabilities), record(expected, *recorded), RATE) <= 1


def test_measured_slips_replace_the_assumed_ones():
    seen = distribution(0, 0, 0.5, 0.5, 0, 0, 0)
    always_one_more = Slips.of_wrong_records({1: 1.0})
    never = Slips.of_wrong_records({-2: 1.0})
    assert (
        suspect(seen, record(2), RATE, never)
        < suspect(seen, record(2), RATE)
        < suspect(seen, record(2), RATE, always_one_more)
    )
    assert Slips.of_wrong_records({slip: share * 0.95 for slip, share in SLIPS.items()}).mixed_up == pytest.approx(0.05)
    assert 0 <= suspect(seen, record(0), RATE, Slips.of_wrong_records({-1: 1.0})) <= 1
