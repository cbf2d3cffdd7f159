"""Converts values to items of the checks table and back. No other file knows the stored names.

The table's key is `bin`, the partition, and `check`, the item in it:

| partition | item | holds |
| --- | --- | --- |
| a bin's name | `<image version>/<metadata version>` | a check; `…/<model>` for a later answer of another model |
| | `/state` | the state of the bin |
| | `/alert/<revision>` | an alert in the outbox; the table's stream sends its insert to the Alerter |
| | `/review/<revision>` | a review of one of its checks by a person; a later review overwrites none |
| | `/audit/<check>` | a copy of a check that belongs to the audit, with a list of its own |
| | `/claim` | the reviewer of the bin, and until when |
| `keys/<key>/` | as above | a key outside the inbox layout, and its checks |
| `tallies/`, `failures/`, `backfills/` | | the items of tallies, failures and backfills |

A bin's name never ends in a slash, and every other partition does. A check's identity never begins with a slash,
because no version holds one, and every other item of a bin does. So no item can be mistaken for another, whatever the
names of bins and keys are.

Items that need a person or the Watchdog, and reviewed checks, have `open`, the key of the sparse indexes `open-by-day`
and `open-by-suspicion`. Those that wait for a reviewer have `open_at`, the key of `open-by-site`.
Every check has `checked_on`, the key of the index `by-day`: its date and the first digit of its `check_id`. So the
checks of a day spread over sixteen partitions.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from inventory.bins import Bin, StrayKey, Subject
from inventory.check import (
    Alert,
    BinState,
    Check,
    CurrentCheck,
    Finding,
    KnownUpload,
    LastAlert,
    LonePart,
    StoredObject,
    waiting_check,
)

STATE = "/state"
ALERT = "/alert/"
REVIEW = "/review/"
AUDIT = "/audit/"
CLAIM = "/claim"
TALLIES = "tallies/"
FAILURES = "failures/"
BACKFILLS = "backfills/"
SHARDS = "0123456789abcdef"

MATCH_RETENTION = timedelta(days=90)
ALERT_RETENTION = timedelta(days=90)
AUDIT_RETENTION = timedelta(days=400)
REJECTION_RETENTION = timedelta(days=90)
"""For rejected checks that are no longer the current check of their bin. A current one does not expire."""
STATE_RETENTION = timedelta(days=120)
"""For the state of a bin without open alerts that gets no more uploads."""

COUNTS = ("expected", "predicted", "difference", "actual")
FRACTIONS = ("suspicion", "max_suspicion", "expected_volume_in3", "predicted_volume_in3")
STORED_NAMES = {"max_severity": "heard_severity", "max_suspicion": "heard_suspicion"}
"""Attributes of the last alert whose stored names differ: existing tables have the earlier names."""

DIGITS = 6
"""Decimal places of every stored or sent fraction."""

Item = dict[str, Any]


def key(subject: Subject, item: str) -> Item:
    return {"bin": subject.partition, "check": item}


def is_check(item: Mapping[str, Any]) -> bool:
    """Whether an item of a bin's partition is a check."""
    return "/" in item["check"] and not item["check"].startswith("/") and "status" in item


# ---- Checks ----


def check_item(check: Check, previous: str | None = None, *, audited: bool = False) -> Item:
    """The item of a check. `previous` is the newest check of its bin before it, `audited` marks one of the audit."""
    item = {name: stored(value) for name, value in vars(check).items() if value is not None and name != "stray"}
    checked_at = datetime.fromisoformat(check.checked_at)
    item |= key(check.subject, check.check)
    item["check_id"] = check.check_id
    item["checked_on"] = f"{checked_at.astimezone(UTC).date()}#{check.check_id[0]}"
    optional = {name: check_attribute(check, name) for name in ("open", "open_at", "expires_at")}
    return item | _present(optional | {"previous": previous, "audited": audited or None})


def check_attribute(check: Check, name: str) -> Any:
    """An attribute of a check as its item stores it; None if the item lacks it."""
    if name == "expires_at":  # a reviewed check is a training label, so it does not expire
        permanent = check.status != "match" or check.reviewed_at
        return None if permanent else after(datetime.fromisoformat(check.checked_at), MATCH_RETENTION)
    if name == "open":
        return list_of_day(check.open_list, check.checked_at) if check.open_list else None
    if name == "open_at":
        return list_at_site(check_attribute(check, "open"), check.site) if check.open_list == "mismatch" else None
    return stored(getattr(check, name))


def stored_names(names: Iterable[str]) -> Iterator[str]:
    """The names of a check's attributes in its item."""
    for name in names:
        yield from ("open", "open_at") if name == "open_list" else (name,)


def list_of_day(name: str, checked_at: str) -> str:
    """The key of a list's checks of one day in the indexes `open-by-day` and `open-by-suspicion`."""
    return f"{name}#{datetime.fromisoformat(checked_at).astimezone(UTC).date()}"


def list_at_site(list_and_day: str, site: str) -> str:
    """The key of those of one site, in the index `open-by-site`."""
    return f"{list_and_day}#{site}"


def read_check(item: Mapping[str, Any]) -> Check:
    """The check of an item."""
    known = _fields(Check, item)
    subject = _subject(item["bin"])
    known |= {"bin": subject.name, "stray": isinstance(subject, StrayKey), "check": _identity(item)}
    if "resolves" in known:
        known["resolves"] = _numbers(known["resolves"])
    for name in {"probabilities", "probabilities_alone"} & known.keys():
        known[name] = {label: float(share) for label, share in known[name].items()}
    return _check(_numbers(known))


def _check(known: Mapping[str, Any]) -> Check:
    if "interval" not in known:
        return Check(**known)
    low, high = known["interval"]
    return Check(**{**known, "interval": (int(low), None if high is None else int(high))})


def read_waiting_check(item: Mapping[str, Any]) -> Check | None:
    """The lone part of a state's item in the form of a check; None if no part waits."""
    state = read_state(item)
    return waiting_check(state.bin, state.lone) if state.lone else None


def _identity(item: Mapping[str, Any]) -> str:
    stored_identity: str = item.get("waits", item["check"])
    return stored_identity.removeprefix(AUDIT)


# ---- Reviews and the audit ----


def finding_item(subject: Subject, finding: Finding) -> Item:
    """The item of a review. It is a training label, so it does not expire."""
    item = _present(vars(finding)) | {"of": finding.check}
    return item | key(subject, f"{REVIEW}{finding.revision:012d}")


def read_finding(item: Mapping[str, Any]) -> Finding:
    known = _fields(Finding, item)
    actual = int(item["actual"]) if "actual" in item else None
    return Finding(**{**known, "check": item["of"], "revision": int(item["revision"]), "actual": actual})


def audit_item(check: Check, moment: datetime) -> Item:
    """The audit's copy of a check. Later changes of the check do not affect it."""
    item = check_item(check)
    del item["checked_on"]  # the index `by-day` holds each check once
    return (
        item
        | key(check.subject, f"{AUDIT}{check.check}")
        | _present(audit_attributes(check))
        | {"expires_at": after(moment, AUDIT_RETENTION)}
    )


def audit_attributes(check: Check) -> Item:
    """The attributes of the audit's copy of a check that its reviews change; those that it lacks are None.

    The copy is on the list `audit` until it needs no more reviews, then on the list `audited`.
    """
    listed = list_of_day("audited" if check.reviewed_at else "audit", check.checked_at)
    return {
        "open": listed,
        "open_at": None if check.reviewed_at else list_at_site(listed, check.site),
        "actual": check.actual,
        "reviewed_at": check.reviewed_at,
    }


# ---- The state of a bin ----


def state_item(state: BinState) -> Item:
    item: Item = {
        **key(state.bin, STATE),
        "revision": state.revision,
        "uploads": {name: _present(vars(upload)) for name, upload in state.uploads.items()},
    }
    if state.lone:
        waiting = waiting_check(state.bin, state.lone)
        item["lone"] = _present({**vars(state.lone), "stored": vars(state.lone.stored)})
        item["checked_at"] = waiting.checked_at
        item["open"] = check_attribute(waiting, "open")
    if state.current:
        item["current"] = {**vars(state.current)}
    if state.last_alert:
        item["last_alert"] = _last_alert_item(state.last_alert)
    if state.newest:
        item["newest"] = state.newest
    return item


def state_expiry(state: BinState, moment: datetime) -> Item:
    """The expiry of a state; empty while anything of the bin is open."""
    if state.lone or state.last_alert or not state.current or state.current.status != "match":
        return {}
    return {"expires_at": after(moment, STATE_RETENTION)}


def read_state(item: Mapping[str, Any]) -> BinState:
    lone = item.get("lone")
    return BinState(
        bin=_subject(item["bin"]),
        revision=int(item["revision"]),
        uploads={name: KnownUpload(**upload) for name, upload in item["uploads"].items()},
        lone=LonePart(**{**lone, "stored": StoredObject(**lone["stored"])}) if lone else None,
        current=CurrentCheck(**item["current"]) if "current" in item else None,
        last_alert=_read_last_alert(item["last_alert"]) if "last_alert" in item else None,
        newest=item.get("newest"),
    )


def _last_alert_item(last: LastAlert) -> Item:
    return {STORED_NAMES.get(name, name): value for name, value in _present(vars(last)).items()}


def _read_last_alert(item: Mapping[str, Any]) -> LastAlert:
    names = {STORED_NAMES.get(field.name, field.name): field.name for field in fields(LastAlert)}
    return LastAlert(**_numbers({names[stored_name]: value for stored_name, value in item.items()}))


# ---- Alerts ----


def alert_item(alert: Alert, moment: datetime) -> Item:
    """The outbox item of an alert. Its text is final: later changes of the check do not affect it."""
    return {
        **key(alert.check.subject, f"{ALERT}{alert.revision:012d}"),
        "alert_id": alert.alert_id,
        "alert": _alert_text(alert),
        "expires_at": after(moment, ALERT_RETENTION),
    }


def read_alert(text: str) -> Alert:
    """The alert of an outbox item's text. Fields that a later version put in are left out.

    Raises:
        ValueError, KeyError, TypeError, OverflowError, RecursionError: the text is not an alert.
    """
    alert = json.loads(text)
    return Alert(alert["kind"], _check(_fields(Check, alert["check"])), int(alert["revision"]))


def _alert_text(alert: Alert) -> str:
    """JSON without empty fields, so that most alerts fit in one write unit."""
    check = {name: value for name, value in vars(alert.check).items() if value is not None and value is not False}
    check.pop("probabilities_alone", None)  # of use to later checks only
    values = {"kind": alert.kind, "revision": alert.revision, "check": check}
    return json.dumps(values, separators=(",", ":"))


# ---- Values ----


def stored(value: Any) -> Any:
    """A value in a type that DynamoDB accepts."""
    if isinstance(value, float):
        return Decimal(str(round(value, DIGITS)))
    if isinstance(value, Mapping):
        return {name: stored(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [stored(part) for part in value]
    return value


def _subject(partition: str) -> Subject:
    if partition.endswith("/"):
        return StrayKey(partition.removeprefix("keys/").removesuffix("/"))
    return Bin.named(partition)


def _fields(kind: type[Check] | type[Finding], values: Mapping[str, Any]) -> Item:
    """Those of the values that are fields of this kind. A later version may have stored others."""
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


def _present(values: Mapping[str, Any]) -> Item:
    return {name: stored(value) for name, value in values.items() if value is not None}


def _numbers(known: Mapping[str, Any]) -> Item:
    """The same values with Python's numbers instead of DynamoDB's Decimals."""
    types = dict.fromkeys(COUNTS, int) | dict.fromkeys(FRACTIONS, float)
    return {name: types[name](value) if name in types else value for name, value in known.items()}


def after(moment: datetime, age: timedelta) -> int:
    return int((moment + age).timestamp())
