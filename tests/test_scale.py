"""The model of docs/scale.md: against Erlang's formula, against what must be conserved, and against the template."""

import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.flow import Arrival, Flow, Instance, Times, simulate
from benchmarks.scale import HOURS, a_day, day_row
from model.app import MAX_WAITING
from tests.template import ROOT, resource, template
from training.jobs import settings as settings_file

DEFAULT = Flow.as_deployed()
NO_TIME = Times(image=0, storage=0, batch_cpu=0, message_cpu=0, cold_start=0, stream_poll=0, alert=0, instance_start=0)
OFFERED = 10_000
MINUTE_S = 60


def erlang_c(servers: int, load: float) -> float:
    """The probability that an arrival waits, for `load` in Erlang."""
    waiting = load**servers / math.factorial(servers) * servers / (servers - load)
    return waiting / (sum(load**busy / math.factorial(busy) for busy in range(servers)) + waiting)


@pytest.mark.parametrize("bottleneck", ["cores", "Checkers"])
@pytest.mark.parametrize(("servers", "utilisation"), [(1, 0.6), (4, 0.7)])
def test_the_mean_delay_is_that_of_a_queue_whose_formula_is_known(bottleneck, servers, utilisation):
    flow = replace(DEFAULT, batch_size=1, alert_batch=1, alert_parallel=100, max_instances=1, waiting_per_vcpu=10**6)
    if bottleneck == "cores":
        instance = {1: "ml.c6i.large", 2: "ml.c6i.xlarge", 4: "ml.c6i.2xlarge"}[servers]
        flow = replace(flow, concurrency=2000, instance_type=instance)
    else:
        flow = replace(flow, concurrency=servers, instance_type="ml.c6i.2xlarge", instances=1)
    random, time, arrivals = Random(7), 0.0, []
    for _ in range(OFFERED):
        time += random.expovariate(servers * utilisation)
        arrivals.append(Arrival(0.0, time))
    outcome = simulate(
        flow, arrivals, times=replace(NO_TIME, service_s=lambda random: random.expovariate(1)), mismatches=1.0
    )
    expected = 1 + erlang_c(servers, servers * utilisation) / (servers * (1 - utilisation))
    assert sum(outcome.delays) / OFFERED == pytest.approx(expected, rel=0.08)


def test_fixed_times_wait_half_as_long_as_random_ones():
    """M/D/1, by the formula of Pollaczek and Khinchine."""
    instance, random, time, waited = Instance(cores=1, places=10**6), Random(3), 0.0, 0.0
    for _ in range(50_000):
        time += random.expovariate(0.8)
        end = instance.call(time, 1.0)
        waited += end - 1.0 - time
    assert waited / 50_000 == pytest.approx(0.8 / (2 * (1 - 0.8)), rel=0.05)


flows = st.builds(
    lambda **changes: replace(DEFAULT, **changes),
    batch_size=st.integers(1, 10),
    concurrency=st.integers(1, 8),
    max_receives=st.integers(1, 6),
    visibility_s=st.sampled_from([1.0, 30.0, 360.0]),
    alert_batch=st.integers(1, 10),
    alert_parallel=st.integers(1, 3),
    instances=st.integers(1, 3),
    max_instances=st.integers(3, 6),
    calls_per_minute=st.sampled_from([1.0, 60.0, 1500.0]),
    waiting_per_vcpu=st.integers(1, 40),
    shards=st.integers(1, 4),
)
bins = st.lists(st.tuples(st.floats(0, 3000), st.floats(0, 100)), max_size=150).map(
    lambda pairs: [Arrival(first, first + gap) for first, gap in sorted(pairs)]
)


@settings(max_examples=80, deadline=None)
@given(flow=flows, arrivals=bins, outage=st.none() | st.tuples(st.floats(0, 2000), st.floats(2000, 4000)))
def test_no_upload_is_lost_and_no_bin_is_alerted_twice(flow, arrivals, outage):
    outcome = simulate(flow, arrivals, mismatches=1.0, outage=outage, seed=len(arrivals))
    assert outcome.uploads == 2 * len(arrivals) == outcome.done + outcome.dead
    assert outcome.left == 0
    assert outcome.alerts == len(outcome.delays) == outcome.checked <= len(arrivals)
    assert outcome.checked >= len(arrivals) - outcome.dead
    assert min(outcome.delays, default=1) > 0
    assert flow.instances <= max(outcome.most_instances, flow.instances) <= flow.max_instances
    if outage is None and not outcome.refused:
        assert outcome.dead == 0


@pytest.mark.parametrize("minutes", [5, 20, 23, 26, 40])
def test_an_outage_makes_dead_letters_once_it_outlasts_the_retries(minutes):
    arrivals = [Arrival(float(second), second + 0.5) for second in range(0, 3600, 20)]
    outcome = simulate(DEFAULT, arrivals, outage=(0.0, minutes * MINUTE_S))
    outlasted = minutes * MINUTE_S > DEFAULT.visibility_s * (DEFAULT.max_receives - 1)
    assert (outcome.dead > 0) == outlasted


def test_the_settings_are_those_of_the_template_and_of_deploy(monkeypatch):
    inbox = resource("Checker")["Events"]["Inbox"]["Properties"]
    outbox = resource("Alerter")["Events"]["Outbox"]["Properties"]
    deploy = settings_file.load().deploy
    places = {
        "batch_size": (inbox, "BatchSize"),
        "visibility_s": (resource("InboxQueue"), "VisibilityTimeout"),
        "max_receives": (resource("InboxQueue")["RedrivePolicy"], "maxReceiveCount"),
        "concurrency": (template()["Parameters"]["MaximumConcurrency"], "Default"),
        "memory_mb": (template()["Globals"]["Function"], "MemorySize"),
        "alert_batch": (outbox, "BatchSize"),
        "alert_parallel": (outbox, "ParallelizationFactor"),
    }
    for number, (place, name) in enumerate(places.values(), start=1000):
        monkeypatch.setitem(place, name, number)
    flow = Flow.as_deployed()
    assert [getattr(flow, name) for name in places] == list(range(1000, 1000 + len(places)))
    for name in ("instance_type", "instances", "max_instances", "calls_per_minute"):
        assert getattr(flow, name) == getattr(deploy, name)
    assert flow.waiting_per_vcpu == MAX_WAITING


def test_a_day_has_its_bins_and_the_peak_that_costs_are_reckoned_with():
    assert sum(HOURS) == pytest.approx(24)
    assert sum(1 for _ in a_day(20_000)) == pytest.approx(20_000, rel=0.1)
    arrivals = [arrival.first for arrival in a_day(2_000)]
    assert arrivals == sorted(arrivals)


def test_the_page_has_what_the_model_gives():
    rendered, _ = day_row(1_000, DEFAULT, "defaults")
    assert rendered in (ROOT / "docs" / "scale.md").read_text()
