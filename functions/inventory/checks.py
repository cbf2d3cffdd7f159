"""Every check of every bin, in DynamoDB. The record of a check is its idempotency: it is put once or not at all.

The table holds, under the bin's name:

- one item per check, under its identity `<image version>/<metadata version>`, and `…/<model>` where another model was
  asked later about the same;
- one item `pairing`: the newest upload of either part by `sequencer`, and a `revision` that grows with each. A check is
  put only while the revision is still the one that was looked at, so a late event never undoes a newer check. It also
  names the check that people were `told` of last. While one part is alone this item is also the `waiting` record.

Items that a person or the Watchdog must look at, or that a person has reviewed, carry `open`, the key of the sparse
index `open-by-day`. Every check carries `checked_on`, the key of the index `by-day`, from which the Reporter tallies a
day: its date, and the first digit of its `check_id`, so that the checks of a day spread over sixteen partitions.

Apart from bins it holds tallies (see `tallies`), why messages failed (`failures`) and how far backfills came.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from boto3.dynamodb.conditions import Key

from inventory.bins import Bin, Part
from inventory.uploads import Upload

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

PAIRING = "pairing"
OPEN_BY_DAY = "open-by-day"
BY_DAY = "by-day"
SHARDS = "0123456789abcdef"
MATCHES_KEPT = timedelta(days=90)
COUNTS = ("expected", "predicted", "difference", "actual")
FRACTIONS = ("suspicion", "expected_volume_in3", "predicted_volume_in3")

Status = Literal["match", "mismatch", "waiting", "rejected"]
Kind = Literal["mismatch", "rejected", "unpaired", "resolved"]
OpenList = Literal["mismatch", "rejected", "waiting", "unpaired", "reviewed"]
_Write = tuple[Literal["Put", "Update"], dict[str, Any]]


class PairingChanged(Exception):
    """Another upload of the bin arrived, or another check of it was put, while this one was being made: look again."""


@dataclass(frozen=True)
class Check:
    """One look at one bin.

    `check` is its identity within the bin. `expected`, `predicted` and `difference` are object counts, `suspicion` and
    the `probabilities` (by label) lie between 0 and 1, `expected_volume_in3` and `predicted_volume_in3` are the cubic
    inches of objects that are recorded and seen, `image` and `metadata` are s3:// addresses, and times are ISO 8601 in
    UTC. `repeats` is the `check_id` of an earlier check whose alert told the same, `resolves` describes the matter that
    an agreeing check closes, `actual` is how many objects a person found. What a status does not know is None.
    """

    bin: str
    site: str
    check: str
    status: Status
    checked_at: str
    expected: int | None = None
    predicted: int | None = None
    difference: int | None = None
    direction: str | None = None
    suspicion: float | None = None
    severity: str | None = None
    probabilities: Mapping[str, float] | None = None
    expected_volume_in3: float | None = None
    predicted_volume_in3: float | None = None
    image: str | None = None
    metadata: str | None = None
    model: str | None = None
    reason: str | None = None
    alerted_at: str | None = None
    repeats: str | None = None
    resolves: Mapping[str, Any] | None = None
    actual: int | None = None
    reviewed_at: str | None = None

    @property
    def check_id(self) -> str:
        """Names this check everywhere, the same however often it is made (32 hexadecimal digits)."""
        return hashlib.sha256(f"{self.bin}\n{self.check}".encode()).hexdigest()[:32]

    @property
    def alert_kind(self) -> Kind | None:
        """The kind of alert that this check calls for; None when there is nothing to say."""
        if self.status == "match":
            return "resolved" if self.resolves else None
        if self.status == "waiting":
            return "unpaired"
        return None if self.repeats else self.status

    @property
    def open_list(self) -> OpenList | None:
        """The list that this check stands on: a waiting upload moves on once it was alerted, a review ends a matter."""
        if self.reviewed_at:
            return "reviewed"
        if self.status == "waiting":
            return "unpaired" if self.alerted_at else "waiting"
        return None if self.status == "match" else self.status


@dataclass(frozen=True)
class Pairing:
    """Which uploads of a bin have come: the newest of either part, and the record of the one that waits.

    `told` is the identity of the check that people were told of last, or are about to be.
    """

    bin: Bin
    revision: int
    uploads: Mapping[Part, Mapping[str, str]]
    waiting: Check | None
    told: str | None

    def keys(self, part: Part) -> list[str]:
        """The inbox keys under which a part may lie, the one that its newest upload told first."""
        told = [self.uploads[part]["key"]] if part in self.uploads else []
        return [*told, *(key for key in self.bin.keys(part) if key not in told)]


def identity(image_version: str | None, metadata_version: str | None) -> str:
    """What makes a check of a bin this one and no other; a part that has not come is a dash."""
    return f"{image_version or '-'}/{metadata_version or '-'}"


def identity_by(model: str, identity: str) -> str:
    """The identity of a check of the same contents by another model."""
    return f"{identity}/{model}"


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds; such strings sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


class ChecksTable:
    """The checks table, through a boto3 `Table`."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def note_upload(self, bin: Bin, part: Part, upload: Upload) -> Pairing:
        """Remember an upload unless a newer one of the same part is known, and tell what has come so far."""
        try:
            item = self._table.update_item(
                Key=_pairing_key(bin),
                UpdateExpression="SET #part = :upload REMOVE #open ADD revision :one",
                ConditionExpression="attribute_not_exists(#part) OR #part.sequencer < :sequencer",
                ExpressionAttributeNames={"#part": _UPLOADS[part], "#open": "open"},
                ExpressionAttributeValues={
                    ":upload": {"key": upload.key, "version": upload.version, "sequencer": upload.sequencer},
                    ":sequencer": upload.sequencer,
                    ":one": 1,
                },
                ReturnValues="ALL_NEW",
            )["Attributes"]
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            item = self._table.get_item(Key=_pairing_key(bin), ConsistentRead=True)["Item"]
        return _pairing(bin, item)

    def wait(self, check: Check, pairing: Pairing) -> Check:
        """Put a `waiting` record, or keep the one that is there when it waits for the same.

        Raises:
            PairingChanged: another upload came meanwhile.
        """
        if pairing.waiting and pairing.waiting.check == check.check:
            check = pairing.waiting
        self._put_pairing(pairing, {**_item(check), **_pairing_item(pairing), "waits": check.check})
        return check

    def stop_waiting(self, pairing: Pairing) -> None:
        """End the waiting of a bin, if it waits: the inbox holds nothing of it any more.

        Raises:
            PairingChanged: another upload came meanwhile.
        """
        if pairing.waiting:
            self._put_pairing(pairing, _pairing_item(pairing))

    def find(self, bin: str, check: str) -> Check | None:
        """The check of that identity, or None."""
        item = self._table.get_item(Key={"bin": bin, "check": check}, ConsistentRead=True).get("Item")
        return _check(item) if item else None

    def find_latest(self, bin: str, check: str) -> Check | None:
        """The check of that identity, or the latest recheck of the same contents by another model, or None."""
        condition = Key("bin").eq(bin) & Key("check").begins_with(check)
        items = self._pages(KeyConditionExpression=condition, ConsistentRead=True)
        made = [_check(item) for item in items if item["check"] == check or item["check"].startswith(f"{check}/")]
        return max(made, key=lambda one: one.checked_at, default=None)

    def reread(self, check: Check) -> Check:
        """A recorded check as it stands now."""
        return self.find(check.bin, check.check) or check

    def record(self, check: Check, pairing: Pairing) -> None:
        """Put a new check, and end the waiting of its parts.

        Raises:
            PairingChanged: the bin changed meanwhile, or this very check is there already.
        """
        self._transact([("Put", _if_unchanged(pairing, _pairing_item(pairing))), ("Put", _if_absent(_item(check)))])

    def tell_anew(self, check: Check, pairing: Pairing) -> None:
        """Let a recorded check speak once more, as the one that people are told of next.

        Raises:
            PairingChanged: the bin changed meanwhile, or another delivery has told.
        """
        claim = _if_unchanged(pairing, _pairing_item(replace(pairing, told=check.check)))
        if pairing.told:
            claim["ConditionExpression"] += " AND told = :told"
            claim["ExpressionAttributeValues"][":told"] = pairing.told
        self._transact([("Put", claim), ("Put", {"Item": _item(check)})])

    def record_lone(self, check: Check) -> bool:
        """Put the check of an upload by itself. False when it was there already."""
        try:
            self._table.put_item(**_if_absent(_item(check)))
        except self._table.meta.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def mark_alerted(self, check: Check, moment: datetime) -> None:
        """Remember that the alert of a check went out. A waiting record that has changed since is left as it is."""
        names = ("alerted_at", "open") if check.status == "waiting" else ("alerted_at",)
        with suppress(self._table.meta.client.exceptions.ConditionalCheckFailedException):
            self._set(names, replace(check, alerted_at=timestamp(moment)))

    def make_current(self, check: Check, pairing: Pairing) -> None:
        """Let this check alone speak for its bin: older ones leave the open list, and it is on it if it has to be.

        Nothing of the bin waits any longer. Once a newer upload was noted nothing happens: the look at that one does
        it.

        Raises:
            PairingChanged: another transaction on the bin was faster.
        """
        changes: list[_Write] = []
        for item in self._of_bin(check.bin):
            wanted = _item(check).get("open") if item["check"] == check.check else None
            listed = item["check"] != PAIRING and not item.get("reviewed_at")
            if listed and item.get("open") != wanted:
                key = {"bin": item["bin"], "check": item["check"]}
                changes.append(("Update", {"Key": key, **_open_as(wanted)}))
        if not changes and not pairing.waiting:
            return
        try:
            self._transact([("Put", _if_unchanged(pairing, _pairing_item(pairing))), *changes])
        except PairingChanged as change:
            if "ConditionalCheckFailed" not in _reasons(change.__cause__):
                raise

    def review(self, check: Check, actual: int, moment: datetime) -> Check:
        """Keep how many objects a person found, which ends the matter; a later review replaces an earlier one."""
        reviewed = replace(check, actual=actual, reviewed_at=timestamp(moment))
        self._set(("actual", "reviewed_at", "open"), reviewed)
        return reviewed

    def speaking_for(self, name: str) -> Check | None:
        """The check that speaks for a bin: the one that stands open, else the last one that was made; None without."""
        made = [item for item in self._of_bin(name) if item["check"] != PAIRING]
        stands_open = [item for item in made if item.get("open", "").startswith(("mismatch", "rejected"))]
        return max(map(_check, stands_open or made), key=lambda check: check.checked_at, default=None)

    def of_bin(self, name: str) -> list[Check]:
        """All checks of a bin, and its waiting upload if there is one; the oldest first."""
        checks = [_check(item) for item in self._of_bin(name) if "status" in item]
        return sorted(checks, key=lambda check: check.checked_at)

    def open_since(self, open_list: OpenList, since: datetime, until: datetime) -> Iterator[Check]:
        """What stands on a list of open matters and was checked between two moments; the oldest first."""
        day = since.astimezone(UTC).date()
        while day <= until.astimezone(UTC).date():
            condition = Key("open").eq(f"{open_list}#{day}") & Key("checked_at").between(
                timestamp(since), timestamp(until)
            )
            yield from map(_check, self._pages(IndexName=OPEN_BY_DAY, KeyConditionExpression=condition))
            day += timedelta(days=1)

    def of_day(self, day: date) -> Iterator[Check]:
        """The checks that were made on a day in UTC, in no order; of each only what the index `by-day` holds."""
        for shard in SHARDS:
            condition = Key("checked_on").eq(f"{day}#{shard}")
            yield from map(_check, self._pages(IndexName=BY_DAY, KeyConditionExpression=condition))

    def _set(self, names: Sequence[str], check: Check) -> None:
        """Bring some attributes of a recorded check up to date, if it is still there."""
        item = _item(check)
        self._table.update_item(
            Key={"bin": check.bin, "check": PAIRING if check.status == "waiting" else check.check},
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in names),
            ConditionExpression="check_id = :check_id",
            ExpressionAttributeNames={f"#{name}": name for name in names},
            ExpressionAttributeValues={":check_id": check.check_id} | {f":{name}": item[name] for name in names},
        )

    def _put_pairing(self, pairing: Pairing, item: dict[str, Any]) -> None:
        try:
            self._table.put_item(**_if_unchanged(pairing, item))
        except self._table.meta.client.exceptions.ConditionalCheckFailedException as error:
            raise PairingChanged from error

    def _of_bin(self, name: str) -> Iterator[Mapping[str, Any]]:
        return self._pages(KeyConditionExpression=Key("bin").eq(name), ConsistentRead=True)

    def _transact(self, writes: Sequence[_Write]) -> None:
        items: Any = [{kind: {"TableName": self._table.name, **request}} for kind, request in writes]
        try:
            self._table.meta.client.transact_write_items(TransactItems=items)
        except self._table.meta.client.exceptions.TransactionCanceledException as error:
            _raise_unless_changed(error)
            raise PairingChanged from error

    def _pages(self, **query: Any) -> Iterator[Mapping[str, Any]]:
        while True:
            page = self._table.query(**query)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


_UPLOADS: Mapping[Part, str] = {"image": "image_upload", "metadata": "metadata_upload"}


def _pairing_key(bin: Bin) -> dict[str, Any]:
    return {"bin": bin.name, "check": PAIRING}


def _pairing(bin: Bin, item: Mapping[str, Any]) -> Pairing:
    return Pairing(
        bin=bin,
        revision=int(item["revision"]),
        uploads={part: item[name] for part, name in _UPLOADS.items() if name in item},
        waiting=_check(item) if "status" in item else None,
        told=item.get("told"),
    )


def _pairing_item(pairing: Pairing) -> dict[str, Any]:
    uploads = {_UPLOADS[part]: upload for part, upload in pairing.uploads.items()}
    told = {"told": pairing.told} if pairing.told else {}
    return {**_pairing_key(pairing.bin), "revision": pairing.revision, **told, **uploads}


def _if_unchanged(pairing: Pairing, item: dict[str, Any]) -> Any:
    return {
        "Item": item,
        "ConditionExpression": "revision = :revision",
        "ExpressionAttributeValues": {":revision": pairing.revision},
    }


def _if_absent(item: dict[str, Any]) -> Any:
    return {
        "Item": item,
        "ConditionExpression": "attribute_not_exists(#check)",
        "ExpressionAttributeNames": {"#check": "check"},
    }


def _open_as(listed: str | None) -> dict[str, Any]:
    if listed is None:
        return {"UpdateExpression": "REMOVE #open", "ExpressionAttributeNames": {"#open": "open"}}
    return {
        "UpdateExpression": "SET #open = :open",
        "ExpressionAttributeNames": {"#open": "open"},
        "ExpressionAttributeValues": {":open": listed},
    }


def _raise_unless_changed(error: Any) -> None:
    """Raise the error of a transaction again, unless all that is wrong is that somebody else was faster."""
    if not _reasons(error) <= {"None", "ConditionalCheckFailed", "TransactionConflict"}:
        raise error


def _reasons(error: Any) -> set[str]:
    return {reason["Code"] for reason in error.response["CancellationReasons"]}


def _item(check: Check) -> dict[str, Any]:
    item = {name: _stored(value) for name, value in asdict(check).items() if value is not None}
    item["check_id"] = check.check_id
    checked_at = datetime.fromisoformat(check.checked_at)
    if check.open_list:
        item["open"] = f"{check.open_list}#{checked_at.date()}"
    if check.status != "waiting":
        item["checked_on"] = f"{checked_at.astimezone(UTC).date()}#{check.check_id[0]}"
    if check.status == "match":
        item["expires_at"] = int((checked_at + MATCHES_KEPT).timestamp())
    return item


def _stored(value: Any) -> Any:
    if isinstance(value, float):
        return Decimal(str(round(value, 6)))
    if isinstance(value, Mapping):
        return {name: _stored(part) for name, part in value.items()}
    return value


def _check(item: Mapping[str, Any]) -> Check:
    known = {field.name: item[field.name] for field in fields(Check) if field.name in item}
    known["check"] = item.get("waits", item["check"])
    if "resolves" in known:
        known["resolves"] = _numbers(known["resolves"])
    if "probabilities" in known:
        known["probabilities"] = {label: float(share) for label, share in known["probabilities"].items()}
    return Check(**_numbers(known))


def _numbers(known: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with Python's numbers in place of DynamoDB's."""
    types = dict.fromkeys(COUNTS, int) | dict.fromkeys(FRACTIONS, float)
    return {name: types[name](value) if name in types else value for name, value in known.items()}
