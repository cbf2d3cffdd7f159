"""Alerts once for every upload whose partner is missing for `WAIT_MINUTES`. A schedule invokes it.

It also sends the digest of the rejected and unpaired uploads that no email has named within the hour.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from inventory import clients
from inventory.alert_text import digest_subject, digest_text
from inventory.check import Check
from inventory.check_store import CheckStore
from inventory.hourly_emails import HourlyEmails
from inventory.observability import logger, metrics
from inventory.settings import WatchdogSettings
from inventory.steps import IndependentSteps
from inventory.workflow import alert_overdue

LOOKBACK = timedelta(days=14)
"""The maximum age of an upload that is still alerted: the longest retention of a queue."""
MIN_REMAINING_TIME_MS = 5_000

config = WatchdogSettings.from_environment()
store = CheckStore(clients.checks_table(config.checks_table))
s3 = clients.s3()
sns = clients.sns()
emails = HourlyEmails(clients.dynamodb(), config.sent_alerts_table)


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:  # noqa: ARG001
    now = datetime.now(UTC)
    steps = IndependentSteps()
    alerted = 0
    with steps.step("digest not sent; a later run sends it"):
        send_digest(now)
    with steps.step("what waits was not listed to its end; the next run lists it again"):
        for waiting in store.list_open("waiting", now - LOOKBACK, now - config.pairing_timeout):
            if context.get_remaining_time_in_millis() < MIN_REMAINING_TIME_MS:
                logger.warning("out of time; the next run alerts of the rest")
                break
            with steps.step("not alerted; the next run tries again", bin=waiting.bin, check_id=waiting.check_id):
                alerted += alert(waiting, now)
    metrics.add_metric("Unpaired", MetricUnit.Count, alerted)
    steps.raise_failed("uploads without a partner, or their list, or the digest, could not be alerted")
    return {"alerted": alerted}


def alert(waiting: Check, now: datetime) -> bool:
    """Alert of an upload without a partner. Returns whether an alert was due."""
    check = alert_overdue(s3, store, waiting, config.pairing_timeout, now)
    if check is None:
        return False
    logger.info("unpaired", bin=check.bin, check_id=check.check_id, waiting_since=check.checked_at)
    return True


def send_digest(now: datetime) -> None:
    """Send the numbers of what no email has named to the operations topic, which AlertEmail is subscribed to.

    They are subtracted after the publishing. So a failure repeats the digest, and loses no number.
    """
    unnamed = emails.claim_digest(int(now.timestamp()))
    if unnamed is None:
        return
    sns.publish(
        TopicArn=config.operations_topic_arn,
        Subject=digest_subject(unnamed),
        Message=digest_text(unnamed, config.review_url),
    )
    emails.settle_digest(unnamed, int(now.timestamp()))
    logger.info("digest sent", rejected=unnamed.rejected, unpaired=unnamed.unpaired)
