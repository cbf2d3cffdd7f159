"""Woken by a schedule; tells people once of every upload whose partner has not come for `WAIT_MINUTES`."""

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import ClientError

from inventory import clients, settings
from inventory.alerts import Alerts
from inventory.checks import ChecksTable
from inventory.errors import RetryLater
from inventory.observability import logger, metrics, tracer

LOOKBACK = timedelta(days=14)
"""How old an upload may be and still be told of: as long as a queue keeps messages."""
TIME_FOR_ONE_MS = 5_000

config = settings.from_environment()
table = ChecksTable(clients.checks_table(config.checks_table))
alerts = Alerts(clients.sns(), config.mismatch_topic_arn)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001
    now = datetime.now(UTC)
    alerted = failed = 0
    for check in table.open_since("waiting", now - LOOKBACK, now - config.patience):
        if context.get_remaining_time_in_millis() < TIME_FOR_ONE_MS:
            logger.warning("out of time; the next run tells of the rest")
            break
        try:
            alerts.publish(check)
            table.mark_alerted(check, now)
        except ClientError:
            logger.exception("not alerted; the next run tries again", bin=check.bin, check_id=check.check_id)
            failed += 1
            continue
        logger.info("unpaired", bin=check.bin, check_id=check.check_id, waiting_since=check.checked_at)
        alerted += 1
    metrics.add_metric("Unpaired", MetricUnit.Count, alerted)
    if failed:
        raise RetryLater(f"{failed} uploads without a partner could not be told of")
    return {"alerted": alerted}
