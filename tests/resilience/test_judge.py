"""The judge finds nothing where all is well, and each broken promise where it is broken."""

import copy
import hashlib
import json

import pytest

from tests.resilience.judge import Aftermath, Broken, History, inbox, violations
from tests.resilience.uploads import Content, Drop, Plan


def picture(label, number=0):
    return Content(f"picture of {label}, {number}".encode(), label)


def record(expected):
    return Content(json.dumps({"EXPECTED_QUANTITY": expected}).encode(), expected)


UNREADABLE = Content(b"no record", None)
INBOX = {
    "s/agrees": History([picture("3")], [record(3)]),
    "s/open": History([picture("6+")], [record(9)]),
    "s/differs": History([picture("3")], [record(4)]),
    "s/replaced": History([picture("3"), picture("4")], [record(4)]),
    "s/unreadable": History([picture("3")], [UNREADABLE]),
    "s/lone": History([picture("3")], []),
    "s/cursed": History([picture("3", number=1)], [record(3)], cursed=True),
}


def item(bin, image, record, at, status, predicted=None, **more):
    check = f"{image.version}/{record.version}"
    name = hashlib.sha256(f"{bin}\n{check}".encode()).hexdigest()[:32]
    told = {"alerted_at": f"12:0{at + 1}", "open": f"{status}#day"} if status != "match" else {}
    return {
        "bin": bin, "check": check, "check_id": name, "checked_at": f"12:0{at}", "status": status,
        **({} if predicted is None else {"predicted": predicted}), **told, **more,
    }  # fmt: skip


def alert(of, kind=None):
    return {
        "check_id": of["check_id"],
        "bin": of["bin"],
        "kind": kind or of["status"],
        "predicted": of.get("predicted"),
    }


class Found:
    """What a soak finds where all is well, to be spoilt."""

    def __init__(self):
        self.agrees = item("s/agrees", picture("3"), record(3), 1, "match", 3)
        self.open = item("s/open", picture("6+"), record(9), 1, "match", 6)
        self.differs = item("s/differs", picture("3"), record(4), 1, "mismatch", 3)
        self.before = item("s/replaced", picture("3"), record(4), 1, "mismatch", 3)
        del self.before["open"]
        self.after = item("s/replaced", picture("4"), record(4), 3, "match", 4)
        self.unreadable = item("s/unreadable", picture("3"), UNREADABLE, 1, "rejected")
        self.lone = {
            "bin": "s/lone", "check": "pairing", "status": "waiting", "waits": f"{picture('3').version}/-",
            "open": "waiting#day", "checked_at": "12:01", "check_id": "lone",
        }  # fmt: skip
        self.checks = [self.agrees, self.open, self.differs, self.before, self.after, self.unreadable]
        self.items = [*self.checks, self.lone, {"bin": "s/agrees", "check": "pairing"}]
        self.alerts = [alert(of) for of in (self.differs, self.differs, self.before, self.unreadable)]
        self.dead_letters = ["s/metadata/cursed.json", None]
        self.puts = {(check["bin"], check["check"]): 1 for check in self.checks}
        self.left_in_queue = 0

    @property
    def broken(self):
        found = Aftermath(self.items, self.alerts, self.dead_letters, self.puts, self.left_in_queue)
        return {(violation.broken, violation.bin) for violation in violations(INBOX, found, unreadable_messages=1)}


@pytest.fixture
def found():
    return Found()


def test_all_is_well(found):
    assert found.broken == set()


def test_a_bin_without_its_check_is_lost(found):
    found.items.remove(found.agrees)
    assert found.broken == {(Broken.LOST, "s/agrees")}


def test_a_bin_whose_newest_pair_was_never_checked_is_lost(found):
    found.items.remove(found.after)
    assert (Broken.LOST, "s/replaced") in found.broken


def test_a_lone_upload_without_a_record_is_lost(found):
    found.items.remove(found.lone)
    assert (Broken.LOST, "s/lone") in found.broken


def test_a_cursed_bin_is_in_the_dead_letters_or_lost(found):
    found.dead_letters.remove("s/metadata/cursed.json")
    assert found.broken == {(Broken.LOST, "s/cursed")}


def test_what_is_still_in_the_queue_is_lost(found):
    found.left_in_queue = 1
    assert found.broken == {(Broken.LOST, "")}


def test_a_good_upload_in_the_dead_letters(found):
    found.dead_letters.append("s/bin-images/agrees.jpg")
    assert found.broken == {(Broken.GOOD_DEAD_LETTER, "s/agrees")}


def test_an_unreadable_message_that_vanished(found):
    found.dead_letters.remove(None)
    assert found.broken == {(Broken.UNREADABLE_GONE, "")}


@pytest.mark.parametrize(("wrong", "value"), [("status", "match"), ("predicted", 4)])
def test_a_check_with_another_answer_than_the_model_gave(found, wrong, value):
    found.differs[wrong] = value
    assert (Broken.WRONG, "s/differs") in found.broken


def test_a_check_of_what_the_bin_never_held(found):
    stray = copy.deepcopy(found.agrees) | {"check": "x/y"}
    found.items.append(stray)
    assert (Broken.WRONG, "s/agrees") in found.broken


def test_a_check_that_was_put_twice(found):
    found.puts["s/agrees", found.agrees["check"]] = 2
    assert found.broken == {(Broken.DUPLICATE, "s/agrees")}


def test_a_mismatch_that_reached_nobody(found):
    found.alerts = [alert for alert in found.alerts if alert["bin"] != "s/differs"]
    assert found.broken == {(Broken.UNTOLD, "s/differs")}


def test_a_mismatch_that_is_not_marked(found):
    del found.differs["alerted_at"]
    assert found.broken == {(Broken.UNTOLD, "s/differs")}


def test_a_repeated_answer_needs_no_alert_and_a_settled_one_does(found):
    found.differs["repeats"] = "an older check"
    del found.differs["alerted_at"]
    found.alerts = [alert for alert in found.alerts if alert["bin"] != "s/differs"]
    assert found.broken == set()
    found.after["resolves"] = found.before["check_id"]
    assert found.broken == {(Broken.UNTOLD, "s/replaced")}
    found.after["alerted_at"] = "12:04"
    found.alerts.append(alert(found.after, kind="resolved"))
    assert found.broken == set()


def test_an_older_mismatch_may_be_told_by_the_newest_check_of_its_bin_and_by_nothing_else(found):
    del found.before["alerted_at"]
    assert found.broken == {(Broken.UNTOLD, "s/replaced")}
    found.after |= {"resolves": found.before["check_id"], "alerted_at": "12:04"}
    found.alerts.append(alert(found.after, kind="resolved"))
    assert found.broken == set()


def test_an_alert_without_a_check(found):
    found.alerts.append(alert(found.agrees, kind="mismatch"))
    assert found.broken == {(Broken.STRAY_ALERT, "s/agrees")}


def test_one_check_id_for_two_things(found):
    found.alerts[1]["predicted"] = 5
    assert found.broken == {(Broken.STRAY_ALERT, "s/differs")}


def test_a_check_id_that_is_not_made_of_bin_and_check(found):
    for told in (found.differs, *found.alerts[:2]):
        told["check_id"] = "drawn at random"
    assert found.broken == {(Broken.STRAY_ALERT, "s/differs")}


def test_a_bin_that_is_missing_from_the_open_list(found):
    del found.differs["open"]
    assert found.broken == {(Broken.MISLISTED, "s/differs")}


def test_an_older_check_that_stays_on_the_open_list(found):
    found.before["open"] = "mismatch#day"
    assert found.broken == {(Broken.MISLISTED, "s/replaced")}


def test_a_check_that_came_after_a_newer_one(found):
    found.before["checked_at"] = "12:05"
    assert found.broken == {(Broken.OVERTAKEN, "s/replaced")}


def test_a_bin_that_holds_its_first_picture_again_may_be_spoken_for_by_its_first_check(found):
    bin = {"s/replaced": History([picture("3"), picture("4"), picture("3")], [record(4)])}
    found.before["open"] = "mismatch#day"
    assert violations(bin, Aftermath([found.before, found.after], [alert(found.before)])) == []


def test_the_inbox_holds_what_was_dropped_in_its_order():
    drops = [
        Drop(0.1, "s/bin-images/1.jpg", picture("3")),
        Drop(0.2, "s/metadata/1.json", record(4)),
        Drop(0.3, "s/bin-images/1.jpg", picture("4")),
    ]
    held = inbox(Plan(drops, {"s/1": "pair"}))["s/1"]
    assert held.newest == f"{picture('4').version}/{record(4).version}"
    assert len(held.pairs) == 2
