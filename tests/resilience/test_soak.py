"""A short soak, with more faults and less patience than a full one; `make soak` runs that."""

from pathlib import Path

import pytest

from local.embedded.service import Service
from tests.resilience.faults import KILLED, Fault, Rates
from tests.resilience.soak import Settings, album, soak
from tests.resilience.uploads import images_in, plan

SAMPLES = Path(__file__).parents[2] / "samples"
UPLOADS = 100
SEED = 144
SHORT = Settings(
    rates=Rates(endpoint=0.1, table_conflict=0.02, topic=0.05, kill=0.04, storm=20, without=(Fault.SILENT,)),
    concurrency=4,
    visibility_s=4,
    receives=20,
    unreadable_messages=0,
    stalled_s=300.0,
)


@pytest.fixture(scope="module")
def outcome(cloud, stack):
    pid = Service(cloud.folder, "cloud", "/").running().pid
    images = album(stack, images_in([SAMPLES], most=40))
    return soak(stack, pid, plan(UPLOADS, images, SEED, "soak", curses=False), SEED, SHORT)


def test_every_promise_is_kept(outcome):
    assert [f"{violation.broken}: {violation.bin} {violation.how}" for violation in outcome.violations] == []


def test_things_went_wrong(outcome):
    assert all(outcome.faults[kind] for kind in (*KILLED, Fault.TABLE_THROTTLED, Fault.TOPIC_ANSWER_LOST, Fault.STORM))
    assert outcome.alerts > outcome.heard_again > 0
