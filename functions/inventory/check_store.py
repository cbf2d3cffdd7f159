"""The DynamoDB store of checks, states of bins, and alerts. It holds no rules.

Only `commit` changes a bin, and only if its state still has the revision that was read. If two processes decide on a
bin at the same time, one of them gets ConcurrentUpdate and has written nothing.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from boto3.dynamodb.conditions import Key

from inventory.bins import Bin, Subject, is_name, subjects_named
from inventory.check import BinState, Check, CurrentCheck, Finding, OpenList, timestamp, waiting_check
from inventory.check_items import (
    AUDIT,
    REJECTION_RETENTION,
    REVIEW,
    SHARDS,
    STATE,
    after,
    alert_item,
    audit_attributes,
    audit_item,
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
    stored_names,
)
from inventory.decision import Decision
from inventory.legacy_items import LEGACY_STATE, is_legacy_state, legacy_state, legacy_waiting_check

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

OPEN_BY_DAY = "open-by-day"
BY_DAY = "by-day"
_Write = tuple[Literal["Put", "Update"], dict[str, Any]]


class History(NamedTuple):
    """The `findings` are the reviews of a check that hold, and `checks` those of its bin, both oldest first. `awaiting`
    are the identities of those checks of the bin that the audit wants another review of."""

    findings: list[Finding]
    checks: list[Check]
    awaiting: frozenset[str]


class ConcurrentUpdate(Exception):
    """The bin changed between read and write. Nothing was written: load the state and decide again."""


class CheckStore:
    """The checks table, through a boto3 `Table`."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    # ---- One bin ----

    def load(self, subject: Subject) -> BinState:
        """The state of a bin. A bin with items of version 0.1 only gets its state here.

        Raises:
            ConcurrentUpdate: another process gave the bin its state at the same time.
        """
        item = self._get(subject, STATE)
        if item:
            return read_state(item)
        if isinstance(subject, Bin) and (legacy := self._get(subject, LEGACY_STATE)) and is_legacy_state(legacy):
            return self._adopt(subject, legacy)
        return BinState(subject)

    def find(self, subject: Subject, check: str) -> Check | None:
        """The check with this identity, or None."""
        item = self._get(subject, check)
        return read_check(item) if item and is_check(item) else None

    def find_by_contents(self, subject: Subject, contents: str) -> list[Check]:
        """The checks of the same contents by any model."""
        condition = Key("bin").eq(subject.partition) & Key("check").begins_with(contents)
        items = self._pages(KeyConditionExpression=condition, ConsistentRead=True)
        # `a/b` is also a prefix of `a/bc`, the identity of other contents
        same = (item for item in items if f"{item['check']}/".startswith(f"{contents}/"))
        return [read_check(item) for item in same if is_check(item)]

    def commit(self, read: BinState, decision: Decision, moment: datetime) -> None:
        """Write a decision on the state that was read. A decision without changes or `fence` writes nothing.

        Raises:
            ConcurrentUpdate: the bin was written since, or the check to append exists already.
        """
        writes = list(_check_writes(decision, moment))
        if decision.alert:
            # The revision in the key is new, so the condition fails only if somebody edited the table by hand.
            writes.append(("Put", {"Item": alert_item(decision.alert, moment), **_IF_ABSENT}))
        if not writes and not decision.fence and replace(decision.state, revision=read.revision) == read:
            return
        # Every write increments the revision, so the condition of anyone who read before it fails.
        item = {**state_item(decision.state), **state_expiry(decision.state, moment)}
        self._write([("Put", {"Item": item, **_if_unchanged(read)}), *writes])

    def list_findings(self, subject: Subject, check: str) -> list[Finding]:
        """The valid reviews of a check, the oldest first. Withdrawn ones are left out."""
        return _holding_findings(self._starting(subject, REVIEW), check)

    def list_history(self, subject: Subject, check: str, newest: int, limit: int) -> History:
        """The reviews of a check, and the `newest` checks of its bin.

        It costs one query. A bin with more than `limit` items costs two, and one read for the state and for each check.
        """
        condition = Key("bin").eq(subject.partition)
        page = self._table.query(KeyConditionExpression=condition, ConsistentRead=True, Limit=limit)
        items: Sequence[Mapping[str, Any]] = page["Items"]
        if "LastEvaluatedKey" in page:
            items = [
                *self._starting(subject, REVIEW),
                *self._starting(subject, AUDIT),
                *self._newest(self.load(subject), newest),
            ]
        return History(
            _holding_findings((item for item in items if item["check"].startswith(REVIEW)), check),
            _checks_by_time(items)[-newest:],
            frozenset(item["check"].removeprefix(AUDIT) for item in items if item.get("open", "").startswith("audit#")),
        )

    def last_reviewed(self, subject: Subject) -> Check | None:
        """The check of a bin that the last review that holds is of; None without such a review."""
        reviews = list(self._starting(subject, REVIEW))
        checks = {read_finding(item).check for item in reviews}
        last = [holding[-1] for check in checks if (holding := _holding_findings(reviews, check))]
        newest = max(last, key=lambda finding: finding.revision, default=None)
        return self.find(subject, newest.check) if newest else None

    # ---- The audit ----

    def find_audited(self, subject: Subject, check: str) -> Check | None:
        """The audit's copy of a check, or None where the check is not in the audit."""
        item = self._get(subject, f"{AUDIT}{check}")
        return read_check(item) if item else None

    def list_audited(self, since: datetime, until: datetime, *, settled: bool = True) -> Iterator[Check]:
        """The audit's checks that were made between two moments, the oldest first: those that need no more reviews, or
        those that do. A settled check without a count is one whose image does not show it."""
        yield from map(read_check, self._listed("audited" if settled else "audit", since, until))

    def latest_check(self, subject: Subject) -> Check | None:
        """The lone part of a bin in the form of a check if one waits, else the current check."""
        state = self.load(subject)
        return waiting_check(state.bin, state.lone) if state.lone else self.current_check(state)

    def current_check(self, state: BinState) -> Check | None:
        """The current check of a bin, or None."""
        return self.find(state.bin, state.current.check) if state.current else None

    def newest_checks(self, state: BinState, limit: int) -> Iterator[Check]:
        """The newest `limit` checks of a bin, the newest first. Each one is read when it is asked for."""
        return map(read_check, filter(is_check, self._newest(state, limit)))

    # ---- Lists ----

    def find_subject(self, name: str) -> Subject:
        """The bin with this name, or the key outside the inbox layout if only such a key is known."""
        bin, *others = subjects_named(name)
        if self.list_by_bin(bin):
            return bin
        return next((other for other in others if self._get(other, STATE)), bin)

    def find_current(self, name: str) -> Check | None:
        """The current check of the bin with this name, as a person types it; None without a check.

        Without a state it is the newest check: version 0.1 stored no state for keys outside the inbox layout.
        """
        if not is_name(name):
            return None
        subject = self.find_subject(name)
        made = (check for check in self.list_by_bin(subject) if check.status != "waiting")
        return self.current_check(self.load(subject)) or max(made, key=lambda check: check.checked_at, default=None)

    def list_by_name(self, name: str) -> list[Check]:
        """All checks of the bin with this name, as a person types it, and of a key outside the inbox layout with this
        name, the oldest first."""
        subjects = subjects_named(name) if is_name(name) else ()
        found = (check for subject in subjects for check in self.list_by_bin(subject))
        return sorted(found, key=lambda check: check.checked_at)

    def list_by_bin(self, subject: Subject) -> list[Check]:
        """All checks of a bin, and its lone part if there is one, the oldest first."""
        found = (_listed_check(item) for item in self._items_of(subject))
        checks = [check for check in found if check]
        return sorted(checks, key=lambda check: check.checked_at)

    def list_open(self, open_list: OpenList, since: datetime, until: datetime) -> Iterator[Check]:
        """The checks of an open list that were made between two moments, the oldest first."""
        found = map(_listed_check, self._listed(open_list, since, until))
        yield from (check for check in found if check)

    def list_newest(self, open_list: OpenList, since: datetime, until: datetime, limit: int) -> list[Check]:
        """The newest `limit` checks of a list of open checks that were made between two moments, the newest first."""
        items = self._listed(open_list, since, until, newest_first=True, Limit=limit)
        found = map(_listed_check, items)
        return list(islice((check for check in found if check), limit))

    def list_by_day(self, day: date) -> Iterator[Check]:
        """The checks that were made on a day in UTC, in no order, with the attributes of the index `by-day` only."""
        for shard in SHARDS:
            condition = Key("checked_on").eq(f"{day}#{shard}")
            yield from map(read_check, self._pages(IndexName=BY_DAY, KeyConditionExpression=condition))

    # ---- DynamoDB ----

    def _get(self, subject: Subject, item: str) -> Mapping[str, Any] | None:
        return self._table.get_item(Key=key(subject, item), ConsistentRead=True).get("Item")

    def _listed(
        self, name: str, since: datetime, until: datetime, *, newest_first: bool = False, **query: Any
    ) -> Iterator[Mapping[str, Any]]:
        first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
        days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
        query |= {"IndexName": OPEN_BY_DAY, "ScanIndexForward": not newest_first}
        for day in reversed(days) if newest_first else days:
            between = Key("checked_at").between(timestamp(since), timestamp(until))
            yield from self._pages(KeyConditionExpression=Key("open").eq(f"{name}#{day}") & between, **query)

    def _starting(self, subject: Subject, prefix: str) -> Iterator[Mapping[str, Any]]:
        condition = Key("bin").eq(subject.partition) & Key("check").begins_with(prefix)
        yield from self._pages(KeyConditionExpression=condition, ConsistentRead=True)

    def _newest(self, state: BinState, count: int) -> Iterator[Mapping[str, Any]]:
        """The newest checks of a bin, the newest first: each names the one before it. Those before this was stored, and
        expired ones, end the walk."""
        name = state.newest or (state.current.check if state.current else None)
        while name and count and (item := self._get(state.bin, name)):
            yield item
            name, count = item.get("previous"), count - 1

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
        """Apply all writes or none. A single write uses no transaction, because a transaction costs twice as much."""
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
            # TransactionConflict: another transaction on the bin is in progress, and the retries did not outlast it.
            reasons = {reason["Code"] for reason in error.response["CancellationReasons"]}
            if not reasons <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
                raise
            raise ConcurrentUpdate from error

    def _adopt(self, bin: Bin, legacy: Mapping[str, Any]) -> BinState:
        """Replace the `pairing` item of version 0.1 by a state."""
        recorded = [item for item in self._items_of(bin) if is_check(item)]
        state = legacy_state(bin, legacy, recorded)
        for item in recorded:  # too many for one transaction; each update is idempotent, so a retry is safe
            listed = item.get("open", "").startswith(("mismatch", "rejected"))
            if listed and state.current and item["check"] != state.current.check:
                self._table.update_item(Key=key(bin, item["check"]), **_DELIST)
        # An empty `pairing` item replaces the old one. So neither a Checker of version 0.1, nor a later load when the
        # new state has expired, continues from the old one.
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
_DELIST: dict[str, Any] = {"UpdateExpression": "REMOVE #open, open_at", "ExpressionAttributeNames": {"#open": "open"}}


def _delist(current: CurrentCheck, moment: datetime) -> dict[str, Any]:
    if current.status != "rejected":
        return _DELIST
    return {
        "UpdateExpression": "SET expires_at = :expires_at REMOVE #open, open_at",
        "ExpressionAttributeNames": {"#open": "open"},
        "ExpressionAttributeValues": {":expires_at": after(moment, REJECTION_RETENTION)},
    }


def _listed_check(item: Mapping[str, Any]) -> Check | None:
    """A check, or a lone part in the form of one; None for any other item of a bin."""
    if item["check"] == STATE:
        return read_waiting_check(item)
    if is_legacy_state(item):
        return legacy_waiting_check(item)
    return read_check(item) if is_check(item) else None


def _checks_by_time(items: Iterable[Mapping[str, Any]]) -> list[Check]:
    return sorted((read_check(item) for item in items if is_check(item)), key=lambda check: check.checked_at)


def _holding_findings(items: Iterable[Mapping[str, Any]], check: str) -> list[Finding]:
    """The reviews of a check without those that were withdrawn, in the order of the items."""
    holding: list[Finding] = []
    for finding in map(read_finding, items):
        if finding.check != check:
            continue
        if finding.kind != "withdrawn":
            holding.append(finding)
        elif holding:
            holding.pop()
    return holding


def _if_unchanged(read: BinState) -> dict[str, Any]:
    """The condition that nobody has written the bin since it was read."""
    if read.revision == 0:
        return _IF_ABSENT
    return {
        "ConditionExpression": "revision = :revision",
        "ExpressionAttributeValues": {":revision": read.revision},
    }


def _check_writes(decision: Decision, moment: datetime) -> Iterator[_Write]:
    if decision.append:
        # A check item is also the idempotency record: this condition puts it at most once.
        item = check_item(decision.append, decision.previous, audited=decision.audited)
        yield "Put", {"Item": item, "ConditionExpression": "attribute_not_exists(check_id)"}
    if decision.append and decision.audited:
        yield "Put", {"Item": audit_item(decision.append, moment)}
    if decision.finding:
        # The revision in the key is new, so no review is overwritten.
        yield "Put", {"Item": finding_item(decision.state.bin, decision.finding), **_IF_ABSENT}
    if decision.amend:
        yield "Update", _amendment(decision.amend, decision.amended, moment if decision.replaced else None)
    if decision.audit:
        audited = key(decision.state.bin, f"{AUDIT}{decision.audit.check}")
        yield "Update", _update(audited, decision.audit.check_id, audit_attributes(decision.audit))
    if decision.delist:
        # No condition: if somebody deleted the check by hand, a condition would block its bin for ever. Without one,
        # the update leaves an item without attributes, which `is_check` ignores.
        yield "Update", {"Key": key(decision.state.bin, decision.delist.check), **_delist(decision.delist, moment)}


def _amendment(check: Check, names: Sequence[str], replaced_at: datetime | None = None) -> dict[str, Any]:
    """The update of a stored check. A check that another has replaced leaves its list."""
    values = {name: check_attribute(check, name) for name in stored_names(names)}
    if replaced_at:
        values |= {"open": None, "open_at": None}
        if check.status == "rejected":
            values["expires_at"] = after(replaced_at, REJECTION_RETENTION)
    return _update(key(check.subject, check.check), check.check_id, values)


def _update(item: Mapping[str, str], check_id: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The update of an item with this `check_id`, on the condition that it still exists. None removes an attribute."""
    present = {name: value for name, value in values.items() if value is not None}
    absent = [name for name, value in values.items() if value is None]
    expression = f"SET {', '.join(f'#{name} = :{name}' for name in present)}" if present else ""
    if absent:
        expression += f" REMOVE {', '.join(f'#{name}' for name in absent)}"
    return {
        "Key": item,
        "UpdateExpression": expression.strip(),
        "ConditionExpression": "check_id = :check_id",
        "ExpressionAttributeNames": {f"#{name}": name for name in values},
        "ExpressionAttributeValues": {":check_id": check_id} | {f":{name}": present[name] for name in present},
    }
