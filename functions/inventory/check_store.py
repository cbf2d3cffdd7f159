"""Where checks, the states of bins, and alerts are kept: DynamoDB. There is no rule in here.

A bin changes by `commit` alone, and only while its state still has the revision that was read: so of two that decide
at once one is told to read again, and what one of them decided is written whole or not at all.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from boto3.dynamodb.conditions import Key

from inventory.bins import Bin, StrayKey, Subject
from inventory.check import BinState, Check, CurrentCheck, Finding, OpenList, timestamp, waiting_check
from inventory.check_items import (
    AUDIT,
    REJECTION_RETENTION,
    REVIEW,
    SHARDS,
    STATE,
    after,
    alert_item,
    audit_item,
    audit_list,
    check_attribute,
    check_item,
    finding_item,
    is_check,
    key,
    read_check,
    read_finding,
    read_state,
    read_waiting_check,
    state_expiry,
    state_item,
    stored_name,
)
from inventory.decision import Decision
from inventory.legacy_items import LEGACY_STATE, is_legacy_state, legacy_state, legacy_waiting_check

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

OPEN_BY_DAY = "open-by-day"
BY_DAY = "by-day"
_Write = tuple[Literal["Put", "Update"], dict[str, Any]]


class ConcurrentUpdate(Exception):
    """The bin changed between read and write: read again, and decide anew. Nothing was written."""


class CheckStore:
    """The checks table, through a boto3 `Table`."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    # ---- One bin ----

    def load(self, subject: Subject) -> BinState:
        """What is known of a bin. A bin that only version 0.1 knew gets its state here.

        Raises:
            ConcurrentUpdate: somebody else gave it one at the same moment.
        """
        item = self._get(subject, STATE)
        if item:
            return read_state(item)
        if isinstance(subject, Bin) and (legacy := self._get(subject, LEGACY_STATE)) and is_legacy_state(legacy):
            return self._adopt(subject, legacy)
        return BinState(subject)

    def find(self, subject: Subject, check: str) -> Check | None:
        """The check of that identity, or None."""
        item = self._get(subject, check)
        return read_check(item) if item and is_check(item) else None

    def find_by_contents(self, subject: Subject, contents: str) -> list[Check]:
        """The checks of the same contents, by whichever models."""
        condition = Key("bin").eq(subject.partition) & Key("check").begins_with(contents)
        items = self._pages(KeyConditionExpression=condition, ConsistentRead=True)
        # `a/b` begins the identity `a/bc` of other contents too
        same = (item for item in items if f"{item['check']}/".startswith(f"{contents}/"))
        return [read_check(item) for item in same if is_check(item)]

    def commit(self, read: BinState, decision: Decision, moment: datetime) -> None:
        """Write a decision on the state that was read. Where it changes nothing, nothing is written.

        Raises:
            ConcurrentUpdate: the bin was written since, or a check that is to be appended is there already.
        """
        writes = list(_check_writes(decision, moment))
        if decision.alert:
            # The revision in its key is new, so this never fails unless the table was tampered with.
            writes.append(("Put", {"Item": alert_item(decision.alert, moment), **_IF_ABSENT}))
        if not writes and replace(decision.state, revision=read.revision) == read:
            return
        # Every write raises the revision, whatever it changes: whoever read before is to read again.
        item = {**state_item(decision.state), **state_expiry(decision.state, moment)}
        self._write([("Put", {"Item": item, **_if_unchanged(read)}), *writes])

    def list_findings(self, subject: Subject, check: str) -> list[Finding]:
        """The reviews of a check that hold, the oldest first: without those that were taken back."""
        condition = Key("bin").eq(subject.partition) & Key("check").begins_with(REVIEW)
        holding: list[Finding] = []
        for item in self._pages(KeyConditionExpression=condition, ConsistentRead=True):
            finding = read_finding(item)
            if finding.check != check:
                continue
            if finding.kind != "withdrawn":
                holding.append(finding)
            elif holding:
                holding.pop()
        return holding

    # ---- The audit ----

    def find_audited(self, subject: Subject, check: str) -> Check | None:
        """The audit's copy of a check, or None where the check is not in the audit."""
        item = self._get(subject, f"{AUDIT}{check}")
        return read_check(item) if item else None

    def settle_audited(self, check: Check) -> None:
        """Keep what people agreed on in the audit's copy of a check, and the list that it moves to."""
        found = {":actual": check.actual, ":reviewed_at": check.reviewed_at} if check.reviewed_at else {}
        finding = ", actual = :actual, reviewed_at = :reviewed_at" if found else " REMOVE actual, reviewed_at"
        self._table.update_item(
            Key=key(check.subject, f"{AUDIT}{check.check}"),
            UpdateExpression=f"SET #open = :open{finding}",
            ExpressionAttributeNames={"#open": "open"},
            ExpressionAttributeValues={":open": audit_list(check), **found},
        )

    def list_audited(self, since: datetime, until: datetime) -> Iterator[Check]:
        """The audit's checks that people have agreed on and that were made between two moments; the oldest first."""
        yield from map(read_check, self._listed("audited", since, until))

    def latest_check(self, subject: Subject) -> Check | None:
        """The lone part of a bin if one waits, in the form of a check, else the check that speaks for it."""
        state = self.load(subject)
        return waiting_check(state.bin, state.lone) if state.lone else self.current_check(state)

    def current_check(self, state: BinState) -> Check | None:
        """The check that speaks for a bin, or None."""
        return self.find(state.bin, state.current.check) if state.current else None

    # ---- Lists ----

    def find_subject(self, name: str) -> Subject:
        """The bin of that name, or the key without a place in the inbox where only such a one is known."""
        bin, stray = Bin.named(name), StrayKey(name)
        return stray if not self.list_by_bin(bin) and self._get(stray, STATE) else bin

    def find_current(self, name: str) -> Check | None:
        """The check that speaks for the bin of that name; the newest where no state says which (version 0.1 kept none
        of keys without a place); None without a check."""
        subject = self.find_subject(name)
        made = (check for check in self.list_by_bin(subject) if check.status != "waiting")
        return self.current_check(self.load(subject)) or max(made, key=lambda check: check.checked_at, default=None)

    def list_by_name(self, name: str) -> list[Check]:
        """All checks of the bin of that name, and of the key without a place in the inbox that is called so; the oldest
        first."""
        found = self.list_by_bin(Bin.named(name)) + self.list_by_bin(StrayKey(name))
        return sorted(found, key=lambda check: check.checked_at)

    def list_by_bin(self, subject: Subject) -> list[Check]:
        """All checks of a bin, and its lone part if there is one; the oldest first."""
        found = (_listed_check(item) for item in self._items_of(subject))
        checks = [check for check in found if check]
        return sorted(checks, key=lambda check: check.checked_at)

    def list_open(self, open_list: OpenList, since: datetime, until: datetime) -> Iterator[Check]:
        """What stands on a list of open checks and was checked between two moments; the oldest first."""
        found = map(_listed_check, self._listed(open_list, since, until))
        yield from (check for check in found if check)

    def list_by_day(self, day: date) -> Iterator[Check]:
        """The checks that were made on a day in UTC, in no order; of each only what the index `by-day` holds."""
        for shard in SHARDS:
            condition = Key("checked_on").eq(f"{day}#{shard}")
            yield from map(read_check, self._pages(IndexName=BY_DAY, KeyConditionExpression=condition))

    # ---- DynamoDB ----

    def _get(self, subject: Subject, item: str) -> Mapping[str, Any] | None:
        return self._table.get_item(Key=key(subject, item), ConsistentRead=True).get("Item")

    def _listed(self, name: str, since: datetime, until: datetime) -> Iterator[Mapping[str, Any]]:
        day = since.astimezone(UTC).date()
        while day <= until.astimezone(UTC).date():
            between = Key("checked_at").between(timestamp(since), timestamp(until))
            condition = Key("open").eq(f"{name}#{day}") & between
            yield from self._pages(IndexName=OPEN_BY_DAY, KeyConditionExpression=condition)
            day += timedelta(days=1)

    def _items_of(self, subject: Subject) -> Iterator[Mapping[str, Any]]:
        return self._pages(KeyConditionExpression=Key("bin").eq(subject.partition), ConsistentRead=True)

    def _pages(self, **query: Any) -> Iterator[Mapping[str, Any]]:
        while True:
            page = self._table.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _write(self, writes: Sequence[_Write]) -> None:
        """All writes or none. A single one needs no transaction, which costs twice as much."""
        errors = self._table.meta.client.exceptions
        try:
            if len(writes) == 1:
                self._table.put_item(**writes[0][1])
                return
            items: Any = [{kind: {"TableName": self._table.name, **request}} for kind, request in writes]
            self._table.meta.client.transact_write_items(TransactItems=items)
        except errors.ConditionalCheckFailedException as error:
            raise ConcurrentUpdate from error
        except errors.TransactionCanceledException as error:
            # A conflict is another transaction on the bin at this very moment, which botocore has waited for in vain.
            reasons = {reason["Code"] for reason in error.response["CancellationReasons"]}
            if not reasons <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                raise
            raise ConcurrentUpdate from error

    def _adopt(self, bin: Bin, legacy: Mapping[str, Any]) -> BinState:
        """Put the state that version 0.1's items amount to, in their place."""
        recorded = [item for item in self._items_of(bin) if is_check(item)]
        state = legacy_state(bin, legacy, recorded)
        for item in recorded:  # there could be any number, so each goes by itself: that may be done twice
            listed = item.get("open", "").startswith(("mismatch", "rejected"))
            if listed and state.current and item["check"] != state.current.check:
                self._table.update_item(Key=key(bin, item["check"]), **_DELIST)
        # An empty item stays in the old one's place, so that neither a Checker of that version nor a later look,
        # when this state has expired, goes on from it.
        adopted = replace(state, revision=int(time.time()))
        self._write(
            [
                ("Put", {"Item": state_item(adopted), **_IF_ABSENT}),
                ("Put", {"Item": key(bin, LEGACY_STATE), **_if_unchanged(state)}),
            ]
        )
        return adopted


_IF_ABSENT: dict[str, Any] = {
    "ConditionExpression": "attribute_not_exists(#check)",
    "ExpressionAttributeNames": {"#check": "check"},
}
_DELIST: dict[str, Any] = {"UpdateExpression": "REMOVE #open", "ExpressionAttributeNames": {"#open": "open"}}


def _delist(current: CurrentCheck, moment: datetime) -> dict[str, Any]:
    if current.status != "rejected":
        return _DELIST
    return {
        "UpdateExpression": "SET expires_at = :expires_at REMOVE #open",
        "ExpressionAttributeNames": {"#open": "open"},
        "ExpressionAttributeValues": {":expires_at": after(moment, REJECTION_RETENTION)},
    }


def _listed_check(item: Mapping[str, Any]) -> Check | None:
    """A check, or a lone part in the form of one; None for whatever else a bin's partition holds."""
    if item["check"] == STATE:
        return read_waiting_check(item)
    if is_legacy_state(item):
        return legacy_waiting_check(item)
    return read_check(item) if is_check(item) else None


def _if_unchanged(read: BinState) -> dict[str, Any]:
    """Only while nobody else has written the bin since it was read."""
    if read.revision == 0:
        return _IF_ABSENT
    return {
        "ConditionExpression": "revision = :revision",
        "ExpressionAttributeValues": {":revision": read.revision},
    }


def _check_writes(decision: Decision, moment: datetime) -> Iterator[_Write]:
    if decision.append:
        # The item of a check is also its idempotency record: it is put at most once.
        yield "Put", {"Item": check_item(decision.append), "ConditionExpression": "attribute_not_exists(check_id)"}
    if decision.append and decision.audited:
        yield "Put", {"Item": audit_item(decision.append, moment)}
    if decision.finding:
        # Its revision is new, so no review is ever overwritten.
        yield "Put", {"Item": finding_item(decision.state.bin, decision.finding), **_IF_ABSENT}
    if decision.amend:
        yield "Update", _amendment(decision.amend, decision.amended)
    if decision.delist:
        # Unconditional: a check that somebody deleted by hand must not keep its bin from changing ever again. This
        # leaves an item without attributes then, which is no check.
        yield "Update", {"Key": key(decision.state.bin, decision.delist.check), **_delist(decision.delist, moment)}


def _amendment(check: Check, names: Sequence[str]) -> dict[str, Any]:
    """An update of a recorded check, if it is still there."""
    values = {stored_name(name): check_attribute(check, name) for name in names}
    present = {name: value for name, value in values.items() if value is not None}
    absent = [name for name, value in values.items() if value is None]
    expression = f"SET {', '.join(f'#{name} = :{name}' for name in present)}" if present else ""
    if absent:
        expression += f" REMOVE {', '.join(f'#{name}' for name in absent)}"
    return {
        "Key": key(check.subject, check.check),
        "UpdateExpression": expression.strip(),
        "ConditionExpression": "check_id = :check_id",
        "ExpressionAttributeNames": {f"#{name}": name for name in values},
        "ExpressionAttributeValues": {":check_id": check.check_id} | {f":{name}": present[name] for name in present},
    }
