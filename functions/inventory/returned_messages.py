"""Reports a message that returns to its queue: a metric, a log line for each fault, and a stored reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit

from inventory.errors import RetryLater
from inventory.failures import Failures
from inventory.observability import logger, metrics
from inventory.uploads import UnreadableEvent


@dataclass(frozen=True)
class Fault:
    """What failed in a message: the exception, and the key of the upload if the message told it."""

    exception: Exception
    key: str | None = None

    @property
    def reason(self) -> str:
        told = isinstance(self.exception, RetryLater | UnreadableEvent)
        return str(self.exception) if told else f"{type(self.exception).__name__}: {self.exception}"


def report_returned(failures: Failures, message: Mapping[str, Any], faults: Sequence[Fault]) -> None:
    """Count a returned message of SQS, log each of its faults, and store their reasons."""
    message_id = message["messageId"]
    metrics.add_metric("Returned", MetricUnit.Count, 1)
    for fault in faults:
        fields = {"message_id": message_id, "reason": fault.reason, "key": fault.key}
        if isinstance(fault.exception, RetryLater):
            logger.warning("message goes back to the queue", **fields)
        else:
            logger.error("message goes back to the queue", exc_info=fault.exception, **fields)
    try:
        attempts = int(message["attributes"].get("ApproximateReceiveCount") or 1)
        reasons = dict.fromkeys(fault.reason for fault in faults)
        failures.put(message["body"], "; ".join(reasons), attempts, datetime.now(UTC))
    except Exception:  # the message must return all the same
        logger.warning("the reason was not stored", message_id=message_id, exc_info=True)
