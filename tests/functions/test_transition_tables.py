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
    NOTIFICATIONS,
    WRITES,
    AlertState,
    Notification,
    Observation,
    Outcome,
    Review,
    Situation,
    TimePassed,
    Waits,
    Withdrawal,
    Written,
    decide,
    transition_tables,
)
from inventory.uploads import Removal, Upload

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


@pytest.mark.parametrize("page", [decision.__doc__, ARCHITECTURE.read_text()], ids=["docstring", "architecture"])
def test_a_page_shows_the_tables_of_the_code(page):
    for table in transition_tables().split("\n\n"):
        assert table in page


def test_everything_that_happens_has_its_row():
    assert set(WRITES) == set(Situation)
    impossible = {(AlertState.NOTHING, Outcome.SAME)}
    assert set(NOTIFICATIONS) == set(product(AlertState, Outcome)) - impossible


def test_who_is_told_nothing_knows_what_he_knew_unless_a_person_has_looked():
    by_people = (Outcome.REVIEW, Outcome.WITHDRAWAL)
    for (knew, news), (told, knows) in NOTIFICATIONS.items():
        assert told is not Notification.NOTHING or knows is knew or news in by_people or knew is AlertState.REVIEWED


# What the tables say is what `decide` does

BIN = Bin("BOS1", "1")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
IMAGE, RECORD = (StoredObject("inbox", f"BOS1/{key}", "v") for key in ("bin-images/1.jpg", "metadata/1.json"))
UPLOAD = Upload("inbox", IMAGE.key, IMAGE.version, "1")


def check(status, predicted, **more):
    answer = {"predicted": predicted, "expected": 3, "difference": predicted - 3, "severity": "low"}
    return Check("BOS1/1", "BOS1", "v/v", status, timestamp(NOW), **answer, **more)


TOLD = check("mismatch", 2)
OPEN = replace(LastAlert.of(TOLD), max_severity="low")
KNOWING = {AlertState.NOTHING: None, AlertState.OPEN: OPEN, AlertState.REVIEWED: replace(OPEN, actual=3)}
SEEING = {Outcome.AGREES: check("match", 3), Outcome.SAME: TOLD, Outcome.OTHER: check("mismatch", 1)}


@pytest.mark.parametrize(("knew", "news"), NOTIFICATIONS, ids=lambda value: str(value).replace(" ", "-"))
def test_people_are_told_and_know_what_the_table_says(knew, news):
    told, knows = NOTIFICATIONS[knew, news]
    state = BinState(BIN, 1, current=CurrentCheck("v/v", "mismatch"), last_alert=KNOWING[knew])
    event = Observation(UPLOAD, NOW, IMAGE, RECORD, SEEING.get(news))
    if news is Outcome.REVIEW:
        event = Review(TOLD, 3, NOW)
    if news is Outcome.WITHDRAWAL:
        event = Withdrawal(replace(TOLD, actual=3, reviewed_at=timestamp(NOW)), (), NOW)
    decided = decide(state, event)
    kinds = {Notification.NOTHING: None, Notification.ALERT: "mismatch", Notification.RESOLVED: "resolved"}
    assert (decided.alert and decided.alert.kind) == kinds[told]
    after = decided.state.last_alert
    assert after == KNOWING[knows] or (knows is AlertState.OPEN and after.predicted == SEEING[news].predicted)


LONE = LonePart("image", IMAGE, timestamp(NOW - timedelta(hours=1)))
CHECKED = {IMAGE.key: KnownUpload("v", "1", recorded=True)}
HOUR = timedelta(hours=1)
HAPPENING = {
    Situation.NEW_PAIR: (BinState(BIN), Observation(UPLOAD, NOW, IMAGE, RECORD, TOLD)),
    Situation.KNOWN_PAIR: (BinState(BIN), Observation(UPLOAD, NOW, IMAGE, RECORD, TOLD, recorded=True)),
    Situation.ONE_PART: (BinState(BIN), Observation(UPLOAD, NOW, IMAGE)),
    Situation.REMOVED: (BinState(BIN), Observation(UPLOAD, NOW, metadata=RECORD, check=check("rejected", 0))),
    Situation.OBSOLETE: (BinState(BIN, uploads=CHECKED), Observation(UPLOAD, NOW, metadata=RECORD)),
    Situation.REMOVAL: (BinState(BIN), Observation(Removal("inbox", RECORD.key), NOW, IMAGE)),
    Situation.STRAY: (BinState(StrayKey("x")), Observation(replace(UPLOAD, key="x"), NOW, check=check("rejected", 0))),
    Situation.OVERDUE: (BinState(BIN), TimePassed(NOW, HOUR, IMAGE)),
    Situation.NOT_ALONE: (BinState(BIN), TimePassed(NOW, HOUR)),
    Situation.NOT_DUE: (BinState(BIN), TimePassed(NOW, 2 * HOUR, IMAGE)),
    Situation.REVIEW: (BinState(BIN, current=CurrentCheck("v/v", "mismatch")), Review(TOLD, 3, NOW)),
    Situation.WITHDRAWAL: (BinState(BIN, current=CurrentCheck("v/v", "mismatch", True)), Withdrawal(TOLD, (), NOW)),
}


@pytest.mark.parametrize("seen", Situation, ids=lambda seen: seen.name.lower())
def test_what_happens_is_written_and_waits_as_the_table_says(seen):
    written, waits = WRITES[seen]
    state, event = HAPPENING[seen]
    state = replace(state, lone=LONE if isinstance(state.bin, Bin) else None)
    assert decision.classify(state, event) is seen
    decided = decide(state, event)
    assert (decided.append is not None) == (written in (Written.NEW, Written.REJECTED))
    assert (decided.amend is not None) == (written in (Written.CURRENT_AGAIN, Written.FINDING, Written.RESTORED))
    assert (
        decided.state.lone
        == {
            Waits.NOTHING: None,
            Waits.PART: LONE,
            Waits.REST: LonePart("metadata", RECORD, timestamp(NOW)),
            Waits.STILL: LONE,
            Waits.UNCHANGED: LONE,
            Waits.ALERTED: replace(LONE, overdue_at=timestamp(NOW)),
        }[waits]
    )
    if seen in (Situation.STRAY, Situation.NEW_PAIR):
        assert decided.state.lone is None


@pytest.mark.parametrize("left", [{}, {"metadata": RECORD}], ids=["nothing", "the-other-part"])
def test_a_removed_part_waits_no_longer_and_a_checked_partner_does_not_begin_to(left):
    removed = Observation(Removal("inbox", IMAGE.key), NOW, **left)
    for lone in (LONE, None):
        state = BinState(BIN, 1, CHECKED, lone, CurrentCheck("v/v", "match"))
        decided = decide(state, removed)
        assert replace(decided.state, revision=1) == replace(state, lone=None)
        assert (decided.check, decided.append, decided.amend, decided.alert) == (None, None, None, None)


def test_a_part_is_overdue_from_the_timeout_on_and_told_of_once():
    state = BinState(BIN, lone=LONE)
    early = TimePassed(NOW - timedelta(milliseconds=1), HOUR, IMAGE)
    assert decision.classify(state, early) is Situation.NOT_DUE
    told = decide(state, TimePassed(NOW, HOUR, IMAGE)).state
    assert decision.classify(told, TimePassed(NOW + HOUR, HOUR, IMAGE)) is Situation.NOT_DUE


def test_while_both_parts_lie_there_nothing_is_alone():
    state = BinState(BIN, 1, lone=LONE)
    both = TimePassed(NOW + timedelta(days=1), HOUR, IMAGE, RECORD)
    assert decision.classify(state, both) is Situation.NOT_ALONE
    decided = decide(state, both)
    assert (decided.state.lone, decided.alert) == (None, None)
