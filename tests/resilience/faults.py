"""What goes wrong in a soak, drawn by a seeded generator, and what that comes to.

A fault is drawn for a call as its caller means it: the attempts that botocore makes of it share a fault, of which most
pass with the first attempt and some last through them all.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inventory.check_items import STATE

LASTING = 0.1
"""Share of faults that every attempt of a call meets."""
SLOW_S = (1.0, 6.0)
"""How long a slow answer takes; the Checker waits for ten seconds."""


class Target(StrEnum):
    """What a call of a function does: the Checker counts, reads and commits; the Alerter claims an alert, publishes and
    remembers it, or queues it. What else is written is notes."""

    COUNT = "count"
    READ = "read"
    COMMIT = "commit"
    CLAIM = "claim"
    PUBLISH = "publish"
    REMEMBER = "remember"
    QUEUE = "queue"
    NOTE = "note"


class Fault(StrEnum):
    """What happens to a call, in words that figures are told in."""

    THROTTLED = "endpoint: 429"
    BROKEN = "endpoint: 500"
    UNAVAILABLE = "endpoint: 503"
    MODEL_ERROR = "endpoint: model error"
    GARBAGE = "endpoint: garbage"
    SLOW = "endpoint: slow answer"
    SILENT = "endpoint: timeout"
    CUT_OFF = "endpoint: cut off"
    CURSED = "endpoint: breaks on an image"
    STORM = "endpoint: 429 to everyone"
    TABLE_THROTTLED = "DynamoDB: throttled"
    TABLE_CONFLICT = "DynamoDB: conflict"
    TABLE_ANSWER_LOST = "DynamoDB: answer lost"
    TOPIC_BROKEN = "SNS: 500"
    TOPIC_ANSWER_LOST = "SNS: answer lost"
    QUEUE_BROKEN = "SQS: 500"
    QUEUE_ANSWER_LOST = "SQS: answer lost"
    KILLED_BEFORE_COMMIT = "Checker killed before the commit"
    KILLED_AFTER_COMMIT = "Checker killed after the commit"
    KILLED_BEFORE_PUBLISH = "Alerter killed before the publish"
    KILLED_AFTER_PUBLISH = "Alerter killed after the publish"


ENDPOINT = (
    Fault.THROTTLED,
    Fault.BROKEN,
    Fault.UNAVAILABLE,
    Fault.MODEL_ERROR,
    Fault.GARBAGE,
    Fault.SLOW,
    Fault.SILENT,
    Fault.CUT_OFF,
)
KILLS = {
    Target.COMMIT: (Fault.KILLED_BEFORE_COMMIT, Fault.KILLED_AFTER_COMMIT),
    Target.PUBLISH: (Fault.KILLED_BEFORE_PUBLISH, Fault.KILLED_AFTER_PUBLISH),
}
KILLED_BEFORE = frozenset(before for before, _ in KILLS.values())
KILLED = frozenset(fault for faults in KILLS.values() for fault in faults)
TABLES = (Target.READ, Target.COMMIT, Target.CLAIM, Target.REMEMBER, Target.NOTE)


@dataclass(frozen=True)
class Rates:
    """Shares of calls that go wrong: of those to the endpoint, the tables, the topic and the queue, and of those at
    each moment at which functions are killed. `storm` is how many calls to the endpoint in a row are throttled once a
    storm breaks out."""

    endpoint: float = 0.05
    table_throttled: float = 0.02
    table_conflict: float = 0.01
    table_answer_lost: float = 0.005
    topic: float = 0.02
    queue: float = 0.1
    kill: float = 0.006
    storm: int = 300
    without: tuple[Fault, ...] = ()

    def of(self, target: Target) -> dict[Fault, float]:
        """What can happen to such a call, and how likely."""
        shares = dict.fromkeys(KILLS.get(target, ()), self.kill)
        if target is Target.COUNT:
            kinds = [fault for fault in ENDPOINT if fault not in self.without]
            shares |= dict.fromkeys(kinds, self.endpoint / len(kinds))
        if target is Target.PUBLISH:
            shares |= dict.fromkeys((Fault.TOPIC_BROKEN, Fault.TOPIC_ANSWER_LOST), self.topic / 2)
        if target is Target.QUEUE:
            shares |= dict.fromkeys((Fault.QUEUE_BROKEN, Fault.QUEUE_ANSWER_LOST), self.queue / 2)
        if target in TABLES:
            shares |= {Fault.TABLE_THROTTLED: self.table_throttled, Fault.TABLE_ANSWER_LOST: self.table_answer_lost}
        if target is Target.COMMIT:
            shares[Fault.TABLE_CONFLICT] = self.table_conflict
        return shares


@dataclass(frozen=True)
class Call:
    """One attempt at a call: what it does, which call it belongs to, which attempt it is, whether it is the last of
    several, what it says."""

    target: Target
    invocation: str
    attempt: int
    is_last: bool
    body: bytes

    @property
    def actions(self) -> list[dict[str, Any]]:
        """The actions of a transaction; none for any other call of DynamoDB."""
        return json.loads(self.body).get("TransactItems", [])

    @property
    def checks(self) -> list[tuple[str, str]]:
        """Bin and identity of each check that a COMMIT puts."""
        items = [action["Put"]["Item"] for action in self.actions if "Put" in action]
        keys = [(item["bin"]["S"], item["check"]["S"]) for item in items]
        return [(bin, check) for bin, check in keys if not check.startswith("/")]


def call(path: str, headers: Mapping[str, str], body: bytes) -> Call:
    """What a request to the cloud is."""
    attempt = re.search(r"attempt=(\d+)(; max=\1$)?", headers.get("amz-sdk-request", ""))
    return Call(
        _target(path, headers.get("X-Amz-Target", ""), body),
        headers.get("amz-sdk-invocation-id", ""),
        int(attempt[1]) if attempt else 1,
        bool(attempt and attempt[2]),
        body,
    )


def _target(path: str, operation: str, body: bytes) -> Target:
    if path.endswith("/invocations"):
        return Target.COUNT
    if not operation:
        return Target.PUBLISH
    if operation.startswith("AmazonSQS"):
        return Target.QUEUE
    said = json.loads(body)
    if "id" in said.get("Item", said.get("Key", ())):
        return Target.REMEMBER if operation.endswith("UpdateItem") else Target.CLAIM
    if "TransactItems" in said or said.get("Item", {}).get("check") == {"S": STATE}:
        return Target.COMMIT
    return Target.NOTE if operation.endswith("PutItem") else Target.READ


class Faults:
    """Draws the faults of one soak and counts them. Each fault has a generator of its own, so which call of its kind it
    meets depends on nothing else."""

    def __init__(self, rates: Rates, seed: int) -> None:
        self.counts: Counter[Fault] = Counter()
        self.slow = random.Random(f"{seed} slow")
        self._rates = rates
        self._chances = {fault: random.Random(f"{seed} {fault}") for fault in Fault}
        self._lasts = random.Random(f"{seed} lasts")
        self._lasting: dict[str, Fault] = {}
        self._storm = 0

    def break_out(self) -> None:
        """Let the storm begin."""
        self._storm = self._rates.storm

    def draw(self, call: Call) -> Fault | None:
        """What happens to this attempt."""
        fault = self._lasting.get(call.invocation) if call.attempt > 1 else self._drawn(call)
        if call.target is Target.COUNT and self._storm:
            self._storm -= 1
            fault = Fault.STORM
        return self.count(fault) if fault else None

    def count(self, fault: Fault) -> Fault:
        """Count a fault that happens."""
        self.counts[fault] += 1
        return fault

    def _drawn(self, call: Call) -> Fault | None:
        shares = self._rates.of(call.target)
        drawn = [fault for fault, share in shares.items() if self._chances[fault].random() < share]
        if not drawn:
            return None
        if drawn[0] not in KILLED and self._lasts.random() < LASTING:
            self._lasting[call.invocation] = drawn[0]
        return drawn[0]
