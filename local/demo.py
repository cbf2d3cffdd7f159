"""A run from beginning to end: upload bins, wait for their checks, and compare the alerts with them."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from inventory.bins import Bin, Part, locate
from inventory.check import Check
from local.stack.deployed_stack import Stack
from local.stack.dropping import Dropped
from local.stack.queues import depth
from local.stack.subscription import Alert, Subscription

ALERTING = ("mismatch", "rejected")
POLL_S = 0.5
STALLED_S = 180.0
"""The run ends if nothing changes for this time. The queue's visibility timeout is longer, so the run does not wait for
a message that failed once."""
ALERTS_TIMEOUT_S = 15.0


@dataclass
class Bins:
    """The uploaded bins, each with its uploaded parts, and the files whose upload failed."""

    parts: dict[Bin, set[Part]] = field(default_factory=dict)
    failures: list[Dropped] = field(default_factory=list)

    def add(self, dropped: Dropped) -> None:
        if dropped.outcome == "failed":
            self.failures.append(dropped)
        elif dropped.bin:
            self.parts.setdefault(dropped.bin, set()).add(locate(dropped.key)[1])

    def is_final(self, bin: Bin, check: Check | None) -> bool:
        """Whether this newest check of a bin is final: only another upload can change it."""
        return check is not None and (check.status != "waiting" or len(self.parts[bin]) == 1)


@dataclass(frozen=True)
class Findings:
    """The results of a run. `checks` has the newest check of each bin, None for a bin without one. `failures` are the
    files whose upload failed."""

    checks: dict[Bin, Check | None]
    alerts: Sequence[Alert]
    uploads_remaining: int
    dead_letters: int
    failures: Sequence[Dropped] = ()

    @property
    def statuses(self) -> Counter[str]:
        return Counter(check.status if check else "unchecked" for check in self.checks.values())

    @property
    def agreement(self) -> tuple[int, int]:
        """The number of bins whose image agrees with the record, and the number of compared bins."""
        return self.statuses["match"], self.statuses["match"] + self.statuses["mismatch"]

    @property
    def alerting(self) -> list[Check]:
        """The checks that send an alert at once."""
        return [check for check in self.checks.values() if check and check.status in ALERTING]

    def problems(self) -> Iterator[str]:
        """A sentence for each fault of the run; none for a sound run."""
        if self.failures:
            yield f"{len(self.failures)} files could not be uploaded"
        if missing := self.statuses["unchecked"]:
            yield f"{missing} bins were never checked"
        if self.uploads_remaining:
            yield f"{self.uploads_remaining} uploads are still in the queue"
        if self.dead_letters:
            yield f"{self.dead_letters} messages are in the dead letters"
        received = Counter(alert["check_id"] for alert in self.alerts)
        expected = {check.check_id for check in self.alerting}
        if lost := expected - received.keys():
            yield f"{len(lost)} alerts did not reach the subscriber"
        if doubled := sum(number - 1 for number in received.values()):
            yield f"{doubled} alerts came twice"


def wait_until_checked(stack: Stack, bins: Bins, stalled_s: float = STALLED_S) -> Iterator[int]:
    """Wait until every bin has its check and the queue is empty. Yield after each poll how many more bins have it.

    Uploads are checked in about the order of their arrival, so most polls read only a few bins. The wait ends early if
    nothing has changed for `stalled_s`.
    """
    pending = list(bins.parts)
    changed_at, previous = time.monotonic(), -1
    while True:
        remaining = depth(stack, stack.inbox_queue_url)
        still_pending = _still_pending(stack, bins, pending, check_all=remaining == 0)
        finished = len(pending) - len(still_pending)
        yield finished
        if finished or remaining != previous:
            changed_at = time.monotonic()
        if not (still_pending or remaining) or time.monotonic() - changed_at > stalled_s:
            return
        pending, previous = still_pending, remaining
        time.sleep(POLL_S)


def receive_alerts(subscription: Subscription, expected: int, timeout_s: float = ALERTS_TIMEOUT_S) -> list[Alert]:
    """Receive alerts until `expected` have arrived and no more come, or until the timeout."""
    alerts: list[Alert] = []
    deadline = time.monotonic() + timeout_s
    while True:
        received = subscription.receive(wait_s=1 if len(alerts) >= expected else 2)
        alerts += received
        if not received and (len(alerts) >= expected or time.monotonic() > deadline):
            return alerts


def collect_findings(stack: Stack, bins: Bins, subscription: Subscription) -> Findings:
    """The findings of a run whose bins all have their checks."""
    checks = {bin: stack.checks.latest_check(bin) for bin in bins.parts}
    expected = sum(1 for check in checks.values() if check and check.status in ALERTING)
    return Findings(
        checks,
        receive_alerts(subscription, expected),
        uploads_remaining=depth(stack, stack.inbox_queue_url),
        dead_letters=depth(stack, stack.dead_letters_url),
        failures=bins.failures,
    )


def most_suspicious(checks: Iterable[Check | None], limit: int) -> list[Check]:
    """The checks to inspect first: mismatches by suspicion, then rejected checks, then the rest."""
    rank = {"mismatch": 0, "rejected": 1, "waiting": 2, "match": 3}
    made = [check for check in checks if check]
    return sorted(made, key=lambda check: (rank[check.status], -(check.suspicion or 0), check.bin))[:limit]


def _still_pending(stack: Stack, bins: Bins, pending: Sequence[Bin], *, check_all: bool) -> list[Bin]:
    pending_bins = []
    for position, bin in enumerate(pending):
        if bins.is_final(bin, stack.checks.latest_check(bin)):
            continue
        pending_bins.append(bin)
        if not check_all:
            return [*pending_bins, *pending[position + 1 :]]
    return pending_bins
