"""Whether what a soak left behind is what was promised, by a plain reference: what each bin holds, and nothing else.

Nothing here knows how checks are made. `Inbox` is what was uploaded, `Aftermath` what was found; `violations` holds one
against the other.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from inventory.check_items import ALERT, STATE
from tests.resilience.uploads import Content, Plan, bin_of

DISAGREE = ("mismatch", "rejected")
SEVERITIES = ("low", "medium", "high")
STATUSES = {"resolved": "match", "unpaired": "waiting"}
"""The status of the check that an alert tells of, where it is not called like the alert."""
Item = Mapping[str, Any]
Answer = tuple[str, int | None, str | None]
"""What a check says: its status, what is seen, and whether objects are missing or extra."""


@dataclass(frozen=True)
class History:
    """What a bin held: the contents of its image and of its record, one after the other."""

    images: Sequence[Content]
    records: Sequence[Content]
    cursed: bool = False

    @property
    def newest(self) -> str:
        """The identity of the check that has to speak for the bin."""
        image, record = self.images[-1:], self.records[-1:]
        return f"{image[0].version if image else '-'}/{record[0].version if record else '-'}"

    @property
    def answer(self) -> Answer | None:
        """What the newest pair comes to; None for a bin that is no pair."""
        return answer_of(self.images[-1], self.records[-1]) if self.images and self.records else None

    @property
    def answers(self) -> dict[str, Answer]:
        """What has to be said of all that the bin can have held at some moment, by identity."""
        pairs = {f"{i.version}/{r.version}": answer_of(i, r) for i in self.images for r in self.records}
        alone = [f"{i.version}/-" for i in self.images] + [f"-/{r.version}" for r in self.records]
        return pairs | dict.fromkeys(alone, ("waiting", None, None))


Inbox = Mapping[str, History]


@dataclass(frozen=True)
class Aftermath:
    """What was found: the table's items, the alerts that a subscriber heard, the keys that dead letters tell of (None
    for messages that tell of none), how often each check was put, and how many messages are left in the queue.
    `unconfirmed` is how many alerts were sent without their sender learning of it or remembering it, so that it has to
    send them again."""

    items: Sequence[Item]
    heard: Sequence[Item]
    dead_letters: Sequence[str | None] = ()
    puts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    left_in_queue: int = 0
    unconfirmed: int = 0

    @cached_property
    def checks(self) -> Sequence[Item]:
        return [item for item in self.items if not item["check"].startswith("/")]

    @cached_property
    def states(self) -> Mapping[str, Item]:
        """What is known of each bin."""
        return {item["bin"]: item for item in self.items if item["check"] == STATE}

    @cached_property
    def outbox(self) -> Sequence[Item]:
        """The alerts that were put, with all that they say; those of a bin in their order."""
        said = []
        for item in self.items:
            if item["check"].startswith(ALERT):
                alert = json.loads(item["alert"])
                check = alert.pop("check")
                names = {"check_id": _named(check["bin"], check["check"]), "alert_id": item["alert_id"]}
                said.append(check | alert | names)
        return sorted(said, key=lambda alert: alert["revision"])

    @cached_property
    def heard_again(self) -> int:
        return len(self.heard) - len({alert["alert_id"] for alert in self.heard})


class Broken(StrEnum):
    """What must not be, in the words that figures are told in."""

    LOST = "lost uploads"
    DUPLICATE = "duplicate records"
    WRONG = "wrong records"
    UNTOLD = "news without an alert"
    NO_NEWS = "alerts that are no news"
    STRAY_ALERT = "alerts of what is not so"
    UNHEARD = "alerts that nobody heard"
    HEARD_AGAIN = "alerts heard again without a cause"
    OVERTAKEN = "newer checks that an older one undid"
    MISLISTED = "bins wrong on the open list"
    GOOD_DEAD_LETTER = "good uploads and alerts in the dead letters"
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
        *_wrong(inbox, found),
        *_doubled(found),
        *_news(inbox, found),
        *_no_news(found),
        *_stray_alerts(inbox, found),
        *_heard(found),
        *_open_list(inbox, found),
        *_overtaken(inbox, found),
        *_dead_letters(inbox, found, unreadable_messages),
    ]


def answer_of(image: Content, record: Content) -> Answer:
    """What the check of a pair has to say."""
    if image.says is None or record.says is None:
        return "rejected", None, None
    label, expected = str(image.says), int(record.says)
    seen = int(label.removesuffix("+"))
    if seen == expected or (label.endswith("+") and expected > seen):
        return "match", seen, None
    return "mismatch", seen, "missing" if seen < expected else "extra"


def _said(told: Item) -> Answer:
    """What a check says, or the check that an alert tells of."""
    predicted = told.get("predicted")
    return told["status"], None if predicted is None else int(predicted), told.get("direction")


def _waiting(found: Aftermath, bin: str) -> str | None:
    """The identity under which a part of a bin waits alone."""
    lone = found.states.get(bin, {}).get("lone")
    if not lone:
        return None
    version = lone["stored"]["version"]
    return f"{version}/-" if lone["part"] == "image" else f"-/{version}"


def _named(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _lost(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    if found.left_in_queue:
        yield Violation(Broken.LOST, "", f"{found.left_in_queue} uploads are still in the queue")
    recorded = {(item["bin"], item["check"]) for item in found.checks}
    dead = {bin_of(key) for key in found.dead_letters if key}
    for bin, history in inbox.items():
        if (bin, history.newest) not in recorded and _waiting(found, bin) != history.newest and bin not in dead:
            yield Violation(Broken.LOST, bin, f"no record of {history.newest}, and no dead letter")


def _wrong(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    for item in found.checks:
        answers = inbox[item["bin"]].answers if item["bin"] in inbox else {}
        if _said(item) != (answer := answers.get(item["check"])):
            yield Violation(Broken.WRONG, item["bin"], f"{item['check']} says {_said(item)} in place of {answer}")
        if item["check_id"] != (name := _named(item["bin"], item["check"])):
            yield Violation(Broken.WRONG, item["bin"], f"{item['check']} is called {item['check_id']}, not {name}")


def _doubled(found: Aftermath) -> Iterator[Violation]:
    for (bin, check), times in found.puts.items():
        if times > 1:
            yield Violation(Broken.DUPLICATE, bin, f"{check} was put {times} times")


def _news(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    """Every answer that disagrees has an alert or repeats one, and the last that people are told of a bin is so."""
    told = {alert["check_id"] for alert in found.outbox}
    for item in found.checks:
        if item["status"] in DISAGREE and item["check_id"] not in told and item.get("repeats") not in told:
            yield Violation(Broken.UNTOLD, item["bin"], f"{item['check']} has no alert and repeats none")
    last = {alert["bin"]: alert for alert in found.outbox}
    reasons = {(item["bin"], item["check"]): item.get("reason") for item in found.checks}
    for bin, history in inbox.items():
        if history.cursed or not history.answer:
            continue
        answer = (*history.answer, reasons.get((bin, history.newest))) if history.answer[0] in DISAGREE else None
        known = _open(last.get(bin))
        if known != answer:
            yield Violation(Broken.UNTOLD, bin, f"people know {known} in place of {answer}")


def _no_news(found: Aftermath) -> Iterator[Violation]:
    """An alert either says what people do not know, or is more severe, or ends what they know."""
    before: dict[str, Item] = {}
    for alert in found.outbox:
        known, bin = before.get(alert["bin"]), alert["bin"]
        before[bin] = alert
        if _open(known) == _open(alert) and not (known and _open(alert) and _severity(alert) > _severity(known)):
            yield Violation(Broken.NO_NEWS, bin, f"{alert['kind']} of {alert['check']} when that was known")


def _open(alert: Item | None) -> tuple[Any, ...] | None:
    """What people know after an alert; None where nothing is open."""
    return (*_said(alert), alert.get("reason")) if alert and alert["kind"] != "resolved" else None


def _severity(alert: Item) -> int:
    return SEVERITIES.index(alert["severity"])


def _stray_alerts(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    for alert in found.outbox:
        bin, status = alert["bin"], STATUSES.get(alert["kind"], alert["kind"])
        answers = inbox[bin].answers if bin in inbox else {}
        if _said(alert) != (answer := answers.get(alert["check"])) or alert["status"] != status:
            how = f"{alert['kind']} {alert['check']} says {_said(alert)} in place of {answer}"
            yield Violation(Broken.STRAY_ALERT, bin, how)
        if alert["alert_id"] != (name := _named(bin, alert["check"], str(alert["revision"]))):
            yield Violation(Broken.STRAY_ALERT, bin, f"{alert['alert_id']} is not {name}")
    put = {alert["alert_id"]: alert for alert in found.outbox}
    for heard in found.heard:
        alert = put.get(heard["alert_id"], {})
        if not alert or any(heard[name] != alert[name] for name in heard.keys() & alert.keys()):
            yield Violation(Broken.STRAY_ALERT, heard["bin"], f"{heard['alert_id']} is not in the outbox like this")


def _heard(found: Aftermath) -> Iterator[Violation]:
    heard = {alert["alert_id"] for alert in found.heard}
    for alert in found.outbox:
        if alert["alert_id"] not in heard:
            yield Violation(Broken.UNHEARD, alert["bin"], f"{alert['kind']} of {alert['check']}")
    if found.heard_again > found.unconfirmed:
        yield Violation(Broken.HEARD_AGAIN, "", f"{found.heard_again} times, with {found.unconfirmed} causes")


def _open_list(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    listed: dict[str, set[str]] = defaultdict(set)
    for item in found.items:
        if "open" in item:
            check = _waiting(found, item["bin"]) if item["check"] == STATE else item["check"]
            listed[item["bin"]].add(f"{item['open'].split('#')[0]} {check}")
    for bin, history in inbox.items():
        if history.cursed:
            continue
        if history.answer:
            status = history.answer[0]
            allowed = [{f"{status} {history.newest}"} if status in DISAGREE else set[str]()]
        else:
            allowed = [{f"{status} {history.newest}"} for status in ("waiting", "unpaired")]
        if listed[bin] not in allowed:
            yield Violation(Broken.MISLISTED, bin, f"{listed[bin]} in place of {allowed[0]}")


def _overtaken(inbox: Inbox, found: Aftermath) -> Iterator[Violation]:
    for bin, history in inbox.items():
        if history.cursed or not history.answer:
            continue
        current = found.states.get(bin, {}).get("current", {}).get("check")
        if current != history.newest:
            yield Violation(Broken.OVERTAKEN, bin, f"{current} speaks for it in place of {history.newest}")


def _dead_letters(inbox: Inbox, found: Aftermath, unreadable_messages: int) -> Iterator[Violation]:
    for key in found.dead_letters:
        if key and not (bin_of(key) in inbox and inbox[bin_of(key)].cursed):
            yield Violation(Broken.GOOD_DEAD_LETTER, bin_of(key), key)
    if (unreadable := sum(key is None for key in found.dead_letters)) != unreadable_messages:
        how = f"{unreadable} of {unreadable_messages} unreadable messages"
        yield Violation(Broken.UNREADABLE_GONE, "", how)
