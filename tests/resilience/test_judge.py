"""The judge finds nothing where all is well, and each broken promise where it is broken."""

import hashlib
import json

import pytest

from tests.resilience.judge import Aftermath, Broken, History, inbox, violations
from tests.resilience.uploads import Content, Drop, Plan


def image_of(label, number=0):
    return Content(f"image of {label}, {number}".encode(), label)


def record(expected):
    return Content(json.dumps({"EXPECTED_QUANTITY": expected}).encode(), expected)


UNREADABLE = Content(b"no record", None)
INBOX = {
    "s/agrees": History([image_of("3")], [record(3)]),
    "s/open": History([image_of("6+")], [record(9)]),
    "s/differs": History([image_of("3")], [record(4)]),
    "s/replaced": History([image_of("3"), image_of("4")], [record(4)]),
    "s/unreadable": History([image_of("3")], [UNREADABLE]),
    "s/lone": History([image_of("3")], []),
    "s/cursed": History([image_of("3", number=1)], [record(3)], cursed=True),
}


def named(*parts):
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def check(bin, image, record, status, predicted=None, **more):
    check = f"{image.version}/{record.version}"
    listed = {"open": f"{status}#day"} if status != "match" else {}
    seen = {} if predicted is None else {"predicted": predicted}
    return {"bin": bin, "check": check, "check_id": named(bin, check), "status": status, **seen, **listed, **more}


def state(bin, **known):
    return {"bin": bin, "check": "/state", **known}


def speaks(check):
    return state(check["bin"], current={"check": check["check"], "status": check["status"]})


def alert(check, revision, kind=None, severity="medium"):
    """The alert of a check, as the outbox holds it."""
    names = ("bin", "check", "status", "predicted", "direction", "reason")
    said = {name: check.get(name) for name in names} | {"severity": severity}
    return {
        "bin": check["bin"],
        "check": f"/alert/{revision:012d}",
        "alert_id": named(check["bin"], check["check"], str(revision)),
        "alert": json.dumps({"kind": kind or check["status"], "check": said, "revision": revision}),
    }


def heard(alert):
    """What a subscriber hears of an alert."""
    said = json.loads(alert["alert"])
    names = ("bin", "predicted", "reason", "severity")
    told = {name: said["check"][name] for name in names} | {"kind": said["kind"], "revision": said["revision"]}
    return told | {"alert_id": alert["alert_id"], "check_id": named(said["check"]["bin"], said["check"]["check"])}


class Found:
    """What a soak finds where all is well, to be spoilt."""

    def __init__(self):
        self.agrees = check("s/agrees", image_of("3"), record(3), "match", 3)
        self.open = check("s/open", image_of("6+"), record(9), "match", 6)
        self.differs = check("s/differs", image_of("3"), record(4), "mismatch", 3, direction="missing")
        self.before = check("s/replaced", image_of("3"), record(4), "mismatch", 3, direction="missing")
        del self.before["open"]
        self.after = check("s/replaced", image_of("4"), record(4), "match", 4)
        self.unreadable = check("s/unreadable", image_of("3"), UNREADABLE, "rejected", reason="no JSON")
        self.lone = state(
            "s/lone", lone={"part": "image", "stored": {"version": image_of("3").version}}, open="waiting#day"
        )
        self.replaced = speaks(self.after)
        self.checks = [self.agrees, self.open, self.differs, self.before, self.after, self.unreadable]
        speaking = [speaks(check) for check in self.checks if check is not self.before and check is not self.after]
        self.alerts = [
            alert(self.differs, 2),
            alert(self.before, 2),
            alert(self.after, 3, "resolved"),
            alert(self.unreadable, 2),
        ]
        self.items = [*self.checks, self.lone, self.replaced, *speaking]
        self.heard = [heard(self.alerts[0]), *map(heard, self.alerts)]
        self.dead_letters = ["s/metadata/cursed.json", None]
        self.puts = {(check["bin"], check["check"]): 1 for check in self.checks}
        self.left_in_queue = 0
        self.unconfirmed = 1

    def put(self, *alerts):
        """Put more alerts into the outbox, and have them heard."""
        self.alerts += alerts
        self.heard += map(heard, alerts)

    @property
    def broken(self):
        found = Aftermath(
            [*self.items, *self.alerts],
            self.heard,
            self.dead_letters,
            self.puts,
            self.left_in_queue,
            self.unconfirmed,
        )
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


def test_a_lone_upload_of_which_nothing_is_known_is_lost(found):
    del found.lone["lone"]
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


@pytest.mark.parametrize(("wrong", "value"), [("status", "match"), ("predicted", 4), ("direction", "extra")])
def test_a_check_with_another_answer_than_the_model_gave(found, wrong, value):
    found.differs[wrong] = value
    assert (Broken.WRONG, "s/differs") in found.broken


def test_a_check_of_what_the_bin_never_held(found):
    found.items.append(found.agrees | {"check": "x/y"})
    assert found.broken == {(Broken.WRONG, "s/agrees")}


def test_a_check_id_that_is_not_made_of_bin_and_check(found):
    found.agrees["check_id"] = "drawn at random"
    assert found.broken == {(Broken.WRONG, "s/agrees")}


def test_a_check_that_was_put_twice(found):
    found.puts["s/agrees", found.agrees["check"]] = 2
    assert found.broken == {(Broken.DUPLICATE, "s/agrees")}


def test_a_mismatch_without_an_alert(found):
    del found.alerts[0], found.heard[:2]
    assert found.broken == {(Broken.UNTOLD, "s/differs")}


def test_an_older_mismatch_without_an_alert(found):
    del found.alerts[1:3], found.heard[2:4]
    assert found.broken == {(Broken.UNTOLD, "s/replaced")}
    found.before["repeats"] = "an alert that never was"
    assert found.broken == {(Broken.UNTOLD, "s/replaced")}


def test_a_bin_that_agrees_again_and_is_not_resolved(found):
    del found.alerts[2], found.heard[3]
    assert found.broken == {(Broken.UNTOLD, "s/replaced")}


def test_a_bin_that_disagrees_and_is_resolved(found):
    found.put(alert(found.differs, 3, "resolved"))
    assert (Broken.UNTOLD, "s/differs") in found.broken


def test_an_answer_that_was_told_twice(found):
    found.put(alert(found.differs, 3))
    assert found.broken == {(Broken.NO_NEWS, "s/differs")}


def test_an_answer_that_became_more_severe_is_news_and_one_that_became_less_is_none(found):
    found.put(alert(found.differs, 3, severity="high"))
    assert found.broken == set()
    found.put(alert(found.differs, 4, severity="low"))
    assert found.broken == {(Broken.NO_NEWS, "s/differs")}


@pytest.mark.parametrize("severity", ["medium", "high"])
def test_a_bin_that_was_resolved_twice(found, severity):
    found.put(alert(found.after, 4, "resolved", severity))
    assert found.broken == {(Broken.NO_NEWS, "s/replaced")}


def test_a_bin_that_was_resolved_first(found):
    found.put(alert(found.agrees, 2, "resolved"))
    assert found.broken == {(Broken.NO_NEWS, "s/agrees")}


def test_alerts_are_news_in_the_order_of_their_revisions_however_they_lie_there(found):
    found.alerts.reverse()
    found.heard.reverse()
    assert found.broken == set()


def test_a_lone_upload_may_be_told_of(found):
    waiting = found.lone | {"check": f"{image_of('3').version}/-", "status": "waiting"}
    found.put(alert(waiting, 2, "unpaired"))
    found.lone["open"] = "unpaired#day"
    assert found.broken == set()


def test_an_alert_of_what_is_not_so(found):
    found.put(alert(found.agrees, 2, "mismatch"))
    assert (Broken.STRAY_ALERT, "s/agrees") in found.broken


def test_an_alert_id_that_is_not_made_of_bin_and_check_and_revision(found):
    for told in (found.alerts[0], *found.heard[:2]):
        told["alert_id"] = "drawn at random"
    assert found.broken == {(Broken.STRAY_ALERT, "s/differs")}


def test_an_alert_that_was_heard_and_never_put(found):
    found.heard.append(heard(alert(found.agrees, 2, "mismatch")))
    assert found.broken == {(Broken.STRAY_ALERT, "s/agrees")}


@pytest.mark.parametrize(("wrong", "value"), [("predicted", 5), ("kind", "rejected"), ("check_id", "another")])
def test_an_alert_that_was_heard_in_other_words(found, wrong, value):
    found.heard[1][wrong] = value
    assert found.broken == {(Broken.STRAY_ALERT, "s/differs")}


def test_an_alert_that_nobody_heard(found):
    del found.heard[:2]
    assert found.broken == {(Broken.UNHEARD, "s/differs")}


def test_an_alert_that_was_heard_again_without_a_cause(found):
    found.unconfirmed = 0
    assert found.broken == {(Broken.HEARD_AGAIN, "")}


def test_a_bin_that_is_missing_from_the_open_list(found):
    del found.differs["open"]
    assert found.broken == {(Broken.MISLISTED, "s/differs")}


def test_a_lone_upload_that_is_missing_from_the_open_list(found):
    del found.lone["open"]
    assert found.broken == {(Broken.MISLISTED, "s/lone")}


def test_an_older_check_that_stays_on_the_open_list(found):
    found.before["open"] = "mismatch#day"
    assert found.broken == {(Broken.MISLISTED, "s/replaced")}


def test_an_older_check_that_speaks_for_its_bin(found):
    found.replaced["current"]["check"] = found.before["check"]
    assert found.broken == {(Broken.OVERTAKEN, "s/replaced")}


def test_a_bin_that_holds_its_first_image_again_is_spoken_for_by_its_first_check(found):
    bin = {"s/replaced": History([image_of("3"), image_of("4"), image_of("3")], [record(4)])}
    found.before["open"] = "mismatch#day"
    alerts = [alert(found.before, 2), alert(found.after, 3, "resolved"), alert(found.before, 4)]
    items = [found.before, found.after, speaks(found.before), *alerts]
    assert violations(bin, Aftermath(items, [heard(told) for told in alerts])) == []


def test_the_inbox_holds_what_was_dropped_in_its_order():
    drops = [
        Drop(0.1, "s/bin-images/1.jpg", image_of("3")),
        Drop(0.2, "s/metadata/1.json", record(4)),
        Drop(0.3, "s/bin-images/1.jpg", image_of("4")),
    ]
    held = inbox(Plan(drops, {"s/1": "pair"}))["s/1"]
    assert held.newest == f"{image_of('4').version}/{record(4).version}"
    assert held.answer == ("match", 4, None)
    assert held.answers[f"{image_of('3').version}/{record(4).version}"] == ("mismatch", 3, "missing")
