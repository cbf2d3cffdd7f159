"""One soak: uploads go in, calls go wrong, functions are killed; then all that is left behind is judged."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from inventory.check_items import ALERT
from local.embedded.cloud import ENDPOINT
from local.stack.deployed_stack import Stack
from local.stack.queues import depth
from local.stack.subscription import Subscription, subscribed
from tests.resilience import judge
from tests.resilience.faults import Fault, Faults, Rates, Target
from tests.resilience.gateway import FaultyGateway
from tests.resilience.judge import Aftermath, Broken, Item, Violation
from tests.resilience.uploads import Image, Plan
from tests.template import resource

FUNCTIONS = ("CheckerFunctionName", "AlerterFunctionName")
SERVICES = ("DYNAMODB", "SAGEMAKER_RUNTIME", "SNS", "SQS")
"""The functions that are in danger, and the calls of theirs that go wrong."""
BACKLOG = 60
"""Uploads that may wait for a Checker before the next one is dropped, so that bins change while they are looked at."""
LOOK_EVERY = 20
"""Uploads between two looks at the queue."""


@dataclass(frozen=True)
class Settings:
    """How a soak is run.

    `concurrency` is how many Checkers run at once, each with a batch of uploads; `visibility_s` how long the queues
    hide a message; `receives` how often they hand it out before it is a dead letter. They are as in the template but
    for `visibility_s`, which need only be longer than a function's timeout. `unreadable_messages` are put in the queue
    between the uploads. The soak ends when for `stalled_s` no message was done with, or no alert was heard.
    """

    rates: Rates = field(default_factory=Rates)
    concurrency: int = 10
    visibility_s: int = 90
    receives: int = 5
    unreadable_messages: int = 10
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
    unconfirmed: int
    heard_again: int
    dead_letters: int
    most_counts_at_once: int
    dropped_s: float
    wall_s: float
    moments: Sequence[Moment]
    violations: Sequence[Violation]


def album(stack: Stack, bins: Sequence[tuple[bytes, dict[str, Any]]]) -> list[Image]:
    """What the endpoint counts in these images while nothing goes wrong; those that it refuses are left out."""
    runtime = stack.cloud.sagemaker_runtime()

    def ask(bin: tuple[bytes, dict[str, Any]]) -> Image | None:
        content, record = bin
        media = "image/png" if content.startswith(b"\x89PNG") else "image/jpeg"
        try:
            answer = runtime.invoke_endpoint(EndpointName=ENDPOINT, ContentType=media, Body=content)
        except runtime.exceptions.ModelError:
            return None
        said = json.load(answer["Body"])
        return Image(content, record, said["labels"][said["count"]])

    with ThreadPoolExecutor(2) as pool:
        return [image for image in pool.map(ask, bins) if image]


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
        subscription = context.enter_context(subscribed(stack, {"site": sites}))
        gateway = FaultyGateway(stack.cloud.endpoint_url or "", cloud_pid, faults, plan.cursed)
        context.enter_context(gateway)
        _endanger(stack, gateway.url, settings, context)
        started = time.monotonic()

        def note(uploads: int) -> None:
            at_s = time.monotonic() - started
            waiting = depth(stack, stack.inbox_queue_url)
            records = sum(gateway.puts.values())
            moments.append(Moment(at_s, uploads, records, gateway.alerted, faults.counts.total(), waiting))
            report(moments[-1])

        _drop(stack, plan, faults, settings, note)
        dropped_s = time.monotonic() - started
        _drain(stack, settings, lambda: note(len(plan.drops)))
        items, heard = _hear(stack, subscription, sites, settings)
        note(len(plan.drops))
    inbox = judge.inbox(plan)
    dead_letters = _dead_letters(stack, sites)
    left = depth(stack, stack.inbox_queue_url)
    found = Aftermath(items, heard, dead_letters, gateway.puts, left, gateway.unconfirmed)
    broken = judge.violations(inbox, found, settings.unreadable_messages)
    batch = resource("Checker")["Events"]["Inbox"]["Properties"]["BatchSize"]
    if gateway.most_counts_at_once > settings.concurrency * batch:
        broken.append(Violation(Broken.UNBOUNDED, "", f"{gateway.most_counts_at_once} calls at once"))
    return Outcome(
        uploads=len(plan.drops),
        bins=len(inbox),
        statuses=Counter(item["status"] for item in found.checks)
        + Counter(waiting=sum("lone" in state for state in found.states.values())),
        faults=faults.counts,
        calls=gateway.calls,
        alerts=len(found.outbox),
        unconfirmed=found.unconfirmed,
        heard_again=found.heard_again,
        dead_letters=len(dead_letters),
        most_counts_at_once=gateway.most_counts_at_once,
        dropped_s=dropped_s,
        wall_s=moments[-1].at_s,
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


def _drain(stack: Stack, settings: Settings, note: Callable[[], None]) -> None:
    """Wait until no upload is left in the queue, or for `stalled_s` none was done with."""
    left, changed_at = -1, time.monotonic()
    while left and time.monotonic() - changed_at < settings.stalled_s:
        time.sleep(0.5)
        now = depth(stack, stack.inbox_queue_url)
        left, changed_at = now, changed_at if now == left else time.monotonic()
        note()


def _hear(
    stack: Stack, subscription: Subscription, sites: Sequence[str], settings: Settings
) -> tuple[list[Item], list[Item]]:
    """Listen until all of the outbox was heard and no alert waits for another attempt, or for `stalled_s` none came.
    Returns what the table holds then, and what was heard."""
    heard: list[Item] = []
    changed_at = time.monotonic()
    while True:
        if came := subscription.receive(wait_s=2):
            heard += came
            changed_at = time.monotonic()
            continue
        stalled = time.monotonic() - changed_at > settings.stalled_s
        if stalled or not depth(stack, stack.alerts_queue_url):
            items = _table(stack, sites)
            outbox = {item["alert_id"] for item in items if item["check"].startswith(ALERT)}
            if stalled or outbox == {alert["alert_id"] for alert in heard}:
                return items, heard


def _endanger(stack: Stack, gateway_url: str, settings: Settings, context: ExitStack) -> None:
    """Lead the functions' calls through the gateway, and have the queues hand out failed messages again sooner, until
    the context ends."""
    functions, sqs = stack.cloud.functions(), stack.cloud.sqs()

    def change(call: Callable[..., Any], before: Any, after: Any, **what: str) -> None:
        context.callback(call, **what, **before)
        call(**what, **after)

    for output in FUNCTIONS:
        name = stack.outputs[output]
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        rerouted = variables | {f"AWS_ENDPOINT_URL_{service}": gateway_url for service in SERVICES}
        change(
            functions.update_function_configuration,
            {"Environment": {"Variables": variables}},
            {"Environment": {"Variables": rerouted}},
            FunctionName=name,
        )
    for url in (stack.inbox_queue_url, stack.alerts_queue_url):
        names: Any = ["VisibilityTimeout", "RedrivePolicy"]
        queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        redrive = {**json.loads(queue["RedrivePolicy"]), "maxReceiveCount": settings.receives}
        impatient = {"VisibilityTimeout": str(settings.visibility_s), "RedrivePolicy": json.dumps(redrive)}
        change(sqs.set_queue_attributes, {"Attributes": queue}, {"Attributes": impatient}, QueueUrl=url)
    checker, inbox = stack.outputs["CheckerFunctionName"], stack.inbox_queue_url
    arn = sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    (mapping,) = functions.list_event_source_mappings(FunctionName=checker, EventSourceArn=arn)["EventSourceMappings"]
    change(
        functions.update_event_source_mapping,
        {"ScalingConfig": mapping["ScalingConfig"]},
        {"ScalingConfig": {"MaximumConcurrency": settings.concurrency}},
        UUID=mapping["UUID"],
    )


def _visible(stack: Stack) -> int:
    name: Any = "ApproximateNumberOfMessages"
    answer = stack.cloud.sqs().get_queue_attributes(QueueUrl=stack.inbox_queue_url, AttributeNames=[name])
    return int(answer["Attributes"][name])


def _table(stack: Stack, sites: Sequence[str]) -> list[Item]:
    """The items of these sites' bins."""
    pages = stack.table.meta.client.get_paginator("scan").paginate(TableName=stack.table.name, ConsistentRead=True)
    return [item for page in pages for item in page["Items"] if item["bin"].split("/")[0] in sites]


def _dead_letters(stack: Stack, sites: Sequence[str]) -> list[str | None]:
    """The keys that dead letters of these sites tell of; None for each that tells of none. They stay where they are."""
    sqs, keys = stack.cloud.sqs(), []
    while messages := sqs.receive_message(
        QueueUrl=stack.dead_letters_url, MaxNumberOfMessages=10, VisibilityTimeout=600
    ).get("Messages", []):
        for message in messages:
            key = _key_of(message["Body"])
            if key is None or key.split("/")[0] in sites:
                keys.append(key)
    return keys


def _key_of(body: str) -> str | None:
    """The key of the upload, or of the alert's image or record, that a message tells of."""
    try:
        told = json.loads(body)
    except ValueError:
        return None
    if "Records" in told:
        return told["Records"][0]["s3"]["object"]["key"]
    address = told["check"]["image"] or told["check"]["metadata"]
    return address.removeprefix("s3://").split("/", 1)[1]
