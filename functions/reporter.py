"""Tallies the checks of the previous day by site, and compares them with the weeks before. A schedule invokes it daily.

The metrics `DriftedSites` and `DisagreeingSites` raise alarms. `bincheck report` shows the stored tallies. If the
template enables the daily digest, a separate topic gets each site's day. The event `{"day": "2026-11-21"}` tallies that
day again and sends no digest.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from inventory import clients
from inventory.check_store import CheckStore
from inventory.errors import RetryLater
from inventory.links import Links
from inventory.observability import logger, metrics
from inventory.reports.digests import Digests, most_suspicious
from inventory.reports.drift import REFERENCE, compare
from inventory.reports.tallies import Tally, answer_of, tally
from inventory.reports.tally_store import TallyStore
from inventory.settings import ReporterSettings

config = ReporterSettings.from_environment()
table = clients.checks_table(config.checks_table)
checks, tallies = CheckStore(table), TallyStore(table)
links = Links(config.review_url, config.console_region)
digests = Digests(clients.sns(), config.digest_topic_arn, links) if config.digest_topic_arn else None


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    day = date.fromisoformat(event["day"]) if "day" in event else yesterday
    made = tally(map(answer_of, checks.list_by_day(day)))
    for each in made:
        tallies.put(each)
    comparisons = compare(made, tallies.between(day - REFERENCE, day - timedelta(days=1)))
    for comparison in comparisons:
        site = comparison.tally.site
        logger.info("tallied", site=site, day=str(day), answers=comparison.tally.answers, drift=comparison.drift)
        for finding in comparison.findings:
            logger.warning("unlike before", site=site, day=str(day), finding=finding)
    metrics.add_metric("DriftedSites", MetricUnit.Count, sum(one.drifted for one in comparisons))
    metrics.add_metric("DisagreeingSites", MetricUnit.Count, sum(one.disagrees for one in comparisons))
    if digests and "day" not in event:
        publish_digests(digests, day, made)
    findings = [finding for comparison in comparisons for finding in comparison.findings]
    return {"day": str(day), "sites": len(made), "findings": findings}


def publish_digests(digests: Digests, day: date, made: list[Tally]) -> None:
    """Send the digest of each site.

    Raises:
        RetryLater: some digests could not be sent. Lambda runs the function again, which sends every digest again.
    """
    start = datetime.combine(day, time(), UTC)
    worst = most_suspicious(checks.list_open("mismatch", start, start + timedelta(days=1, milliseconds=-1)))
    failed = 0
    for each in made:
        try:
            digests.publish(each, worst.get(each.site, []))
        except (BotoCoreError, ClientError):
            logger.exception("digest not sent", site=each.site, day=each.day)
            failed += 1
    if failed:
        raise RetryLater(f"{failed} digests of {day} could not be sent")
