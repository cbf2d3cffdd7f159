"""Reports a message that returns to its queue: a metric, a log line and a stored reason."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from inventory.errors import RetryLater
from inventory.failures import Failures
from inventory.observability import logger, metrics
from inventory.uploads import UnreadableEvent


def report_returned(failures: Failures, message: Mapping[str, Any], fault: Exception, keys: Sequence[str] = ()) -> None:
    """Count and log a returned message of SQS, and store the reason. Call it where the exception is handled."""
    message_id = message["messageId"]
    metrics.add_metric("Returned", MetricUnit.Count, 1)
    if isinstance(fault, RetryLater):
        reason = str(fault)
        logger.warning("message goes back to the queue", message_id=message_id, reason=reason, keys=keys)
    else:
        reason = str(fault) if isinstance(fault, UnreadableEvent) else f"{type(fault).__name__}: {fault}"
        logger.exception("message goes back to the queue", message_id=message_id, keys=keys)
    try:
        attempts = int(message["attributes"].get("ApproximateReceiveCount") or 1)
        failures.put(message["body"], reason, attempts, datetime.now(UTC))
    except Exception:  # the caller must see the original fault, not this one
        logger.warning("the reason was not stored", message_id=message_id, exc_info=True)
