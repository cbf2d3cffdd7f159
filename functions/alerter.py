"""Sends alerts. The stream of the checks table invokes it for each alert in the outbox.

An alert that cannot be sent at once goes into the alerts queue, which invokes this function again. So a failing alert
does not delay the others. After five attempts it is in the dead-letter queue. An alert that the stream or the queue
delivers twice within DEDUPLICATION_WINDOW_S is sent once.

At most one rejected or unpaired alert an hour has the attribute `hourly`, which AlertEmail subscribes to.
"""

import json
import time
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from inventory import clients, hourly_emails
from inventory.alerts import Alerts
from inventory.chat import ChatAlerts
from inventory.check import Alert
from inventory.check_items import read_alert
from inventory.errors import RetryLater
from inventory.failures import Failures
from inventory.links import Links
from inventory.observability import logger, metrics
from inventory.returned_messages import Fault, report_returned
from inventory.settings import AlerterSettings
from inventory.steps import IndependentSteps

DEDUPLICATION_WINDOW_S = 20 * 24 * 3600
"""Longer than any copy exists: one day in the stream, four in the queue, fourteen in the dead-letter queue."""
RETRY_DELAY_S = 35
"""Longer than the function's timeout. Until then the idempotency record of a sender that died blocks another send."""
MIN_REMAINING_TIME_MS = 20_000
"""Needed to publish an alert: two attempts at a topic that does not answer (see `clients`), and the failure record."""

config = AlerterSettings.from_environment()
links = Links(config.review_url, config.console_region)
alerts = Alerts(clients.sns(), config.mismatch_topic_arn, links)
chat = ChatAlerts(clients.sns(), config.chat_topic_arn, links) if config.chat_topic_arn else None
queue = clients.sqs()
failures = Failures(clients.checks_table_best_effort(config.checks_table))
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
once = IdempotencyConfig(expires_after_seconds=DEDUPLICATION_WINDOW_S)
emails = hourly_emails.HourlyEmails(clients.dynamodb(), config.sent_alerts_table)
sent_alerts = DynamoDBPersistenceLayer(config.sent_alerts_table, boto3_client=clients.dynamodb())


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    once.register_lambda_context(context)
    if any(record.get("eventSource") == "aws:sqs" for record in event["Records"]):
        return process_partial_response(event, send_queued, processor, context)
    steps = IndependentSteps()
    for record in event["Records"]:
        with steps.step("neither sent nor put into the queue; the stream delivers its records again"):
            send_or_queue(record["dynamodb"].get("NewImage", {}), context)
    steps.raise_failed("alerts could be neither sent nor put into the queue")
    return None


def send_or_queue(item: dict[str, Any], context: LambdaContext) -> None:
    """Send an alert from the stream. If that fails, put it into the queue, so that it does not block the stream."""
    text = item.get("alert", {}).get("S") or json.dumps(item)
    try:
        send_once(text, context)
    except Exception as fault:
        logger.warning("alert goes into the queue", reason=f"{type(fault).__name__}: {fault}")
        queue.send_message(QueueUrl=config.alerts_queue_url, MessageBody=text, DelaySeconds=RETRY_DELAY_S)


def send_queued(record: SQSRecord, lambda_context: LambdaContext) -> None:
    """Send an alert from the queue. An exception returns its message to the queue."""
    try:
        send_once(record.body, lambda_context)
    except Exception as fault:
        report_returned(failures, record.raw_event, [Fault(fault)])
        raise


def send_once(text: str, context: LambdaContext) -> None:
    """Send an alert to both topics. One that fails does not stop the other, and the retry sends to that one only."""
    alert = read_alert(text)
    try:
        _require_time(context)
        send(alert_id=alert.alert_id, alert=alert)
    finally:
        if chat:
            _require_time(context)
            send_to_chat(alert_id=alert.alert_id, alert=alert)


@idempotent_function(  # type: ignore[untyped-decorator]
    data_keyword_argument="alert_id", persistence_store=sent_alerts, config=once, key_prefix="alert"
)
def send(alert_id: str, alert: Alert) -> None:
    if alert.kind in hourly_emails.KINDS:
        _publish_with_hourly_email(alert)
    else:
        alerts.publish(alert)
    metrics.add_metric("AlertsSent", MetricUnit.Count, 1)
    logger.info("alerted", bin=alert.check.bin, check_id=alert.check.check_id, alert_id=alert_id, kind=alert.kind)


@idempotent_function(  # type: ignore[untyped-decorator]
    data_keyword_argument="alert_id", persistence_store=sent_alerts, config=once, key_prefix="chat"
)
def send_to_chat(alert_id: str, alert: Alert) -> None:
    """Send an alert to the chat topic."""
    if chat:
        chat.publish(alert)
    logger.info("alerted in chat", bin=alert.check.bin, alert_id=alert_id)


def _require_time(context: LambdaContext) -> None:
    if context.get_remaining_time_in_millis() < MIN_REMAINING_TIME_MS:
        raise RetryLater("the alerts before it in the batch used up the time")


def _publish_with_hourly_email(alert: Alert) -> None:
    """Publish a rejected or unpaired alert, as the email of this hour if no other alert is.

    The numbers change after the publishing. So a failure repeats the alert, which has the same `alert_id`, and loses no
    number.
    """
    unnamed = emails.claim(alert.alert_id, int(time.time()))
    alerts.publish(alert, unnamed)
    if unnamed is None:
        emails.count(alert.kind)
    else:
        emails.settle(unnamed)
