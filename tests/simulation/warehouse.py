"""A bin in the simulated cloud, what robots, people and the Watchdog do to it, and the record of what was committed."""

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal

from inventory import workflow
from inventory.bins import Bin, Part, locate
from inventory.check import Alert, BinState, Check, Finding
from inventory.check_items import ALERT, REVIEW, STATE, is_check, read_alert, read_check, read_finding, read_state
from inventory.check_store import CheckStore
from inventory.errors import CannotWithdraw, RejectedUpload, RetryLater
from inventory.uploads import Removal, Upload
from inventory.workflow import CheckWorkflow
from tests.builders import BUCKET, image_of, metadata, seen, upload
from tests.simulation import interleaving
from tests.simulation.cloud import EPOCH, Bucket, Table
from tests.simulation.interleaving import Killed, Process, Schedule, call, learn, running

BIN = Bin("BOS1", "523")
Key = Literal["image", "png", "metadata", "stray"]
KEYS: Mapping[Key, str] = {
    "image": "BOS1/bin-images/523.jpg",
    "png": "BOS1/bin-images/523.png",
    "metadata": "BOS1/metadata/523.json",
    "stray": "BOS1/523",
}
Action = Literal["upload", "again", "remove", "expire", "review", "unclear", "withdraw", "watchdog"]
PARTS: Mapping[str, Part] = {KEYS[key]: locate(KEYS[key])[1] for key in ("image", "png", "metadata")}
REVIEWS = ("review", "unclear", "withdraw")
REDELIVERIES = 3
OF_NO_USE = b"no use"


@dataclass(frozen=True)
class Step:
    """What one process does.

    `upload` puts content of `count` under a key and delivers its event; `again` delivers the event of the first upload
    under that key once more; `remove` takes an object away; `expire` does so and delivers its event; `review` finds
    `count` objects in the current check, and `unclear` cannot tell; `withdraw` takes the last of these back; `watchdog`
    runs once. The process `dies_at` that call of its own, and its message is delivered again.
    """

    action: Action
    key: Key = "image"
    count: int | None = 2
    dies_at: int | None = None
    after: bool = False


@dataclass(frozen=True)
class Commit:
    """One committed change of a bin: its state before and after, the check that was written because it speaks, or
    because a person reviewed it, what that person found, the alert, and whether both parts lay there all the while that
    it was looked at."""

    before: BinState | None
    after: BinState
    spoke: Check | None
    reviewed: Check | None
    finding: Finding | None
    alert: Alert | None
    both_lay_there: bool

    @property
    def overdue(self) -> bool:
        """Whether a lone part turned out to have waited too long."""
        before = self.before.lone if self.before else None
        return bool(self.after.lone and self.after.lone.overdue_at and not (before and before.overdue_at))


@dataclass
class Warehouse:
    """One run: the cloud, the steps as processes, and what was committed. `before` are steps that are over already."""

    steps: tuple[Step, ...]
    before: tuple[Step, ...] = ()
    versions: bool = False
    commits: list[Commit] = field(default_factory=list)
    events: dict[str, list[Upload]] = field(default_factory=dict)
    contents: dict[tuple[str, str], int | None] = field(default_factory=dict)
    puts: dict[tuple[str, str], int] = field(default_factory=dict)
    delivered: list[Upload | Removal] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.table, self.bucket = Table(), Bucket(versions=self.versions)
        self.table.on_call = self.bucket.on_call = self._on_call
        self.table.on_answer = self.bucket.on_answer = learn
        self.table.on_commit = self._on_commit
        self.store = CheckStore(self.table)  # type: ignore[arg-type]
        self._both: dict[str, bool] = {}
        self._history = 0
        self.workflow = CheckWorkflow(
            s3=self.bucket,  # type: ignore[arg-type]
            store=self.store,
            count=self._count,
            mismatch_rate=0.02,
            audit_share=1.0,
            now=lambda: EPOCH + timedelta(seconds=len(self.commits)),
        )

        # ---- What happens ----

        for number, step in enumerate(self.before):
            interleaving.run(interleaving.World([self._process(-1 - number, step)], lambda: None), Schedule())

    def world(self) -> interleaving.World:
        processes = [self._process(number, step) for number, step in enumerate(self.steps)]
        return interleaving.World(processes, self._digest)

    def _digest(self) -> Hashable:
        return (
            self.table.digest(),
            self.bucket.digest(),
            self._history,
            len(self.delivered),
            frozenset(self._both.items()),
        )

    def _process(self, number: int, step: Step) -> Process:
        acts: dict[Action, Callable[[], None]] = {
            "upload": lambda: self._upload(step),
            "again": lambda: self._deliver(self.events[step.key][0]),
            "remove": lambda: self._remove(step),
            "expire": lambda: self._expire(step),
            "review": lambda: self._review(step.count),
            "unclear": lambda: self._review(None),
            "withdraw": self._withdraw,
            "watchdog": self._watchdog,
        }
        ready = (lambda: step.key in self.events) if step.action == "again" else lambda: True
        return Process(f"{number} {step.action}", acts[step.action], ready, step.dies_at, step.after)

    def _upload(self, step: Step) -> None:
        key = KEYS[step.key]
        body = _content(step)
        call()
        version = self.bucket.put(key, body)
        learn((version, self.bucket.puts))
        self.contents[key, version], self.puts[key, version] = step.count, self.bucket.puts
        event = replace(upload(key, body, sequencer=self.bucket.puts), version=version)
        self.events.setdefault(step.key, []).append(event)
        self._deliver(event)

    def _deliver(self, event: Upload | Removal) -> None:
        """Hand a message out until it is done with: a queue does so again where its receiver died or gave up."""
        for _ in range(REDELIVERIES):
            try:
                self.workflow.process(event)
            except RetryLater:
                continue
            except Killed:
                call()
                continue
            self.delivered.append(event)
            return
        raise AssertionError(f"{event} was handed out {REDELIVERIES} times in vain")

    def _remove(self, step: Step) -> None:
        call()
        self.bucket.remove(KEYS[step.key])

    def _expire(self, step: Step) -> None:
        self._remove(step)
        self._deliver(Removal(BUCKET, KEYS[step.key]))

    def _review(self, count: int | None) -> None:
        check = self.store.current_check(self.store.load(BIN))
        if check:
            workflow.review(self.store, check, count, self.workflow.now())

    def _withdraw(self) -> None:
        check = self.store.last_reviewed(BIN)
        if check:
            with suppress(CannotWithdraw):  # another did so first
                workflow.withdraw_review(self.store, check, self.workflow.now())

    def _watchdog(self) -> None:
        now = self.workflow.now()
        for waiting in list(self.store.list_open("waiting", EPOCH - timedelta(days=1), now)):
            workflow.alert_overdue(self.bucket, self.store, waiting, timedelta(0), now)  # type: ignore[arg-type]

    def _count(self, content: bytes, inference_id: str) -> Any:
        call()
        if content == OF_NO_USE:
            raise RejectedUpload("the image cannot be counted")
        return seen(content)

    # ---- What is recorded of it ----

    def newest_events(self) -> dict[Part, Upload]:
        """The event of each part of the bin that was put last."""
        events = (event for told in self.events.values() for event in told if event.key in PARTS)
        return {PARTS[event.key]: event for event in sorted(events, key=lambda event: event.sequencer)}

    def lying(self) -> dict[Part, tuple[str, str]]:
        """Key and version of each part as the bucket holds it: the one that was put last."""
        found: dict[Part, tuple[int, str, str]] = {}
        for key, (_, version, number) in self.bucket.objects.items():
            if part := PARTS.get(key):
                found[part] = max(found.get(part, (0, "", "")), (number, key, version))
        return {part: (key, version) for part, (_, key, version) in found.items()}

    def _on_call(self, operation: str) -> None:
        call()
        process = running()
        if process and operation == "GetItem":
            self._both[process.name] = len(self.lying()) == 2
        if process and operation == "GetObject":
            self._both[process.name] &= len(self.lying()) == 2

    def _on_commit(self, changes: Mapping[tuple[str, str], tuple[Any, Any]]) -> None:
        partition = next(iter(changes))[0]
        state = changes.get((partition, STATE))
        assert state, "a bin changed without its state"
        before, after = (read_state(item) if item else None for item in state)
        assert after
        raised = after.revision == before.revision + 1 if before else after.revision > 0
        assert raised, "a write that does not raise the revision"
        spoke = reviewed = finding = alert = None
        process = running()
        for (_, name), (was, item) in changes.items():
            if name.startswith(ALERT):
                alert = read_alert(item["alert"])
            elif name.startswith(REVIEW):
                finding = read_finding(item)
            elif is_check(item) and process and process.name.endswith(REVIEWS):
                reviewed = read_check(item)
            elif is_check(item) and (was is None or "open" in item or "open" not in was):
                spoke = read_check(item)
        both = self._both.get(process.name, False) if process else False
        self.commits.append(Commit(before, after, spoke, reviewed, finding, alert, both))
        self._history = hash((self._history, repr(self.commits[-1])))


def _content(step: Step) -> bytes:
    if step.count is None:
        return OF_NO_USE
    return metadata(step.count) if step.key == "metadata" else image_of(step.count)
