"""Converts the items of version 0.1 to the state of a bin.

Version 0.1 stored no state. Its item `pairing` held the newest upload of either part, the waiting part, and the check
that was last alerted. Several checks of a bin could be open at once. `CheckStore.load` converts a bin that has such an
item and no state. Delete this file when no table of that version exists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from inventory.addresses import S3Address
from inventory.bins import Bin, Part
from inventory.check import BinState, Check, CurrentCheck, KnownUpload, LastAlert, LonePart, StoredObject
from inventory.check_items import read_check

LEGACY_STATE = "pairing"
LEGACY_TALLIES = "tallies"
_UPLOADS = ("image_upload", "metadata_upload")


def is_legacy_state(item: Mapping[str, Any]) -> bool:
    return item["check"] == LEGACY_STATE and "revision" in item


def legacy_waiting_check(item: Mapping[str, Any]) -> Check | None:
    """The lone part of a bin in the form of a check; None where none waits."""
    return read_check(item) if "status" in item else None


def legacy_state(bin: Bin, item: Mapping[str, Any], recorded: Sequence[Mapping[str, Any]]) -> BinState:
    """The state of a bin from its `pairing` item and the items of its recorded checks."""
    checks = {each["check"]: read_check(each) for each in recorded}
    versions = {version for check in checks for version in check.split("/")}
    uploads = {
        upload["key"]: KnownUpload(upload["version"], upload["sequencer"], upload["version"] in versions)
        for upload in (item[name] for name in _UPLOADS if name in item)
    }
    listed = [checks[each["check"]] for each in recorded if each.get("open", "").startswith(("mismatch", "rejected"))]
    current = max(listed or checks.values(), key=lambda check: check.checked_at, default=None)
    waiting = legacy_waiting_check(item)
    last_alerted = waiting if waiting and waiting.alerted_at else checks.get(item.get("told", ""))
    return BinState(
        bin=bin,
        revision=int(item["revision"]),
        uploads=uploads,
        lone=_lone(waiting) if waiting else None,
        current=CurrentCheck(current.check, current.status, current.reviewed_at is not None) if current else None,
        last_alert=_last_alert(last_alerted, current) if last_alerted else None,
    )


def _lone(waiting: Check) -> LonePart:
    part: Part = "image" if waiting.image else "metadata"
    address = S3Address.parse(waiting.image or waiting.metadata or "")
    version = waiting.versions[0 if part == "image" else 1]
    return LonePart(part, StoredObject(address.bucket, address.key, version), waiting.checked_at, waiting.alerted_at)


def _last_alert(last_alerted: Check, current: Check | None) -> LastAlert | None:
    """The last alert; None if it was a resolved one, or if no alert was sent."""
    if last_alerted.status == "match" or not last_alerted.alerted_at:
        return None
    reviewed = next((check for check in (current, last_alerted) if check and check.reviewed_at), None)
    last = LastAlert.of(last_alerted)
    return replace(last, actual=reviewed.actual, expected=reviewed.expected) if reviewed else last
