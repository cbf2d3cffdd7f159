"""Woken by S3 notifications, from the inbox queue or bare; leaves a check in the table and alerts what disagrees."""

from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.typing import LambdaContext

from inventory import clients, settings
from inventory.alerts import Alerts
from inventory.checks import Check, ChecksTable
from inventory.counting import Prediction, count_objects
from inventory.errors import RetryLater
from inventory.failures import Failures
from inventory.inspection import Inspector
from inventory.observability import logger, measured_endpoint_call, metrics, tracer
from inventory.uploads import UnreadableEvent, Upload, read_message, read_notification

TIME_FOR_ONE_MS = 25_000
"""The least time in which to begin a check: two attempts at an endpoint that answers nothing (see `clients`)."""
METRICS = {"rejected": "Rejected", "waiting": "Waiting"}

config = settings.from_environment()
runtime = clients.sagemaker_runtime()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def count(picture: bytes, inference_id: str) -> Prediction:
    with measured_endpoint_call():
        return count_objects(runtime, config.endpoint, picture, inference_id)


inspector = Inspector(
    s3=clients.s3(),
    table=ChecksTable(clients.checks_table(config.checks_table)),
    alerts=Alerts(clients.sns(), config.mismatch_topic_arn),
    count=count,
    mismatch_rate=config.mismatch_rate,
)
failures = Failures(clients.checks_table_for_notes(config.checks_table))


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    if any(record.get("eventSource") == "aws:sqs" for record in event.get("Records", [])):
        return process_partial_response(event, check_message, processor, context)
    return [check_upload(upload).check_id for upload in read_notification(event)]


def check_message(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """Check what one message of the queue tells of; an exception sends this message back, and only this one."""
    uploads: list[Upload] = []
    try:
        if lambda_context.get_remaining_time_in_millis() < TIME_FOR_ONE_MS:
            raise RetryLater("the messages before it in the batch used up the time")
        uploads = read_message(record.body)
        for upload in uploads:
            check_upload(upload)
    except Exception as fault:
        metrics.add_metric("Returned", MetricUnit.Count, 1)
        keys = [upload.key for upload in uploads]
        if isinstance(fault, RetryLater):
            logger.warning("message goes back to the queue", message_id=record.message_id, keys=keys, reason=str(fault))
        else:
            logger.exception("message goes back to the queue", message_id=record.message_id, keys=keys)
        note_failure(record, fault)
        raise


def note_failure(record: SQSRecord, fault: Exception) -> None:
    """Keep why a message goes back, for `bincheck dead-letters`. Best effort: the fault itself matters more."""
    reason = str(fault) if isinstance(fault, RetryLater | UnreadableEvent) else f"{type(fault).__name__}: {fault}"
    try:
        attempts = int(record.attributes.approximate_receive_count or 1)
        failures.note(record.body, reason, attempts, datetime.now(UTC))
    except Exception:
        logger.warning("the reason was not noted", message_id=record.message_id, exc_info=True)


@tracer.capture_method(capture_response=False)
def check_upload(upload: Upload) -> Check:
    check = inspector.inspect(upload)
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
