"""Woken once a day; tallies the checks of the day before by site, and measures which sites answer unlike before.

Its metrics `DriftedSites` and `DisagreeingSites` raise alarms; `bincheck report` shows what it kept. `{"day":
"2026-11-21"}` tallies that day anew.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from inventory import clients, settings
from inventory.checks import ChecksTable
from inventory.drift import REFERENCE, compare
from inventory.observability import logger, metrics, tracer
from inventory.tallies import Tallies, answer_of, tally

config = settings.from_environment()
table = clients.checks_table(config.checks_table)
checks, tallies = ChecksTable(table), Tallies(table)


@logger.inject_lambda_context
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    day = date.fromisoformat(event["day"]) if "day" in event else yesterday
    made = tally(map(answer_of, checks.of_day(day)))
    for each in made:
        tallies.keep(each)
    comparisons = compare(made, tallies.between(day - REFERENCE, day - timedelta(days=1)))
    for comparison in comparisons:
        site = comparison.tally.site
        logger.info("tallied", site=site, day=str(day), answers=comparison.tally.answers, drift=comparison.drift)
        for finding in comparison.findings:
            logger.warning("unlike before", site=site, day=str(day), finding=finding)
    metrics.add_metric("DriftedSites", MetricUnit.Count, sum(one.drifted for one in comparisons))
    metrics.add_metric("DisagreeingSites", MetricUnit.Count, sum(one.disagrees for one in comparisons))
    findings = [finding for comparison in comparisons for finding in comparison.findings]
    return {"day": str(day), "sites": len(made), "findings": findings}
