"""The count to read and its interval, against their definitions tried out on every count and every run of counts."""

from hypothesis import given
from hypothesis import strategies as st

from inventory.prediction import Prediction, estimated
from model.estimate import INTERVAL_SHARE, median, shortest_interval

ROUNDING = 1e-6
weights = st.lists(st.sampled_from([0, 1e-9, 0.1, 1, 1, 3, 10]) | st.floats(0, 1), min_size=1, max_size=12)
distributions = weights.filter(lambda xs: sum(xs) > 0).map(lambda xs: [x / sum(xs) for x in xs])


@given(distributions)
def test_no_count_has_a_smaller_expected_error_than_the_median(shares):
    def error(count):
        return sum(share * abs(count - other) for other, share in enumerate(shares))

    assert error(median(shares)) <= min(map(error, range(len(shares)))) + ROUNDING


@given(distributions, st.booleans())
def test_the_interval_is_the_shortest_run_that_holds_enough_and_the_likeliest_of_those(shares, open_end):
    low, high = shortest_interval(shares, open_end=open_end)
    last = len(shares) - 1
    assert (high is None) == (open_end and high in (None, last))
    end = last if high is None else high

    def held(first, size):
        return sum(shares[first : first + size])

    size = end - low + 1
    assert held(low, size) >= INTERVAL_SHARE - ROUNDING
    assert all(held(first, size - 1) < INTERVAL_SHARE + ROUNDING for first in range(last + 1))
    assert held(low, size) >= max(held(first, size) for first in range(last - size + 2)) - ROUNDING
    assert low <= median(shares) <= end


@given(distributions, st.booleans())
def test_the_domain_reads_a_distribution_as_the_endpoint_does(shares, open_end):
    labels = [str(count) for count in range(len(shares))]
    labels[-1] += "+" * open_end
    told = estimated(Prediction(0, tuple(labels), tuple(shares), tuple(shares), "test@0"))
    assert (told.count, told.interval) == (median(shares), shortest_interval(shares, open_end=open_end))
