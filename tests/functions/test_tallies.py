"""From checks in the table to tallies, and back out of it."""

from datetime import UTC, date, datetime

import boto3
import pytest

from inventory.reports.tallies import Tally, merge
from inventory.reports.tally_store import TallyStore
from tests.builders import image_of, metadata
from tests.functions.test_handlers import Context, handlers, metrics_in  # noqa: F401  (a fixture)


@pytest.fixture
def tallies(warehouse):
    return TallyStore(boto3.resource("dynamodb").Table("checks"))


@pytest.fixture
def reporter(handlers):  # noqa: F811
    return handlers("reporter")


def check(warehouse, site, id, seen, recorded):
    warehouse.drop(f"{site}/bin-images/{id}.jpg", image_of(seen))
    warehouse.drop(f"{site}/metadata/{id}.json", metadata(recorded))


def test_a_day_is_tallied_by_site_each_check_once(reporter, warehouse, tallies):
    warehouse.clock = datetime(2026, 3, 1, 23, 59, tzinfo=UTC)
    check(warehouse, "BOS1", "1", 3, 3)
    check(warehouse, "BOS1", "2", 6, 2)
    check(warehouse, "BOS1", "2", 6, 2)
    check(warehouse, "BOS1", "3", 3, "many")
    check(warehouse, "BOS2/hall 4", "1", 0, 0)
    warehouse.drop("BOS1/bin-images/4.jpg", image_of(3))
    warehouse.clock = datetime(2026, 3, 2, 0, 1, tzinfo=UTC)
    check(warehouse, "BOS1", "5", 1, 1)

    for _ in range(2):
        assert reporter.handler({"day": "2026-03-01"}, Context())["sites"] == 2
    first, second = tallies.between(date(2026, 3, 1), date(2026, 3, 1))
    suspected = sum(one.suspicion for id in "12" for one in warehouse.checks(f"BOS1/{id}"))
    assert first == Tally(
        "BOS1", "2026-03-01", 3, 1, 2, 1, 1.88, pytest.approx(suspected), {"3": 1, "6+": 1}, {"test@0": 2},
        first.bands,
    )  # fmt: skip
    assert sum(first.bands.values()) == 2
    assert (first.mismatch_rate, first.mean_confidence) == (0.5, 0.94)
    assert first.mean_suspicion == pytest.approx(suspected / 2)
    assert (second.site, second.answers, second.mismatches) == ("BOS2/hall 4", 1, 0)
    assert tallies.between(date(2026, 3, 2), date(2026, 3, 9)) == []


def test_a_drifted_site_is_told_in_words_and_as_a_metric(reporter, tallies, monkeypatch, capsys):
    for day in range(1, 29):
        tallies.put(Tally("BOS1", f"2026-02-{day:02d}", 100, 0, 100, 40, 50.0, 2.0, {"1": 60, "2": 40}, {"m@1": 100}))
        tallies.put(Tally("BOS2", f"2026-02-{day:02d}", 100, 0, 100, 40, 50.0, 2.0, {"5": 60, "6+": 40}, {"m@1": 100}))
    today = [
        Tally(site, "2026-03-01", 300, 0, 300, 240, 150.0, 6.0, {"5": 180, "6+": 120}, {"m@1": 300})
        for site in ("BOS1", "BOS2")
    ]
    monkeypatch.setattr(reporter, "tally", lambda _: today)
    findings = reporter.handler({"day": "2026-03-01"}, Context())["findings"]
    assert [(finding.split()[0], "drifted" in finding) for finding in findings] == [
        ("BOS1", True),
        ("BOS1", False),
        ("BOS2", False),
    ]
    assert metrics_in(capsys.readouterr().out) == {"DriftedSites": 1, "DisagreeingSites": 2}


def test_a_quiet_day_tells_that_nobody_drifted(reporter, capsys):
    assert reporter.handler({}, Context())["sites"] == 0
    assert metrics_in(capsys.readouterr().out) == {"DriftedSites": 0, "DisagreeingSites": 0}


def test_tallies_of_a_site_add_up():
    days = [Tally("BOS1", "2026-03-01", 3, 1, 2, 1, 1.5, 0.5, {"3": 2}, {"m@1": 2})] * 2
    assert merge("BOS1", "all", days) == Tally("BOS1", "all", 6, 2, 4, 2, 3.0, 1.0, {"3": 4}, {"m@1": 4})
    assert merge("BOS1", "all", []).mismatch_rate is None


def test_a_bin_named_like_the_tallies_is_checked_as_any_other(warehouse, tallies):
    tallies.put(Tally("BOS1", "2026-03-01", 1))
    warehouse.drop("bin-images/tallies.jpg", image_of(3))
    warehouse.drop("metadata/tallies.json", metadata(4))
    assert [one.status for one in warehouse.checks("tallies")] == ["mismatch"]
    assert [one.site for one in tallies.between(date(2026, 1, 1), date(2026, 12, 31))] == ["BOS1"]
