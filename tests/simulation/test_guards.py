"""Each guard of the design is needed: without it, going through the interleavings finds what it is there for."""

from dataclasses import replace

import pytest

from inventory import check_store, decision, inbox, workflow
from inventory.bins import StrayKey
from inventory.check_items import alert_item, check_item, state_item
from inventory.check_store import CheckStore
from inventory.decision import Notification, Outcome, Situation, Waits, Written
from tests.simulation.exploration import explored
from tests.simulation.histories import WATCHDOG, WITHDRAWAL, again, expire, remove, review, upload

MOST = 3_000
"""Runs of a history. Only three things at once have more; `make soak` goes through up to 100,000 of those."""
ALONE = (upload("image", 2),)
MISMATCH = (upload("image", 2), upload("metadata", 4))


def no_revision_condition(patch):
    patch.setattr(check_store, "_if_unchanged", lambda read: {})


def a_write_that_raises_no_revision(patch):
    """A review leaves the revision as it was."""
    commit = CheckStore.commit

    def quiet(store, read, made, moment):
        if not made.amended or "reviewed_at" not in made.amended:
            return commit(store, read, made, moment)
        store._table.update_item(**check_store._amendment(made.amend, made.amended))
        return None

    patch.setattr(CheckStore, "commit", quiet)


def the_alert_before_the_state(patch):
    """The check and its alert are written first, by themselves."""

    def reordered(store, read, made, moment):
        if made.append:
            store._table.put_item(Item=check_item(made.append))
        if made.alert:
            store._table.put_item(Item=alert_item(made.alert, moment))
        if made.state != read:
            item = state_item(made.state)
            store._write([("Put", {"Item": item, **check_store._if_unchanged(read)})])

    patch.setattr(CheckStore, "commit", reordered)


def the_state_before_the_alert(patch):
    """The alert is written last, by itself, so that whoever dies in between tells nobody."""
    commit = CheckStore.commit

    def reordered(store, read, made, moment):
        commit(store, read, replace(made, alert=None), moment)
        if made.alert:
            store._table.put_item(Item=alert_item(made.alert, moment))

    patch.setattr(CheckStore, "commit", reordered)


def the_watchdog_trusts_its_list(patch):
    """It takes what waited when it read its list for what waits when its turn comes, and does not look at the inbox."""

    def trusting(s3, store, waiting, timeout, moment):
        state = store.load(waiting.subject)
        if state.lone is None:
            return
        image, metadata = (state.lone.stored if state.lone.part == part else None for part in ("image", "metadata"))
        store.commit(state, decision.decide(state, decision.TimePassed(moment, timeout, image, metadata)), moment)

    patch.setattr(workflow, "alert_overdue", trusting)


def what_was_told_as_overdue_is_forgotten(patch):
    lone = decision._lone
    patch.setattr(decision, "_lone", lambda *given: (kept := lone(*given)) and replace(kept, overdue_at=None))


def a_check_is_made_though_it_is_recorded(patch):
    patch.setattr(CheckStore, "find_by_contents", lambda store, subject, contents: [])


def a_check_put_without_looking(patch):
    """Together with the one before: nothing keeps a check from being put twice."""
    a_check_is_made_though_it_is_recorded(patch)
    patch.setattr(check_store, "_IF_ABSENT", {})
    writes = check_store._check_writes

    def unconditional(made, moment):
        for kind, request in writes(made, moment):
            yield kind, {name: request[name] for name in request if kind == "Update" or name == "Item"}

    patch.setattr(check_store, "_check_writes", unconditional)


def the_replaced_check_stays_listed(patch):
    patch.setattr(decision, "_is_listed", lambda current: False)


def a_reviewed_check_is_taken_off_its_list(patch):
    patch.setattr(decision, "_is_listed", lambda current: current.status in ("mismatch", "rejected"))


def a_removed_upload_is_never_settled(patch):
    patch.setattr(decision, "_is_obsolete", lambda state, upload: False)


def a_waiting_part_is_remembered_as_it_came_first(patch):
    lone = decision._lone
    patch.setattr(decision, "_lone", lambda state, *given: lone(state, *given) and (state.lone or lone(state, *given)))


def every_answer_is_news(patch):
    patch.setattr(decision, "_is_same_answer", lambda last, check: False)


def nothing_is_ever_resolved(patch):
    patch.setitem(
        decision.NOTIFICATIONS,
        (decision.AlertState.OPEN, Outcome.AGREES),
        (Notification.NOTHING, decision.AlertState.OPEN),
    )


def the_first_key_is_the_part(patch):
    """`.jpg` before `.png`, whichever is newer."""
    known = inbox._open

    def first(s3, bucket, keys, opened):
        yield from list(known(s3, bucket, sorted(keys), opened))[:1]

    patch.setattr(inbox, "_open", first)


def a_stray_key_shares_the_bin_that_is_called_so(patch):
    patch.setattr(StrayKey, "partition", property(lambda stray: stray.key))


def a_removed_upload_leaves_nothing_waiting(patch):
    patch.setitem(decision.WRITES, Situation.REMOVED, (Written.REJECTED, Waits.NOTHING))


def a_removal_leaves_the_state_as_it_was(patch):
    """So whoever read the inbox before it writes what is gone."""
    decide = decision.decide
    patch.setattr(workflow, "decide", lambda *given: replace(decide(*given), fence=False))


def a_removed_part_waits_on(patch):
    patch.setitem(decision.WRITES, Situation.REMOVAL, (Written.NOTHING, Waits.UNCHANGED))


def a_late_event_is_the_newest(patch):
    settled = decision._is_obsolete

    def latest(state, upload):
        known = state.uploads.get(upload.key)
        return settled(state, upload) and known.version == upload.version

    patch.setattr(decision, "_is_obsolete", latest)


def a_replaced_check_is_open_again_when_its_review_is_taken_back(patch):
    amendment = check_store._amendment
    patch.setattr(check_store, "_amendment", lambda check, names, replaced_at: amendment(check, names))


def the_audit_after_the_review(patch):
    """The audit's copy is written by itself, after the review that it counts."""
    commit = CheckStore.commit

    def reordered(store, read, made, moment):
        commit(store, read, replace(made, audit=None), moment)
        for _, request in check_store._check_writes(
            replace(made, append=None, amend=None, delist=None, finding=None), moment
        ):
            store._table.update_item(**request)

    patch.setattr(CheckStore, "commit", reordered)


def what_the_current_check_was_found_to_hold_is_forgotten(patch):
    patch.setattr(decision, "_holding", lambda reviewed, event: reviewed)


GUARDS = {
    no_revision_condition: [
        ((), (upload("image", 2), again("image"), upload("metadata", 4))),
        (MISMATCH, (review(2), upload("metadata", 5))),
    ],
    a_write_that_raises_no_revision: [(MISMATCH, (review(2), upload("metadata", 5)))],
    the_alert_before_the_state: [(ALONE, (upload("metadata", 4), upload("image", 3)))],
    the_state_before_the_alert: [(ALONE, (upload("metadata", 4), again("image")))],
    the_watchdog_trusts_its_list: [(ALONE, (upload("metadata", 4), WATCHDOG))],
    what_was_told_as_overdue_is_forgotten: [((*ALONE, WATCHDOG), (again("image"), WATCHDOG))],
    a_check_is_made_though_it_is_recorded: [(MISMATCH, (again("metadata"),))],
    a_check_put_without_looking: [((*MISMATCH, review(2), upload("metadata", 2)), (upload("metadata", 4),))],
    the_replaced_check_stays_listed: [(MISMATCH, (upload("metadata", 2),))],
    a_reviewed_check_is_taken_off_its_list: [(MISMATCH, (review(2), upload("metadata", 5)))],
    a_removed_upload_is_never_settled: [(MISMATCH, (remove("image"), again("image")))],
    a_waiting_part_is_remembered_as_it_came_first: [(ALONE, (upload("image", 3),))],
    every_answer_is_news: [(MISMATCH, (upload("image", 3), again("metadata")))],
    nothing_is_ever_resolved: [(MISMATCH, (upload("metadata", 2),))],
    the_first_key_is_the_part: [((upload("metadata", 2),), (upload("image", 2), upload("png", 3)))],
    a_stray_key_shares_the_bin_that_is_called_so: [(MISMATCH, (upload("stray", 1),))],
    a_removed_upload_leaves_nothing_waiting: [((upload("metadata", 2),), (upload("image", 2), remove("image")))],
    a_removal_leaves_the_state_as_it_was: [
        (ALONE, (upload("png", 3), expire("png"))),
        (MISMATCH, (upload("png", 3), expire("png"))),
    ],
    a_removed_part_waits_on: [(ALONE, (expire("image"),))],
    a_replaced_check_is_open_again_when_its_review_is_taken_back: [
        ((*MISMATCH, review(2), upload("metadata", 5)), (WITHDRAWAL,))
    ],
    the_audit_after_the_review: [(MISMATCH, (review(3), review(3)))],
    what_the_current_check_was_found_to_hold_is_forgotten: [
        (
            (*MISMATCH, review(2), upload("metadata", 5), review(2), upload("metadata", 4)),
            (WITHDRAWAL, upload("metadata", 2)),
        )
    ],
    a_late_event_is_the_newest: [(MISMATCH, (upload("metadata", 5), remove("metadata"), again("metadata")))],
}


@pytest.mark.parametrize("without", GUARDS, ids=lambda without: without.__name__)
def test_without_a_guard_the_interleavings_find_a_fault(monkeypatch, without):
    with_it = [explored(*history, most=MOST) for history in GUARDS[without]]
    assert [found.violation for found in with_it] == [None] * len(with_it)
    without(monkeypatch)
    for history in GUARDS[without]:
        assert explored(*history, most=MOST).violation
