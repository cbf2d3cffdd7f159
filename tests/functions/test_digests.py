"""A site's day in one message."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from inventory import clients
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


@pytest.fixture
def reporter(handlers, warehouse, sent_alerts, monkeypatch):  # noqa: F811
    """The Reporter of the night after the warehouse's day."""
    monkeypatch.setenv("DIGEST_TOPIC_ARN", warehouse.topic_arn)
    module = handlers("reporter")

    class DayAfter(datetime):
        @classmethod
        def now(cls, zone):
            return datetime(2026, 3, 2, 0, 30, tzinfo=zone)

    monkeypatch.setattr(module, "datetime", DayAfter)
    return module


@pytest.fixture
def three_sites(warehouse):
    for site in ("A", "B", "C"):
        warehouse.drop(f"{site}/bin-images/1.jpg", image_of(3))
        warehouse.drop(f"{site}/metadata/1.json", metadata(5))
    warehouse.alerts()


def test_the_reporter_tells_each_site_once_a_night_and_not_when_a_day_is_tallied_anew(reporter, warehouse, mismatch):
    warehouse.alerts()
    reporter.handler({"day": "2026-03-01"}, Context())
    assert warehouse.alerts() == []
    reporter.handler({}, Context())
    (digest,) = warehouse.alerts()
    assert digest["attributes"] == {"kind": "digest", "site": "BOS1"}
    assert [each["bin"] for each in digest["most_suspicious"]] == ["BOS1/1"]


def fail_for(failing, failure, call):
    """The call, which fails where one of its arguments is `failing`."""

    def failing_call(*args, **kwargs):
        if failing(*args, **kwargs):
            raise failure
        return call(*args, **kwargs)

    return failing_call


FAILURES = [
    ClientError({"Error": {"Code": "InvalidParameter", "Message": "no"}}, "Publish"),
    ReadTimeoutError(endpoint_url="https://sns"),
]


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_one_digest_that_fails_keeps_neither_the_others_nor_the_metrics_back_and_is_tried_alone(
    failure, reporter, warehouse, three_sites, monkeypatch, capsys
):
    with monkeypatch.context() as broken:
        refused = fail_for(lambda tally, _: tally.site == "B", failure, reporter.digests.publish)
        broken.setattr(reporter.digests, "publish", refused)
        for _ in range(3):  # as Lambda tries it
            with pytest.raises(RetryLater, match="1 steps of the report of 2026-03-01"):
                reporter.handler({}, Context())
            assert metrics_in(capsys.readouterr().out)["DriftedSites"] == 0
        assert sorted(digest["site"] for digest in warehouse.alerts()) == ["A", "C"]
    reporter.handler({}, Context())
    assert [digest["site"] for digest in warehouse.alerts()] == ["B"]


def test_the_metrics_are_published_before_the_first_digest(reporter, warehouse, three_sites, monkeypatch, capsys):
    published = []
    monkeypatch.setattr(reporter.digests, "publish", lambda *_: published.append(metrics_in(capsys.readouterr().out)))
    reporter.handler({}, Context())
    assert (len(published), published[0]) == (3, {"DriftedSites": 0, "DisagreeingSites": 0})


@pytest.mark.parametrize("failure", FAILURES, ids=lambda failure: type(failure).__name__)
def test_one_tally_that_fails_keeps_neither_the_others_nor_metrics_nor_digests_back(
    failure, reporter, warehouse, three_sites, monkeypatch, capsys
):
    day = datetime(2026, 3, 1, tzinfo=UTC).date()
    with monkeypatch.context() as broken:
        refused = fail_for(lambda tally: tally.site == "B", failure, reporter.tallies.put)
        broken.setattr(reporter.tallies, "put", refused)
        with pytest.raises(RetryLater, match="1 steps"):
            reporter.handler({}, Context())
    assert metrics_in(capsys.readouterr().out)["DriftedSites"] == 0
    assert sorted(digest["site"] for digest in warehouse.alerts()) == ["A", "B", "C"]
    assert [tally.site for tally in reporter.tallies.between(day, day)] == ["A", "C"]
    reporter.handler({}, Context())
    assert warehouse.alerts() == []
    assert [tally.site for tally in reporter.tallies.between(day, day)] == ["A", "B", "C"]


def test_a_digest_that_another_reporter_is_sending_is_not_sent_twice(reporter, warehouse, three_sites, monkeypatch):
    publish = reporter.digests.publish

    def slow(tally, worst):
        monkeypatch.setattr(reporter.digests, "publish", publish)
        with pytest.raises(RetryLater, match="1 steps"):
            reporter.handler({}, Context())
        publish(tally, worst)

    monkeypatch.setattr(reporter.digests, "publish", slow)
    reporter.handler({}, Context())
    assert sorted(digest["site"] for digest in warehouse.alerts()) == ["A", "B", "C"]


def test_a_digest_whose_reporter_died_is_sent_by_the_next_attempt(reporter, warehouse, three_sites, monkeypatch):
    class Killed(BaseException):
        pass

    with monkeypatch.context() as broken:
        broken.setattr(reporter, "LEASE_MS", 0)
        broken.setattr(reporter.digests, "publish", fail_for(lambda *_: True, Killed, None))
        with pytest.raises(Killed):
            reporter.handler({}, Context())
    reporter.handler({}, Context())
    assert sorted(digest["site"] for digest in warehouse.alerts()) == ["A", "B", "C"]


def test_the_lease_of_a_digest_is_over_before_lambda_tries_again(reporter):
    attempts_s = 2 * (clients._TOPIC.connect_timeout + clients._TOPIC.read_timeout)
    assert attempts_s < reporter.LEASE_MS / 1000 < 60


@pytest.mark.parametrize("at", ["2026-03-01T00:00:00+00:00", "2026-03-01T23:59:59.999+00:00"])
def test_a_day_lasts_from_midnight_to_midnight(reporter, warehouse, at):
    for moment, id in ((datetime.fromisoformat(at), "in"), (datetime(2026, 3, 2, tzinfo=UTC), "out")):
        warehouse.clock = moment
        warehouse.drop(f"BOS1/bin-images/{id}.jpg", image_of(3))
        warehouse.drop(f"BOS1/metadata/{id}.json", metadata(5))
    warehouse.alerts()
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
