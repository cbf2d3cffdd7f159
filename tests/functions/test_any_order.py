"""Uploads of one bin in any order, their events delivered in any order and more than once."""

import itertools
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders import image_of, metadata

PARTS = {"image": ("bin-images/{}.jpg", image_of), "metadata": ("metadata/{}.json", metadata)}
uploads = st.lists(st.tuples(st.sampled_from(sorted(PARTS)), st.integers(1, 3)), min_size=1, max_size=6)
deliveries = st.lists(st.integers(0, 5), max_size=8)
ids = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(uploads=uploads, early=deliveries, order=st.randoms(use_true_random=False))
def test_the_newest_contents_are_checked_and_what_is_news_is_told(warehouse, uploads, early, order):
    bin = f"b{next(ids)}"
    events, newest = [], {}
    for part, number in uploads:
        key, content = PARTS[part]
        events.append(warehouse.put(key.format(bin), content(number)))
        newest[part] = number
        for position in early:
            if position == len(events) - 1:
                warehouse.workflow.process(events[order.randrange(len(events))])
    late = events + [events[position] for position in early if position < len(events)]
    order.shuffle(late)
    for event in late:
        warehouse.workflow.process(event)

    checks = warehouse.checks(bin)
    assert len({check.check_id for check in checks}) == len(checks)
    current = [check for check in checks if check.status == "waiting" or _contents(check) == newest]
    if len(newest) == 2:
        (check,) = current
        assert (check.predicted, check.expected) == (newest["image"], newest["metadata"])
        assert check.status == ("match" if newest["image"] == newest["metadata"] else "mismatch")
    else:
        assert [check.status for check in checks] == ["waiting"]
    kinds = [alert["kind"] for alert in warehouse.alerts() if alert["bin"] == bin]
    ends = current[0].status if len(newest) == 2 else None
    assert kinds[-1:] == ["mismatch"] if ends == "mismatch" else not kinds or kinds[-1] == "resolved"
    assert all(later == "mismatch" for kind, later in pairwise(kinds) if kind == "resolved")
    assert all(check.alerted_at for check in checks if check.status == "mismatch" and not check.repeats)


def _contents(check):
    return {"image": check.predicted, "metadata": check.expected}
