"""What version 0.1 left of a bin in the checks table, item by item, as its code wrote them."""

from decimal import Decimal
from typing import Any

from inventory.check import Check

NEWEST = f"{'0' * 16}FF".ljust(64, "0")


def pairing(bin: str, revision: int = 4, told: str | None = None, **parts: str) -> dict[str, Any]:
    """The item `pairing`: the newest upload of either part by its key, and which check people were told of last."""
    uploads = {f"{part}_upload": {"key": key, "version": "v", "sequencer": NEWEST} for part, key in parts.items()}
    return {"bin": bin, "check": "pairing", "revision": revision, **uploads, **({"told": told} if told else {})}


def waiting(item: dict[str, Any], waits: str, since: str, **more: str) -> dict[str, Any]:
    """The item `pairing` of a bin one part of which waits."""
    check = Check(item["bin"], "", waits, "waiting", since)
    return item | {
        "status": "waiting", "waits": waits, "site": "", "checked_at": since, "severity": "medium",
        "check_id": check.check_id, "open": f"{'unpaired' if 'alerted_at' in more else 'waiting'}#{since[:10]}", **more,
    }  # fmt: skip


def checked(bin: str, check: str, status: str, at: str, *, listed: bool = True, **more: Any) -> dict[str, Any]:
    """The item of a check. `listed` where it stands open."""
    check_id = Check(bin, "", check, "match", at).check_id
    item = {
        "bin": bin, "site": "", "check": check, "status": status, "checked_at": at, "check_id": check_id,
        "checked_on": f"{at[:10]}#{check_id[0]}", "severity": "medium", "suspicion": Decimal("0.2"),
        "image": f"s3://inbox/bin-images/{bin}.jpg", "metadata": f"s3://inbox/metadata/{bin}.json", "model": "m@1",
        **more,
    }  # fmt: skip
    return item | ({"open": f"{status}#{at[:10]}"} if listed and status != "match" else {})
