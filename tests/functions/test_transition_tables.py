"""The tables of transitions are whole, and the pages that show them show the code's."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from inventory import decision
from inventory.bins import Bin, StrayKey
from inventory.check import (
    BinState,
    Check,
    CurrentCheck,
    KnownUpload,
    LastAlert,
    LonePart,
    StoredObject,
    timestamp,
)
from inventory.decision import (
    TELLING,
    WRITING,
    Knows,
    Look,
    News,
    Review,
    Seen,
    TimePassed,
    Told,
    Waits,
    Withdrawal,
    Written,
    decide,
    transition_tables,
)
from inventory.uploads import Upload

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.mark.parametrize("page", [decision.__doc__, ARCHITECTURE.read_text()], ids=["docstring", "architecture"])
def test_a_page_shows_the_tables_of_the_code(page):
    for table in transition_tables().split("\n\n"):
        assert table in page


def test_everything_that_happens_has_its_row():
    assert set(WRITING) == set(Seen)
    impossible = {(Knows.NOTHING, News.SAME)}
    assert set(TELLING) == set(product(Knows, News)) - impossible


def test_who_is_told_nothing_knows_what_he_knew_unless_a_person_has_looked():
    by_people = (News.REVIEW, News.WITHDRAWAL)
    for (knew, news), (told, knows) in TELLING.items():
        assert told is not Told.NOTHING or knows is knew or news in by_people or knew is Knows.REVIEWED


# What the tables say is what `decide` does

BIN = Bin("BOS1", "1")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE, RECORD = (StoredObject("inbox", f"BOS1/{key}", "v") for key in ("bin-images/1.jpg", "metadata/1.json"))
UPLOAD = Upload("inbox", IMAGE.key, IMAGE.version, "1")


def check(status, predicted, **more):
    answer = {"predicted": predicted, "expected": 3, "difference": predicted - 3, "severity": "low"}
    return Check("BOS1/1", "BOS1", "v/v", status, timestamp(NOW), **answer, **more)


TOLD = check("mismatch", 2)
OPEN = replace(LastAlert.of(TOLD), heard_severity="low")
KNOWING = {Knows.NOTHING: None, Knows.OPEN: OPEN, Knows.REVIEWED: replace(OPEN, actual=3)}
SEEING = {News.AGREES: check("match", 3), News.SAME: TOLD, News.OTHER: check("mismatch", 1)}


@pytest.mark.parametrize(("knew", "news"), TELLING, ids=lambda value: str(value).replace(" ", "-"))
def test_people_are_told_and_know_what_the_table_says(knew, news):
    told, knows = TELLING[knew, news]
    state = BinState(BIN, 1, current=CurrentCheck("v/v", "mismatch"), last_alert=KNOWING[knew])
    event = Look(UPLOAD, NOW, IMAGE, RECORD, SEEING.get(news))
    if news is News.REVIEW:
        event = Review(TOLD, 3, NOW)
    if news is News.WITHDRAWAL:
        event = Withdrawal(replace(TOLD, actual=3, reviewed_at=timestamp(NOW)), None, NOW)
    decided = decide(state, event)
    kinds = {Told.NOTHING: None, Told.ALERT: "mismatch", Told.RESOLVED: "resolved"}
    assert (decided.alert and decided.alert.kind) == kinds[told]
    after = decided.state.last_alert
    assert after == KNOWING[knows] or (knows is Knows.OPEN and after.predicted == SEEING[news].predicted)


LONE = LonePart("image", IMAGE, timestamp(NOW - timedelta(hours=1)))
CHECKED = {IMAGE.key: KnownUpload("v", "1", recorded=True)}
HOUR = timedelta(hours=1)
HAPPENING = {
    Seen.NEW_PAIR: (BinState(BIN), Look(UPLOAD, NOW, IMAGE, RECORD, TOLD)),
    Seen.KNOWN_PAIR: (BinState(BIN), Look(UPLOAD, NOW, IMAGE, RECORD, TOLD, recorded=True)),
    Seen.ONE_PART: (BinState(BIN), Look(UPLOAD, NOW, IMAGE)),
    Seen.REMOVED: (BinState(BIN), Look(UPLOAD, NOW, metadata=RECORD, check=check("rejected", 0))),
    Seen.SETTLED: (BinState(BIN, uploads=CHECKED), Look(UPLOAD, NOW, metadata=RECORD)),
    Seen.STRAY: (BinState(StrayKey("x")), Look(replace(UPLOAD, key="x"), NOW, check=check("rejected", 0))),
    Seen.OVERDUE: (BinState(BIN), TimePassed(NOW, HOUR, IMAGE)),
    Seen.NOT_ALONE: (BinState(BIN), TimePassed(NOW, HOUR)),
    Seen.NOT_DUE: (BinState(BIN), TimePassed(NOW, 2 * HOUR, IMAGE)),
    Seen.REVIEW: (BinState(BIN, current=CurrentCheck("v/v", "mismatch")), Review(TOLD, 3, NOW)),
    Seen.WITHDRAWAL: (BinState(BIN, current=CurrentCheck("v/v", "mismatch", True)), Withdrawal(TOLD, None, NOW)),
}


@pytest.mark.parametrize("seen", Seen, ids=lambda seen: seen.name.lower())
def test_what_happens_is_written_and_waits_as_the_table_says(seen):
    written, waits = WRITING[seen]
    state, event = HAPPENING[seen]
    state = replace(state, lone=LONE if isinstance(state.bin, Bin) else None)
    assert decision.classify(state, event) is seen
    decided = decide(state, event)
    assert (decided.append is not None) == (written in (Written.NEW, Written.REJECTED))
    assert (decided.amend is not None) == (written in (Written.AGAIN, Written.FINDING, Written.RESTORED))
    assert (
        decided.state.lone
        == {
            Waits.NOTHING: None,
            Waits.PART: LONE,
            Waits.REST: LonePart("metadata", RECORD, timestamp(NOW)),
            Waits.AS_BEFORE: LONE,
            Waits.TOLD: replace(LONE, overdue_at=timestamp(NOW)),
        }[waits]
    )
    if seen in (Seen.STRAY, Seen.NEW_PAIR):
        assert decided.state.lone is None


def test_a_part_is_overdue_from_the_timeout_on_and_told_of_once():
    state = BinState(BIN, lone=LONE)
    early = TimePassed(NOW - timedelta(milliseconds=1), HOUR, IMAGE)
    assert decision.classify(state, early) is Seen.NOT_DUE
    told = decide(state, TimePassed(NOW, HOUR, IMAGE)).state
    assert decision.classify(told, TimePassed(NOW + HOUR, HOUR, IMAGE)) is Seen.NOT_DUE


def test_while_both_parts_lie_there_nothing_is_alone():
    state = BinState(BIN, 1, lone=LONE)
    both = TimePassed(NOW + timedelta(days=1), HOUR, IMAGE, RECORD)
    assert decision.classify(state, both) is Seen.NOT_ALONE
    decided = decide(state, both)
    assert (decided.state.lone, decided.alert) == (None, None)
