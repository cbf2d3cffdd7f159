"""Checks bins. The events of S3 invoke it, through the inbox queue or directly (`inventory.uploads` reads them).

It writes checks to the table, and alerts to the table's outbox.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from inventory import clients
from inventory.bins import Subject
from inventory.check import Check
from inventory.check_store import CheckStore
from inventory.counting import count_objects
from inventory.errors import RetryLater
from inventory.failures import Failures
from inventory.observability import logger, measured_endpoint_call, metrics
from inventory.prediction import Prediction
from inventory.returned_messages import Fault, report_returned
from inventory.settings import CheckerSettings
from inventory.steps import IndependentSteps
from inventory.uploads import InboxEvent, OtherEvent, read_message, read_notification
from inventory.verdict import ASSUMED_SLIPS, Slips
from inventory.workflow import CheckWorkflow, subject_of

MIN_REMAINING_TIME_MS = 25_000
"""Needed to start a check: two attempts at an endpoint that does not answer (see `clients`)."""
MAX_BATCH = 10
"""Messages of a batch, and so its threads: a check waits for S3, the endpoint and DynamoDB nearly all the time."""
Message = Mapping[str, Any]
"""A message of SQS, as Lambda delivers it."""
METRICS = {"rejected": "Rejected", "waiting": "Waiting"}

config = CheckerSettings.from_environment()
runtime = clients.sagemaker_runtime()
threads = ThreadPoolExecutor(MAX_BATCH)


def count(image: bytes, inference_id: str) -> Prediction:
    with measured_endpoint_call():
        return count_objects(runtime, config.endpoint, image, inference_id)


def new_store() -> CheckStore:
    return CheckStore(clients.checks_table(config.checks_table))


workflow = CheckWorkflow(
    s3=clients.s3(),
    store=new_store(),
    count=count,
    mismatch_rate=config.mismatch_rate,
    audit_share=config.audit_share,
    slips=Slips.of_wrong_records(config.slips) if config.slips else ASSUMED_SLIPS,
    alert_put=partial(metrics.add_metric, "AlertsPut", MetricUnit.Count, 1),
)
idle_stores = [workflow.store]
"""Threads must not share a boto3 table. So each check borrows a store, in the thread of the event loop."""
failures = Failures(clients.checks_table_best_effort(config.checks_table))


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    records = event.get("Records", [])
    if any(record.get("eventSource") == "aws:sqs" for record in records):
        return asyncio.run(check_messages(records, context))
    steps = IndependentSteps()
    checks = []
    for reported in read_notification(event):
        with steps.step("not checked", key=reported.key):
            checks.append(process(workflow, reported))
    steps.raise_failed("uploads could not be checked")
    return [check.check_id for check in checks if check]


async def check_messages(messages: Sequence[Message], context: LambdaContext) -> dict[str, Any]:
    """Check what the messages of a batch report, all at the same time. The answer names those that failed, so that SQS
    returns them to the queue, and no other.

    Powertools' batch utility does this too. It imports the events of all services, a tenth of a cold start.
    """
    turns: MutableMapping[Subject, asyncio.Lock] = defaultdict(asyncio.Lock)
    checks = [check_message(message, context, turns) for message in messages]
    outcomes = await asyncio.gather(*checks, return_exceptions=True)
    failed = [message for message, checked in zip(messages, outcomes, strict=True) if checked is not True]
    return {"batchItemFailures": [{"itemIdentifier": message["messageId"]} for message in failed]}


async def check_message(message: Message, context: LambdaContext, turns: MutableMapping[Subject, asyncio.Lock]) -> bool:
    """Check what one message reports, and report each event that fails: it stops no other. Returns whether none failed.

    `turns` gives each bin's events their turn in the order of the batch.
    """
    faults: list[Fault] = []
    try:
        for event in read_message(message["body"]):
            try:
                async with turns[subject_of(event)]:
                    if context.get_remaining_time_in_millis() < MIN_REMAINING_TIME_MS:
                        raise RetryLater("the messages before it in the batch used up the time")
                    await check_in_thread(event)
            except Exception as fault:
                faults.append(Fault(fault, event.key))
    except Exception as fault:
        faults.append(Fault(fault))
    if faults:
        report_returned(failures, message, faults)
    return not faults


async def check_in_thread(event: InboxEvent) -> None:
    store = idle_stores.pop() if idle_stores else new_store()
    try:
        await asyncio.get_running_loop().run_in_executor(threads, process, replace(workflow, store=store), event)
    finally:
        idle_stores.append(store)


def process(workflow: CheckWorkflow, event: InboxEvent) -> Check | None:
    if isinstance(event, OtherEvent):
        logger.debug("no upload and no removal", event_name=event.name, key=event.key)
        return None
    check = workflow.process(event)
    if check is None:
        logger.info("nothing to check", key=event.key)
        return None
    metrics.add_metric("Checks", MetricUnit.Count, 1)
    if check.status in METRICS:
        metrics.add_metric(METRICS[check.status], MetricUnit.Count, 1)
    if check.suspicion is not None:
        # Zero for a match, so that the sum is their number and the average the mismatch rate.
        metrics.add_metric("Mismatches", MetricUnit.Count, int(check.status == "mismatch"))
        metrics.add_metric("Suspicion", MetricUnit.NoUnit, check.suspicion)
    logger.info(
        "checked",
        bin=check.bin,
        check_id=check.check_id,
        status=check.status,
        expected=check.expected,
        predicted=check.predicted,
        suspicion=check.suspicion,
    )
    return check
