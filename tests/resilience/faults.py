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

LASTING = 0.1
"""Share of faults that every attempt of a call meets."""
SLOW_S = (1.0, 6.0)
"""How long a slow answer takes; the Checker waits for ten seconds."""


class Target(StrEnum):
    """What a call of the Checker does."""

    COUNT = "count"
    PUT = "put"
    PUBLISH = "publish"
    MARK = "mark"
    TRANSACTION = "transaction"
    WRITE = "write"
    READ = "read"


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
    CURSED = "endpoint: breaks on a picture"
    STORM = "endpoint: 429 to everyone"
    TABLE_THROTTLED = "DynamoDB: throttled"
    TABLE_CONFLICT = "DynamoDB: conflict"
    TABLE_ANSWER_LOST = "DynamoDB: answer lost"
    TOPIC_BROKEN = "SNS: 500"
    TOPIC_ANSWER_LOST = "SNS: answer lost"
    KILLED_BEFORE_PUT = "killed before the put"
    KILLED_AFTER_PUT = "killed after the put, before the publish"
    KILLED_AFTER_PUBLISH = "killed after the publish, before the mark"
    KILLED_AFTER_MARK = "killed after the mark"


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
    Target.PUT: (Fault.KILLED_BEFORE_PUT, Fault.KILLED_AFTER_PUT),
    Target.PUBLISH: (Fault.KILLED_AFTER_PUBLISH,),
    Target.MARK: (Fault.KILLED_AFTER_MARK,),
}
KILLED = frozenset(fault for faults in KILLS.values() for fault in faults)
TRANSACTIONS = (Target.PUT, Target.TRANSACTION)
TABLE = (Target.PUT, Target.MARK, Target.TRANSACTION, Target.WRITE, Target.READ)


@dataclass(frozen=True)
class Rates:
    """Shares of calls that go wrong: of those to the endpoint, the table and the topic, and of those at each moment at
    which functions are killed. Conflicts meet writes only. `storm` is how many calls to the endpoint in a row are
    throttled once a storm breaks out."""

    endpoint: float = 0.05
    table_throttled: float = 0.02
    table_conflict: float = 0.01
    table_answer_lost: float = 0.005
    topic: float = 0.02
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
        if target in TABLE:
            shares |= {Fault.TABLE_THROTTLED: self.table_throttled, Fault.TABLE_ANSWER_LOST: self.table_answer_lost}
        if target in TABLE and target is not Target.READ:
            shares[Fault.TABLE_CONFLICT] = self.table_conflict
        return shares


@dataclass(frozen=True)
class Call:
    """One attempt at a call: what it does, which call it belongs to, which attempt it is, what it says."""

    target: Target
    invocation: str
    attempt: int
    body: bytes

    @property
    def transaction(self) -> Any:
        """The transaction that a PUT or TRANSACTION asks for."""
        return json.loads(self.body)

    @property
    def check(self) -> tuple[str, str]:
        """Bin and identity of the check that a PUT puts."""
        item = _new_check(self.transaction)["Item"]
        return item["bin"]["S"], item["check"]["S"]


def call(path: str, headers: Mapping[str, str], body: bytes) -> Call:
    """What a request to the cloud is."""
    attempt = re.search(r"attempt=(\d+)", headers.get("amz-sdk-request", ""))
    return Call(
        _target(path, headers.get("X-Amz-Target", "").rpartition(".")[2], body),
        headers.get("amz-sdk-invocation-id", ""),
        int(attempt[1]) if attempt else 1,
        body,
    )


def _target(path: str, operation: str, body: bytes) -> Target:
    if path.endswith("/invocations"):
        return Target.COUNT
    if not operation:
        return Target.PUBLISH
    if operation == "TransactWriteItems":
        return Target.PUT if _new_check(json.loads(body)) else Target.TRANSACTION
    if operation == "UpdateItem" and b"alerted_at" in body:
        return Target.MARK
    return Target.WRITE if operation in ("UpdateItem", "PutItem") else Target.READ


def _new_check(transaction: dict[str, Any]) -> Any:
    puts = [action["Put"] for action in transaction["TransactItems"] if "Put" in action]
    return next((put for put in puts if "attribute_not_exists" in put.get("ConditionExpression", "")), None)


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
