"""A site's day in one message."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from inventory.errors import RetryLater
from inventory.links import Links
from inventory.reports.digests import MAX_BINS, body, most_suspicious, text
from inventory.reports.tallies import Tally
from tests.builders import image_of, metadata
from tests.functions.test_handlers import Context, handlers, metrics_in  # noqa: F401  (a fixture)

TALLY = Tally("BOS1", "2026-03-01", answers=1204, rejected=4, compared=1200, mismatches=400)


@pytest.fixture
def mismatch(warehouse):
    warehouse.drop("BOS1/bin-images/1.jpg", image_of(3))
    return warehouse.drop("BOS1/metadata/1.json", metadata(5))


def test_each_site_has_its_most_suspicious_first(mismatch):
    checks = [replace(mismatch, bin=str(n), site="AB"[n % 2], suspicion=n / 100) for n in range(4 * MAX_BINS)]
    worst = most_suspicious(checks)
    assert [check.suspicion for check in worst["B"]] == [n / 100 for n in range(4 * MAX_BINS - 1, 2 * MAX_BINS, -2)]
    assert len(worst["A"]) == MAX_BINS
    assert most_suspicious(reversed(checks)) == worst


def test_people_read_what_the_day_came_to_and_where_to_look(mismatch):
    told = text(TALLY, [replace(mismatch, suspicion=0.914)])
    assert told == (
        "BOS1 on 2026-03-01: 1,204 checks, 400 of 1,200 disagree with their records (33%), 4 could not be checked.\n\n"
        "Look at these first:\n     91%  BOS1/1: recorded 5, seen 3"
    )
    assert text(Tally("", "2026-03-01", answers=1, rejected=1), []).startswith("Bins without a site on")


def test_each_bin_of_a_digest_has_its_link(mismatch):
    links = Links("https://review.example")
    *_, bin, link = text(TALLY, [mismatch], links).splitlines()
    assert (bin.strip(), link.strip()) == ("17%  BOS1/1: recorded 5, seen 3", links.link(mismatch))
    assert body(TALLY, [mismatch], links)["most_suspicious"][0]["link"] == links.link(mismatch)


def test_names_add_no_lines_to_a_digest(mismatch):
    hostile = "A\nB\x1b[31m\u202e"
    told = text(replace(TALLY, site=hostile), [replace(mismatch, bin=hostile)])
    assert len(told.splitlines()) == 4
    assert "\x1b" not in told
    assert "\u202e" not in told


def test_programs_read_the_same(mismatch):
    read = body(TALLY, [mismatch])
    assert (read["mismatches"], read["most_suspicious"][0]["check_id"]) == (400, mismatch.check_id)


def test_the_reporter_tells_each_site_once_a_night_and_not_when_a_day_is_tallied_anew(
    handlers,  # noqa: F811
    warehouse,
    mismatch,
    monkeypatch,
):
    monkeypatch.setenv("DIGEST_TOPIC_ARN", warehouse.topic_arn)
    reporter = handlers("reporter")
    warehouse.alerts()
    reporter.handler({"day": "2026-03-01"}, Context())
    assert warehouse.alerts() == []
    monkeypatch.setattr(reporter, "datetime", _the_day_after(reporter.datetime))
    reporter.handler({}, Context())
    (digest,) = warehouse.alerts()
    assert digest["attributes"] == {"kind": "digest", "site": "BOS1"}
    assert [each["bin"] for each in digest["most_suspicious"]] == ["BOS1/1"]


@pytest.mark.parametrize(
    "failure",
    [
        ClientError({"Error": {"Code": "InvalidParameter", "Message": "no"}}, "Publish"),
        ReadTimeoutError(endpoint_url="https://sns"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_one_digest_that_fails_keeps_neither_the_others_nor_the_metrics_back(
    failure,
    handlers,  # noqa: F811
    warehouse,
    monkeypatch,
    capsys,
):
    for site in ("A", "B", "C"):
        warehouse.drop(f"{site}/bin-images/1.jpg", image_of(3))
        warehouse.drop(f"{site}/metadata/1.json", metadata(5))
    monkeypatch.setenv("DIGEST_TOPIC_ARN", warehouse.topic_arn)
    reporter = handlers("reporter")
    warehouse.alerts()
    monkeypatch.setattr(reporter, "datetime", _the_day_after(reporter.datetime))
    publish = reporter.digests.publish

    def refused(tally, worst):
        if tally.site == "B":
            raise failure
        publish(tally, worst)

    with monkeypatch.context() as broken:
        broken.setattr(reporter, "digests", SimpleNamespace(publish=refused))
        with pytest.raises(RetryLater, match="1 digests"):
            reporter.handler({}, Context())
    assert [digest["site"] for digest in warehouse.alerts()] == ["A", "C"]
    assert metrics_in(capsys.readouterr().out)["DriftedSites"] == 0


@pytest.mark.parametrize("at", ["2026-03-01T00:00:00+00:00", "2026-03-01T23:59:59.999+00:00"])
def test_a_day_lasts_from_midnight_to_midnight(handlers, warehouse, monkeypatch, at):  # noqa: F811
    monkeypatch.setenv("DIGEST_TOPIC_ARN", warehouse.topic_arn)
    reporter = handlers("reporter")
    for moment, id in ((datetime.fromisoformat(at), "in"), (datetime(2026, 3, 2, tzinfo=UTC), "out")):
        warehouse.clock = moment
        warehouse.drop(f"BOS1/bin-images/{id}.jpg", image_of(3))
        warehouse.drop(f"BOS1/metadata/{id}.json", metadata(5))
    warehouse.alerts()
    monkeypatch.setattr(reporter, "datetime", _the_day_after(reporter.datetime))
    reporter.handler({}, Context())
    (digest,) = warehouse.alerts()
    assert (digest["day"], [each["bin"] for each in digest["most_suspicious"]]) == ("2026-03-01", ["BOS1/in"])


def test_a_day_is_no_part_of_what_it_is_compared_with(handlers, warehouse):  # noqa: F811
    reporter = handlers("reporter")
    tally = replace(TALLY, labels={"3": 1200}, models={"m@1": 1200}, day="2026-02-27")
    for day in ("2026-02-27", "2026-03-01"):
        reporter.tallies.put(replace(tally, day=day))
    compared = {}
    original = reporter.compare

    def noting(made, before):
        compared["days"] = [each.day for each in before]
        return original(made, before)

    reporter.compare = noting
    reporter.handler({"day": "2026-03-01"}, Context())
    assert compared["days"] == ["2026-02-27"]


def _the_day_after(datetime):
    class DayAfter(datetime):
        @classmethod
        def now(cls, zone):
            return datetime(2026, 3, 2, 0, 30, tzinfo=zone)

    return DayAfter
