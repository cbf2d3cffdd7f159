"""Whether what a soak left behind is what was promised, by a plain reference: what each bin holds, and nothing else.

Nothing here knows how checks are made. `Inbox` is what was uploaded, `Aftermath` what was found; `violations` holds one
against the other.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from tests.resilience.uploads import Content, Plan, bin_of

DISAGREE = ("mismatch", "rejected")
Item = Mapping[str, Any]


@dataclass(frozen=True)
class History:
    """What a bin held: the contents of its picture and of its record, one after the other."""

    images: Sequence[Content]
    records: Sequence[Content]
    cursed: bool = False

    @property
    def newest(self) -> str:
        """The identity of the check that has to speak for the bin."""
        image, record = self.images[-1:], self.records[-1:]
        return f"{image[0].version if image else '-'}/{record[0].version if record else '-'}"

    @property
    def is_pair(self) -> bool:
        return bool(self.images and self.records)

    @property
    def pairs(self) -> dict[str, tuple[Content, Content]]:
        """Every pair that the bin can have held at some moment, by identity."""
        return {f"{i.version}/{r.version}": (i, r) for i in self.images for r in self.records}

    @property
    def returns(self) -> bool:
        """Whether the bin holds what it held before something else, so that its check may be an older one."""
        return any(
            any(content != contents[-1] for content in contents[contents.index(contents[-1]) :])
            for contents in (self.images, self.records)
        )


Inbox = Mapping[str, History]


@dataclass(frozen=True)
class Aftermath:
    """What was found: the table's items, the alerts that a subscriber got, the keys that dead letters tell of (None for
    messages that tell of none), how often each check was put, and how many messages are left in the queue."""

    items: Sequence[Item]
    alerts: Sequence[Item]
    dead_letters: Sequence[str | None] = ()
    puts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    left_in_queue: int = 0

    @cached_property
    def told(self) -> frozenset[str]:
        """The check_ids that the subscriber was told of."""
        return frozenset(alert["check_id"] for alert in self.alerts)


class Broken(StrEnum):
    """What must not be, in the words that figures are told in."""

    LOST = "lost uploads"
    DUPLICATE = "duplicate records"
    WRONG = "wrong records"
    UNTOLD = "mismatches that nobody was told of"
    STRAY_ALERT = "alerts without their check"
    OVERTAKEN = "checks that came after a newer one"
    MISLISTED = "bins wrong on the open list"
    GOOD_DEAD_LETTER = "good uploads in the dead letters"
    UNREADABLE_GONE = "unreadable messages not in the dead letters"
    UNBOUNDED = "calls beyond the bound"


@dataclass(frozen=True)
class Violation:
    """A promise that was broken: which, for which bin, and how."""

    broken: Broken
    bin: str
    how: str


def inbox(plan: Plan) -> dict[str, History]:
    """What each bin held over a plan that was carried out in its order."""
    parts: dict[str, tuple[list[Content], list[Content]]] = defaultdict(lambda: ([], []))
    for drop in plan.drops:
        parts[bin_of(drop.key)]["/metadata/" in drop.key].append(drop.content)
    return {bin: History(*contents, cursed=plan.uses[bin] == "cursed") for bin, contents in parts.items()}


def violations(inbox: Inbox, found: Aftermath, unreadable_messages: int = 0) -> list[Violation]:
    """Every promise that was broken; none when all is well."""
    return [
        *_lost(inbox, found),
        *_made_up(inbox, found),
        *_doubled(found),
        *_not_alerted(inbox, found),
        *_alerts_of_nothing(found),
        *_open_list(inbox, found),
        *_overwritten(inbox, found),
        *_dead_letters(inbox, found, unreadable_messages),
    ]


def agrees(label: str, expected: int) -> bool:
    """Whether a picture with this label agrees with a record; an open label does with every quantity that it covers."""
    return expected >= int(label[:-1]) if label.endswith("+") else expected == int(label)


def status_of(image: Content, record: Content) -> str:
    """The status that the check of a pair has to have."""
    if image.says is None or record.says is None:
        return "rejected"
    return "match" if agrees(str(image.says), int(record.says)) else "mismatch"


def _checks(items: Sequence[Item]) -> Iterator[Item]:
    return (item for item in items if item["check"] != "pairing")


def _lost(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    if found.left_in_queue:
        yield Violation(Broken.LOST, "", f"{found.left_in_queue} uploads are still in the queue")
    recorded = {(item["bin"], item.get("waits", item["check"])) for item in found.items}
    dead = {bin_of(key) for key in found.dead_letters if key}
    for bin, history in inbox.items():
        if (bin, history.newest) not in recorded and bin not in dead:
            yield Violation(Broken.LOST, bin, f"no record of {history.newest}, and no dead letter")


def _made_up(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    for item in _checks(found.items):
        pairs = inbox[item["bin"]].pairs if item["bin"] in inbox else {}
        if item["check"] not in pairs:
            yield Violation(Broken.WRONG, item["bin"], f"it never held {item['check']}")
            continue
        image, record = pairs[item["check"]]
        told = (item["status"], None if item.get("predicted") is None else int(item["predicted"]))
        status = status_of(image, record)
        seen = None if status == "rejected" else int(str(image.says).removesuffix("+"))
        if told != (status, seen):
            yield Violation(Broken.WRONG, item["bin"], f"{told} in place of {(status, seen)}")


def _doubled(found: Aftermath) -> Iterator[Violation]:
    for (bin, check), times in found.puts.items():
        if times > 1:
            yield Violation(Broken.DUPLICATE, bin, f"{check} was put {times} times")
    for name, times in Counter(item["check_id"] for item in _checks(found.items)).items():
        if times > 1:
            yield Violation(Broken.DUPLICATE, "", f"{times} checks are called {name}")


def _calls_for_alert(item: Item) -> bool:
    """A check that disagrees does, unless it repeats what was told; so does one that settles what was told."""
    return (item["status"] in DISAGREE and not item.get("repeats")) or bool(item.get("resolves"))


def lacks_alert(item: Item) -> bool:
    """Whether an item of the table is a check whose alert is not marked."""
    return item["check"] != "pairing" and _calls_for_alert(item) and not item.get("alerted_at")


def _not_alerted(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    spoken_for = {item["bin"] for item in _checks(found.items) if _is_newest(inbox, item) and _is_told(found, item)}
    for item in _checks(found.items):
        if not _calls_for_alert(item) or _is_told(found, item):
            continue
        if _is_newest(inbox, item) or item["bin"] not in spoken_for:
            how = "is not marked" if lacks_alert(item) else "reached nobody"
            yield Violation(Broken.UNTOLD, item["bin"], f"{item['check']} {how}")


def told_by_newer(found: Aftermath) -> int:
    """How many checks were overtaken before anybody was told, so that a newer check of the bin told instead."""
    return sum(_calls_for_alert(item) and not _is_told(found, item) for item in _checks(found.items))


def _is_newest(inbox: Inbox, item: Item) -> bool:
    return item["bin"] in inbox and inbox[item["bin"]].newest == item["check"]


def _is_told(found: Aftermath, item: Item) -> bool:
    return _calls_for_alert(item) and bool(item.get("alerted_at")) and item["check_id"] in found.told


def _alerts_of_nothing(found: Aftermath) -> Iterator[Violation]:
    statuses = {(item["bin"], item["check_id"]): item["status"] for item in _checks(found.items)}
    said: dict[str, Item] = {}
    for alert in found.alerts:
        if alert["kind"] == "unpaired":
            continue
        status = statuses.get((alert["bin"], alert["check_id"]))
        if status != {"resolved": "match"}.get(alert["kind"], alert["kind"]):
            how = f"{alert['kind']} of {alert['check_id']}, which is {status or 'no check'}"
            yield Violation(Broken.STRAY_ALERT, alert["bin"], how)
        if _said(said.setdefault(alert["check_id"], alert)) != _said(alert):
            yield Violation(Broken.STRAY_ALERT, alert["bin"], f"{alert['check_id']} said two things")
    for item in _checks(found.items):
        named = hashlib.sha256(f"{item['bin']}\n{item['check']}".encode()).hexdigest()[:32]
        if item["check_id"] != named:
            yield Violation(Broken.STRAY_ALERT, item["bin"], f"{item['check_id']} is not {named}")


def _said(alert: Item) -> list[Any]:
    """What an alert tells besides its time and shares: those are rounded once they were recorded."""
    return [
        alert.get(name) for name in ("bin", "kind", "expected", "predicted", "image", "metadata", "model", "reason")
    ]


def _open_list(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    listed: dict[str, set[str]] = defaultdict(set)
    for item in found.items:
        if "open" in item:
            listed[item["bin"]].add(f"{item['open'].split('#')[0]} {item.get('waits', item['check'])}")
    for bin, history in inbox.items():
        if history.cursed:
            continue
        if history.is_pair:
            status = status_of(history.images[-1], history.records[-1])
            allowed = [{f"{status} {history.newest}"} if status in DISAGREE else set[str]()]
        else:
            allowed = [{f"{status} {history.newest}"} for status in ("waiting", "unpaired")]
        if listed[bin] not in allowed:
            yield Violation(Broken.MISLISTED, bin, f"{listed[bin]} in place of {allowed[0]}")


def _overwritten(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    newest: dict[str, Item] = {}
    for item in _checks(found.items):
        if item["bin"] not in newest or item["checked_at"] > newest[item["bin"]]["checked_at"]:
            newest[item["bin"]] = item
    for bin, item in newest.items():
        history = inbox.get(bin)
        if history and history.is_pair and not history.returns and item["check"] != history.newest:
            yield Violation(Broken.OVERTAKEN, bin, f"{item['check']} came after {history.newest}")


def _dead_letters(inbox: Inbox, found: Aftermath, unreadable_messages: int) -> Iterator[Violation]:
    for key in found.dead_letters:
        if key and not (bin_of(key) in inbox and inbox[bin_of(key)].cursed):
            yield Violation(Broken.GOOD_DEAD_LETTER, bin_of(key), key)
    if (unreadable := sum(key is None for key in found.dead_letters)) != unreadable_messages:
        how = f"{unreadable} of {unreadable_messages} unreadable messages"
        yield Violation(Broken.UNREADABLE_GONE, "", how)
