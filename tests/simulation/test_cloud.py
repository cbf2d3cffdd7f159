"""The table in memory does what moto's does, whatever sequence of the store's own calls it is given."""

from contextlib import suppress
from dataclasses import replace

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inventory.bins import Bin, StrayKey
from inventory.check import Alert, BinState, Check, CurrentCheck, LastAlert, LonePart, StoredObject
from inventory.check_store import CheckStore, ConcurrentUpdate
from inventory.decision import Decision
from tests.functions.conftest import REGION, account  # noqa: F401
from tests.simulation.cloud import EPOCH, Table
from tests.template import table_properties

SUBJECTS = (Bin("", "1"), Bin("BOS1", "1"), StrayKey("BOS1/1"))
IDENTITIES = ("a/b", "a/bc", "a/b/model", "d/-")
subjects = st.sampled_from(SUBJECTS)
identities = st.sampled_from(IDENTITIES)


@st.composite
def checks(draw, subject):
    return Check(
        bin=subject.name,
        site=subject.site,
        check=draw(identities),
        status=draw(st.sampled_from(["match", "mismatch", "rejected"])),
        checked_at="2026-03-01T12:00:00.000+00:00",
        expected=draw(st.none() | st.integers(0, 9)),
        suspicion=draw(st.none() | st.floats(0, 1)),
        stray=isinstance(subject, StrayKey),
    )


@st.composite
def decisions(draw):
    subject = draw(subjects)
    lone = LonePart("image", StoredObject("b", "k", "v"), "2026-03-01T12:00:00.000+00:00")
    state = BinState(
        subject,
        lone=draw(st.sampled_from([None, lone])) if isinstance(subject, Bin) else None,
        current=draw(st.none() | st.builds(CurrentCheck, identities, st.just("mismatch"))),
        newest=draw(st.none() | identities),
        last_alert=draw(st.none() | st.builds(LastAlert, st.just("mismatch"), st.just("0" * 32))),
    )
    append, amend = draw(st.none() | checks(subject)), draw(st.none() | checks(subject))
    delist = draw(st.none() | st.builds(CurrentCheck, identities, st.sampled_from(["mismatch", "rejected"])))
    written = [one.check for one in (append, amend, delist) if one]
    if len(set(written)) < len(written):
        amend = delist = None
    alert = Alert("mismatch", append, draw(st.integers(1, 3))) if append and draw(st.booleans()) else None
    decision = Decision(
        state,
        append=append,
        audited=draw(st.booleans()),
        previous=draw(st.none() | identities),
        amend=amend,
        amended=("actual", "reviewed_at", "open_list", "expires_at"),
        replaced=draw(st.booleans()),
        delist=delist,
        alert=alert,
        audit=draw(st.none() | checks(subject)) if amend else None,
    )
    if decision.audited and decision.append and decision.audit and decision.append.check == decision.audit.check:
        decision = replace(decision, audited=False)
    return decision, draw(st.integers(0, 2))


def commit(store, decision, behind):
    """Commit on the state as it was `behind` writes ago; what came of it."""
    read = store.load(decision.state.bin)
    read = replace(read, revision=max(0, read.revision - behind))
    decision = replace(decision, state=replace(decision.state, revision=read.revision + 1))
    try:
        store.commit(read, decision, EPOCH)
    except ConcurrentUpdate:
        return "read again"
    return "written"


def seen(store):
    lists = [list(store.list_open(name, EPOCH, EPOCH)) for name in ("mismatch", "rejected", "waiting", "reviewed")]
    found = [sorted(map(repr, store.find_by_contents(one, "a/b"))) for one in SUBJECTS]
    return (
        [store.load(one) for one in SUBJECTS],
        [sorted(map(repr, store.list_by_bin(one))) for one in SUBJECTS],
        [store.find_audited(one, check) for one in SUBJECTS for check in IDENTITIES],
        [sorted(map(repr, each)) for each in lists],
        found,
    )


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(decisions(), min_size=1, max_size=8))
def test_the_table_in_memory_answers_as_moto_does(account, made):  # noqa: F811
    client = boto3.client("dynamodb", region_name=REGION)
    with suppress(ClientError):
        client.delete_table(TableName="checks")
    theirs = CheckStore(
        boto3.resource("dynamodb", region_name=REGION).create_table(TableName="checks", **table_properties())
    )
    ours = CheckStore(Table())
    for decision, behind in made:
        assert commit(ours, decision, behind) == commit(theirs, decision, behind)
        assert seen(ours) == seen(theirs)


def test_a_call_is_told_of_before_it_takes_effect():
    table, calls = Table(), []
    table.on_call = lambda operation: calls.append((operation, len(table.items)))
    table.put_item(Item={"bin": "1", "check": "a"})
    assert calls == [("PutItem", 0)]
    with pytest.raises(AssertionError, match="twice"):
        table.transact_write_items([{"Put": {"Item": {"bin": "1", "check": "a"}}}] * 2)
