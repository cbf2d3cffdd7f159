"""A model of the way from two uploads to an alert: queue, Checkers, endpoint with its scaling, Alerters.

`simulate` runs it as discrete events (SimPy). What the template, the settings and the code say is read from them.
What was measured or assumed is in `Times`.
"""

import heapq
import math
from array import array
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

import simpy

from costs.check_costs import DAY_S, quantities
from costs.prices import prices
from model.app import MAX_WAITING
from tests.template import resource, template
from training.jobs import settings as settings_file
from training.jobs.endpoint.scaling import SCALE_IN_COOLDOWN_S, SCALE_OUT_COOLDOWN_S

MINUTE_S = 60
VCPU_MB = 1769
"""Memory of a function that has one processor: docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html."""
SCALE_OUT_MINUTES, SCALE_IN_MINUTES, SCALE_IN_SHARE = 3, 15, 0.9
"""Minutes for which target tracking's alarms wait, and the share of the target below which the second one counts."""
Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Times:
    """Durations in seconds, each with its source. `service_s` draws the time of one image on one core."""

    image: float = 0.025  # on one core: issue 20, and 21 to 24 ms in model/MODEL_CARD.md
    storage: float = 0.070  # waits of a message for S3 and DynamoDB: benchmarks.batch, whose pauses are assumed
    batch_cpu: float = 0.0069  # of one processor, for a batch: benchmarks.batch (19.5 ms for one, 133 ms for ten)
    message_cpu: float = 0.0126  # and for each of its messages
    cold_start: float = 1.0  # 0.99 s: benchmarks.cold_start
    idle: float = 300.0  # after which Lambda has removed an idle function; AWS documents no figure; assumed
    stream_poll: float = 0.25  # Lambda asks a shard four times a second
    alert: float = quantities()["lambda"]["alert_ms"] / 1000  # assumed
    instance_start: float = 300.0  # "several minutes", docs.aws.amazon.com/sagemaker; assumed
    service_s: Callable[[Random], float] | None = None

    def batch(self, messages: int, memory_mb: float) -> float:
        """Seconds of a Checker for a batch, without the answers of the endpoint. The work and the waits overlap in
        part, so it is an upper limit."""
        return self.storage + (self.batch_cpu + self.message_cpu * messages) * max(1.0, VCPU_MB / memory_mb)


@dataclass(frozen=True)
class Flow:
    """The settings of a stack and of its endpoint."""

    batch_size: int
    visibility_s: float
    max_receives: int
    concurrency: int
    memory_mb: float
    alert_batch: int
    alert_parallel: int
    instance_type: str
    instances: int
    max_instances: int
    calls_per_minute: float
    waiting_per_vcpu: int = MAX_WAITING
    out_cooldown_s: float = SCALE_OUT_COOLDOWN_S
    in_cooldown_s: float = SCALE_IN_COOLDOWN_S
    shards: int = 4
    """Of the table's stream: a new table takes 4,000 write units a second, a partition 1,000."""

    @classmethod
    def as_deployed(cls) -> Self:
        """The defaults of template.yaml and of training/jobs/settings.toml."""
        queue, function = resource("InboxQueue"), template()["Globals"]["Function"]
        inbox = resource("Checker")["Events"]["Inbox"]["Properties"]
        outbox = resource("Alerter")["Events"]["Outbox"]["Properties"]
        deploy = settings_file.load().deploy
        return cls(
            batch_size=inbox["BatchSize"],
            visibility_s=queue["VisibilityTimeout"],
            max_receives=queue["RedrivePolicy"]["maxReceiveCount"],
            concurrency=template()["Parameters"][inbox["ScalingConfig"]["MaximumConcurrency"]["Ref"]]["Default"],
            memory_mb=function["MemorySize"],
            alert_batch=outbox["BatchSize"],
            alert_parallel=outbox["ParallelizationFactor"],
            instance_type=deploy.instance_type,
            instances=deploy.instances,
            max_instances=deploy.max_instances,
            calls_per_minute=deploy.calls_per_minute,
        )

    @property
    def cores(self) -> int:
        """Of an instance."""
        return int(prices()["virtual_cpus"][self.instance_type]) // 2

    @property
    def places(self) -> int:
        """Images that wait or run on an instance before it refuses more."""
        return int(prices()["virtual_cpus"][self.instance_type]) * self.waiting_per_vcpu


@dataclass(frozen=True)
class Arrival:
    """The two uploads of a bin, in seconds from the start. The first one is not later than the second."""

    first: float
    second: float


@dataclass
class Outcome:
    """What became of the uploads. Delays are in seconds, from the second upload of a bin to its alert."""

    uploads: int = 0
    done: int = 0
    dead: int = 0
    left: int = 0
    checked: int = 0
    alerts: int = 0
    refused: int = 0
    calls: int = 0
    batches: int = 0
    alert_batches: int = 0
    gb_s: float = 0.0
    most_waiting: int = 0
    instance_s: float = 0.0
    most_instances: int = 0
    ended: float = 0.0
    delays: "array[float]" = field(default_factory=lambda: array("d"))
    depth: list[tuple[float, int, int]] = field(default_factory=list)
    """Each minute: the time, the messages that wait or are invisible, and the instances."""

    def delay(self, share: float) -> float:
        """The delay that `share` of the alerts do not exceed; NaN without alerts."""
        if not self.delays:
            return math.nan
        ordered = sorted(self.delays)
        return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


class Instance:
    """Cores that work on images in the order of their arrival. A call that finds no place is refused at once."""

    def __init__(self, cores: int, places: int) -> None:
        self._free_at = [0.0] * cores
        self._ends: list[float] = []
        self._places = places

    def outstanding(self, now: float) -> int:
        while self._ends and self._ends[0] <= now:
            heapq.heappop(self._ends)
        return len(self._ends)

    def call(self, now: float, service_s: float) -> float | None:
        """The time at which the answer comes; None for a refusal."""
        if self.outstanding(now) >= self._places:
            return None
        end = max(now, heapq.heappop(self._free_at)) + service_s
        heapq.heappush(self._free_at, end)
        heapq.heappush(self._ends, end)
        return end


@dataclass
class Message:
    """One upload in the queue."""

    bin: int
    receives: int = 0


class World:
    """One run. `outage` is the time, start and end in seconds, in which the endpoint fails every call at once."""

    def __init__(
        self, flow: Flow, times: Times, *, seed: int, mismatches: float, outage: tuple[float, float] | None
    ) -> None:
        self.env, self.flow, self.times, self.random = simpy.Environment(), flow, times, Random(seed)  # noqa: S311
        self.mismatches, self.outage, self.outcome = mismatches, outage, Outcome()
        self.complete_at = array("d")
        self.checked = bytearray()
        self.visible: deque[Message] = deque()
        self.idle_checkers: list[simpy.Event] = []
        self.pending = 0
        self.arriving = True
        self.finished = self.env.event()
        self.instances = [Instance(flow.cores, flow.places) for _ in range(flow.instances)]
        self.calls_this_minute = 0
        self.outboxes: list[deque[int]] = [deque() for _ in range(flow.shards)]
        self.idle_alerters: list[list[simpy.Event]] = [[] for _ in range(flow.shards)]

    def run(self, arrivals: Iterable[Arrival], until: float) -> Outcome:
        """Run until every upload is checked or dead and every alert is sent, at most until `until`."""
        self.env.process(self._arrive(arrivals))
        for _ in range(self.flow.concurrency):
            self.env.process(self._checker())
        for shard in range(self.flow.shards):
            for _ in range(self.flow.alert_parallel):
                self.env.process(self._alerter(shard))
        self.env.process(self._scaling())
        self.env.run(until=self.finished | self.env.timeout(until))
        self.outcome.left = self.pending
        self.outcome.ended = self.env.now
        return self.outcome

    def _arrive(self, arrivals: Iterable[Arrival]) -> Process:
        for time, bin in self._uploads(arrivals):
            if time > self.env.now:
                yield self.env.timeout(time - self.env.now)
            self.outcome.uploads += 1
            self.pending += 1
            self._show([Message(bin)])
        self.arriving = False
        self._finish_if_done()

    def _uploads(self, arrivals: Iterable[Arrival]) -> Iterator[tuple[float, int]]:
        """Time and bin of each upload, in the order of time, from bins in the order of their first upload."""
        later: list[tuple[float, int]] = []
        for bin, arrival in enumerate(arrivals):
            while later and later[0][0] <= arrival.first:
                yield heapq.heappop(later)
            self.complete_at.append(arrival.second)
            self.checked.append(0)
            heapq.heappush(later, (arrival.second, bin))
            yield arrival.first, bin
        while later:
            yield heapq.heappop(later)

    def _show(self, messages: list[Message]) -> None:
        self.visible.extend(messages)
        self.outcome.most_waiting = max(self.outcome.most_waiting, len(self.visible))
        for _ in messages:
            if self.idle_checkers:
                self.idle_checkers.pop().succeed()  # the one that has worked last: its function is still there

    def _checker(self) -> Process:
        last_used = -math.inf
        while True:
            while not self.visible:
                self.idle_checkers.append(self.env.event())
                yield self.idle_checkers[-1]
            batch = [self.visible.popleft() for _ in range(min(self.flow.batch_size, len(self.visible)))]
            received = self.env.now
            if received - last_used > self.times.idle:
                yield self.env.timeout(self.times.cold_start)
            yield from self._check(batch, received)
            last_used = self.env.now

    def _check(self, batch: list[Message], received: float) -> Process:
        now, started = self.env.now, self.env.now
        answers: dict[int, float | None] = {}
        for message in batch:
            message.receives += 1
            if message.bin not in answers and self.complete_at[message.bin] <= now and not self.checked[message.bin]:
                answers[message.bin] = self._call()
        slowest = max((answer - now for answer in answers.values() if answer), default=0.0)
        yield self.env.timeout(self.times.batch(len(batch), self.flow.memory_mb) + slowest)
        self.outcome.batches += 1
        self.outcome.gb_s += (self.env.now - started) * self.flow.memory_mb / 1024
        for bin, answer in answers.items():
            if answer is not None and not self.checked[bin]:
                self.checked[bin] = 1
                self.outcome.checked += 1
                if self.random.random() < self.mismatches:
                    self._put_alert(bin)
        failed = [message for message in batch if answers.get(message.bin, 0.0) is None]
        back = [message for message in failed if message.receives < self.flow.max_receives]
        self.outcome.dead += len(failed) - len(back)
        self.outcome.done += len(batch) - len(failed)
        self.pending -= len(batch) - len(back)
        if back:
            self.env.process(self._reappear(back, received + self.flow.visibility_s))
        self._finish_if_done()

    def _reappear(self, messages: list[Message], at: float) -> Process:
        yield self.env.timeout(max(0.0, at - self.env.now))
        self._show(messages)

    def _call(self) -> float | None:
        now = self.env.now
        self.outcome.calls += 1
        self.calls_this_minute += 1
        answer = None
        if self.outage is None or not self.outage[0] <= now < self.outage[1]:
            draw = self.times.service_s
            instance = min(self.instances, key=lambda each: each.outstanding(now))
            answer = instance.call(now, draw(self.random) if draw else self.times.image)
        self.outcome.refused += answer is None
        return answer

    def _put_alert(self, bin: int) -> None:
        shard = bin % self.flow.shards
        self.outboxes[shard].append(bin)
        self.pending += 1
        if self.idle_alerters[shard]:
            self.idle_alerters[shard].pop().succeed()

    def _alerter(self, shard: int) -> Process:
        outbox, last_used = self.outboxes[shard], -math.inf
        while True:
            while not outbox:
                self.idle_alerters[shard].append(self.env.event())
                yield self.idle_alerters[shard][-1]
                yield self.env.timeout(self.random.uniform(0, self.times.stream_poll))
            batch = [outbox.popleft() for _ in range(min(self.flow.alert_batch, len(outbox)))]
            if self.env.now - last_used > self.times.idle:
                yield self.env.timeout(self.times.cold_start)
            self.outcome.alert_batches += 1
            for bin in batch:
                yield self.env.timeout(self.times.alert)
                self.outcome.delays.append(self.env.now - self.complete_at[bin])
            self.outcome.gb_s += len(batch) * self.times.alert * self.flow.memory_mb / 1024
            self.outcome.alerts += len(batch)
            self.pending -= len(batch)
            last_used = self.env.now
            self._finish_if_done()

    def _finish_if_done(self) -> None:
        if not self.arriving and not self.pending and not self.finished.triggered:
            self.finished.succeed()

    def _scaling(self) -> Process:
        """Target tracking of the calls a minute of each instance. SageMaker changes an endpoint once at a time."""
        flow, history, quiet_until = self.flow, deque[float](maxlen=SCALE_IN_MINUTES), 0.0
        while True:
            yield self.env.timeout(MINUTE_S)
            number = len(self.instances)
            self.outcome.instance_s += MINUTE_S * number
            self.outcome.most_instances = max(self.outcome.most_instances, number)
            self.outcome.depth.append((self.env.now, self.pending, number))
            history.append(self.calls_this_minute / number)
            self.calls_this_minute = 0
            wanted = max(
                flow.instances, min(flow.max_instances, math.ceil(number * history[-1] / flow.calls_per_minute))
            )
            recent = list(history)[-SCALE_OUT_MINUTES:]
            busy = len(recent) == SCALE_OUT_MINUTES and min(recent) > flow.calls_per_minute
            calm = len(history) == SCALE_IN_MINUTES and max(history) < SCALE_IN_SHARE * flow.calls_per_minute
            if self.env.now < quiet_until:
                continue
            if busy and wanted > number:
                quiet_until = self.env.now + self.times.instance_start + flow.out_cooldown_s
                self.env.process(self._add_instances(wanted - number))
            elif calm and wanted < number:
                quiet_until = self.env.now + flow.in_cooldown_s
                del self.instances[wanted:]

    def _add_instances(self, number: int) -> Process:
        yield self.env.timeout(self.times.instance_start)
        self.instances += [Instance(self.flow.cores, self.flow.places) for _ in range(number)]


def simulate(
    flow: Flow,
    arrivals: Iterable[Arrival],
    *,
    times: Times | None = None,
    seed: int = 0,
    mismatches: float = 0.5,
    outage: tuple[float, float] | None = None,
    until: float = 30 * DAY_S,
) -> Outcome:
    """What becomes of `arrivals`, bins in the order of their first upload. `mismatches` is the share with an alert."""
    world = World(flow, times or Times(), seed=seed, mismatches=mismatches, outage=outage)
    return world.run(arrivals, until)
