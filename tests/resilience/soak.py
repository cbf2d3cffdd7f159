"""One soak: uploads go in, calls go wrong, functions are killed; then all that is left behind is judged."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from inventory.checks import PAIRING, timestamp
from inventory.inspection import CHECKER_TIMEOUT
from local.aws import Stack
from local.cloud import ENDPOINT
from local.demo import collect
from local.queues import depth
from local.subscription import subscribed
from tests.resilience import judge
from tests.resilience.faults import Fault, Faults, Rates, Target
from tests.resilience.gateway import FaultyGateway
from tests.resilience.judge import Aftermath, Broken, Item, Violation
from tests.resilience.uploads import Picture, Plan

SERVICES = ("DYNAMODB", "SNS", "SAGEMAKER_RUNTIME")
BACKLOG = 60
"""Uploads that may wait for a Checker before the next one is dropped, so that bins change while they are looked at."""
HASTE = timedelta(seconds=2)
"""How long an alert may take before a soak in haste has its maker taken for dead; the Checker itself waits longer."""
LOOK_EVERY = 20
"""Uploads between two looks at the queue."""


@dataclass(frozen=True)
class Settings:
    """How a soak is run.

    `concurrency` is how many Checkers run at once, `visibility_s` how long the queue hides a message, `receives` how
    often it hands it out before it is a dead letter: as in the template but for `visibility_s`, which need only be
    longer than the Checker's timeout. `unreadable_messages` are put in the queue between the uploads. With `hasten`,
    makers that were killed are taken for dead after `HASTE`. The soak ends when for `stalled_s` no message was done
    with.
    """

    rates: Rates = field(default_factory=Rates)
    concurrency: int = 10
    visibility_s: int = 90
    receives: int = 5
    unreadable_messages: int = 10
    hasten: bool = False
    stalled_s: float = 900.0


@dataclass(frozen=True)
class Moment:
    """How far a soak is, `at_s` seconds after its start."""

    at_s: float
    uploads: int
    records: int
    alerts: int
    faults: int
    waiting: int


@dataclass(frozen=True)
class Outcome:
    """What a soak came to."""

    uploads: int
    bins: int
    statuses: Counter[str]
    faults: Counter[Fault]
    calls: Counter[Target]
    alerts: int
    alerts_again: int
    told_by_newer: int
    dead_letters: int
    most_counts_at_once: int
    dropped_s: float
    wall_s: float
    moments: Sequence[Moment]
    violations: Sequence[Violation]


def album(stack: Stack, bins: Sequence[tuple[bytes, dict[str, Any]]]) -> list[Picture]:
    """What the endpoint counts in these pictures while nothing goes wrong; those that it refuses are left out."""
    runtime = stack.cloud.sagemaker_runtime()

    def ask(bin: tuple[bytes, dict[str, Any]]) -> Picture | None:
        content, record = bin
        media = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
        try:
            answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType=media, Body=content)
        except runtime.exceptions.ModelError:
            return None
        said = json.load(answer["Body"])
        return Picture(content, record, said["labels"][said["count"]])

    with ThreadPoolExecutor(2) as pool:
        return [picture for picture in pool.map(ask, bins) if picture]


def soak(
    stack: Stack,
    cloud_pid: int,
    plan: Plan,
    seed: int,
    settings: Settings,
    report: Callable[[Moment], None] = lambda _: None,
) -> Outcome:
    """Carry out a plan while things go wrong, wait until all is done, and judge what was left behind."""
    faults = Faults(settings.rates, seed)
    moments: list[Moment] = []
    sites = sorted({drop.key.split("/")[0] for drop in plan.drops})
    with ExitStack() as context:
        alerts = context.enter_context(subscribed(stack, {"site": sites}))
        gateway = FaultyGateway(stack.cloud.endpoint_url or "", cloud_pid, faults, plan.cursed)
        context.enter_context(gateway)
        context.enter_context(_endangered(stack, gateway.url, settings))
        started = time.monotonic()

        def note(uploads: int) -> None:
            at_s = time.monotonic() - started
            waiting = depth(stack, stack.inbox_queue_url)
            records = sum(gateway.puts.values())
            moments.append(Moment(at_s, uploads, records, gateway.alerted, faults.counts.total(), waiting))
            report(moments[-1])

        _drop(stack, plan, faults, settings, note)
        dropped_s = time.monotonic() - started
        for _ in _draining(stack, settings):
            note(len(plan.drops))
            if settings.hasten:
                _age(stack, sites)
        wall_s = time.monotonic() - started
        items = [item for item in _table(stack) if item["bin"].split("/")[0] in sites]
        told = collect(alerts, gateway.alerted, patience_s=60)
    inbox = judge.inbox(plan)
    dead_letters = _dead_letters(stack, sites)
    found = Aftermath(items, told, dead_letters, gateway.puts, left_in_queue=depth(stack, stack.inbox_queue_url))
    broken = judge.violations(inbox, found, settings.unreadable_messages)
    if gateway.most_counts_at_once > settings.concurrency:
        broken.append(Violation(Broken.UNBOUNDED, "", f"{gateway.most_counts_at_once} calls at once"))
    return Outcome(
        uploads=len(plan.drops),
        bins=len(inbox),
        statuses=Counter(item["status"] for item in items if "status" in item),
        faults=faults.counts,
        calls=gateway.calls,
        alerts=len(told),
        alerts_again=len(told) - len({alert["check_id"] for alert in told}),
        told_by_newer=judge.told_by_newer(found),
        dead_letters=len(dead_letters),
        most_counts_at_once=gateway.most_counts_at_once,
        dropped_s=dropped_s,
        wall_s=wall_s,
        moments=moments,
        violations=broken,
    )


def _drop(stack: Stack, plan: Plan, faults: Faults, settings: Settings, note: Callable[[int], None]) -> None:
    """Carry out the plan as fast as Checkers follow. Half-way through, a storm breaks out."""
    s3, sqs = stack.cloud.s3(), stack.cloud.sqs()
    total = len(plan.drops)
    messages = settings.unreadable_messages
    unreadable = {total * (number + 1) // (messages + 1) for number in range(messages)}
    for number, drop in enumerate(plan.drops):
        s3.put_object(Bucket=stack.inbox_bucket, Key=drop.key, Body=drop.content.body)
        if number in unreadable:
            sqs.send_message(QueueUrl=stack.inbox_queue_url, MessageBody=f"no event {number}")
        if number == total // 2:
            faults.break_out()
        if number % LOOK_EVERY == 0:
            note(number + 1)
            while _visible(stack) > BACKLOG:
                time.sleep(0.1)


def _draining(stack: Stack, settings: Settings) -> Iterator[int]:
    """Tell how many messages are left, again and again, until there is none or for `stalled_s` none was done."""
    left, changed_at = -1, time.monotonic()
    while left and time.monotonic() - changed_at < settings.stalled_s:
        time.sleep(0.5)
        now = depth(stack, stack.inbox_queue_url)
        left, changed_at = now, changed_at if now == left else time.monotonic()
        yield left


@contextmanager
def _endangered(stack: Stack, gateway_url: str, settings: Settings) -> Iterator[None]:
    """Lead the Checker's calls through the gateway, and have the queue tell failed messages again sooner."""
    functions, name = stack.cloud.functions(), stack.outputs["CheckerFunctionName"]
    variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    sqs, url = stack.cloud.sqs(), stack.inbox_queue_url
    names: Any = ["VisibilityTimeout", "RedrivePolicy", "QueueArn"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    arn = queue.pop("QueueArn")
    (mapping,) = functions.list_event_source_mappings(FunctionName=name, EventSourceArn=arn)["EventSourceMappings"]

    def change(variables: Mapping[str, str], scaling: Any, queue: Mapping[str, str]) -> None:
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
        functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig=scaling)
        sqs.set_queue_attributes(QueueUrl=url, Attributes=queue)

    change(
        {**variables, **{f"AWS_ENDPOINT_URL_{service}": gateway_url for service in SERVICES}},
        {"MaximumConcurrency": settings.concurrency},
        {
            "VisibilityTimeout": str(settings.visibility_s),
            "RedrivePolicy": json.dumps({**json.loads(queue["RedrivePolicy"]), "maxReceiveCount": settings.receives}),
        },
    )
    try:
        yield
    finally:
        change(variables, mapping["ScalingConfig"], queue)


def _visible(stack: Stack) -> int:
    name: Any = "ApproximateNumberOfMessages"
    answer = stack.cloud.sqs().get_queue_attributes(QueueUrl=stack.inbox_queue_url, AttributeNames=[name])
    return int(answer["Attributes"][name])


def _resource_table(stack: Stack) -> Any:
    resource = stack.cloud.session.resource("dynamodb", endpoint_url=stack.cloud.endpoint_url)
    return resource.Table(stack.outputs["ChecksTableName"])


def _table(stack: Stack) -> Iterator[Item]:
    table, query = _resource_table(stack), {}
    while True:
        page = table.scan(ConsistentRead=True, **query)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def _age(stack: Stack, sites: Sequence[str]) -> None:
    """Make the records of bins older where a check waits for its alert: its maker is taken for dead after a timeout."""
    table = _resource_table(stack)
    dead_by, made_by = (timestamp(datetime.now(UTC) - age) for age in (CHECKER_TIMEOUT, HASTE))
    items = [item for item in _table(stack) if item["bin"].split("/")[0] in sites and item["check"] != PAIRING]
    waiting = {item["bin"] for item in items if judge.lacks_alert(item) and dead_by < item["checked_at"] < made_by}
    for item in items:
        if item["bin"] in waiting:
            table.update_item(
                Key={"bin": item["bin"], "check": item["check"]},
                UpdateExpression="SET checked_at = :aged",
                ExpressionAttributeValues={
                    ":aged": timestamp(datetime.fromisoformat(item["checked_at"]) - CHECKER_TIMEOUT)
                },
            )


def _dead_letters(stack: Stack, sites: Sequence[str]) -> list[str | None]:
    """The keys that dead letters of these sites tell of; None for each that is no event. They stay where they are."""
    sqs, keys = stack.cloud.sqs(), []
    while messages := sqs.receive_message(
        QueueUrl=stack.dead_letters_url, MaxNumberOfMessages=10, VisibilityTimeout=600
    ).get("Messages", []):
        for message in messages:
            try:
                key = json.loads(message["Body"])["Records"][0]["s3"]["object"]["key"]
            except (ValueError, KeyError):
                key = None
            if key is None or key.split("/")[0] in sites:
                keys.append(key)
    return keys
