"""Tallies the checks of the previous day by site, and compares them with the weeks before. A schedule invokes it daily.

The metrics `DriftedSites` and `DisagreeingSites` raise alarms. `bincheck report` shows the stored tallies. If the
template enables the daily digest, a separate topic gets each site's day once. The event `{"day": "2026-11-21"}` tallies
that day again and sends no digest.
"""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from inventory import clients
from inventory.check_store import CheckStore
from inventory.links import Links
from inventory.observability import logger, metrics
from inventory.reports.digests import Digests, most_suspicious
from inventory.reports.drift import REFERENCE, compare
from inventory.reports.tallies import Tally, answer_of, tally
from inventory.reports.tally_store import TallyStore
from inventory.settings import ReporterSettings
from inventory.steps import IndependentSteps

DEDUPLICATION_WINDOW_S = 2 * 24 * 3600
"""Longer than Lambda keeps an invocation to try it again: six hours."""
LEASE_MS = 30_000
"""How long a digest that is being sent is locked: longer than two attempts at a topic that does not answer (see
`clients`), and shorter than the minute after which Lambda tries again."""

config = ReporterSettings.from_environment()
table = clients.checks_table(config.checks_table)
checks, tallies = CheckStore(table), TallyStore(table)
links = Links(config.review_url, config.console_region)
digests = Digests(clients.sns(), config.digest_topic_arn, links) if config.digest_topic_arn else None
sent_digests = DynamoDBPersistenceLayer(config.sent_alerts_table, boto3_client=clients.dynamodb())


class Lease(LambdaContext):
    """Tells Powertools LEASE_MS instead of the 15 minutes that the function may run."""

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return LEASE_MS


once = IdempotencyConfig(expires_after_seconds=DEDUPLICATION_WINDOW_S, lambda_context=Lease())


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:  # noqa: ARG001
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    day = date.fromisoformat(event["day"]) if "day" in event else yesterday
    steps = IndependentSteps()
    made = tally(map(answer_of, checks.list_by_day(day)))
    for each in made:
        with steps.step("tally not stored", site=each.site, day=each.day):
            tallies.put(each)
    findings: list[str] = []
    with steps.step("not compared with the weeks before", day=str(day)):
        findings = report_findings(day, made)
    metrics.flush_metrics()  # the digests of many sites may use up the time while their topic does not answer
    if digests and "day" not in event:
        with steps.step("digests not sent", day=str(day)):
            publish_digests(digests, day, made, steps)
    steps.raise_failed(f"steps of the report of {day} failed")
    return {"day": str(day), "sites": len(made), "findings": findings}


def report_findings(day: date, made: list[Tally]) -> list[str]:
    """Compare each site with its weeks before. Returns the findings, which the metrics and the log have too."""
    comparisons = compare(made, tallies.between(day - REFERENCE, day - timedelta(days=1)))
    metrics.add_metric("DriftedSites", MetricUnit.Count, sum(one.drifted for one in comparisons))
    metrics.add_metric("DisagreeingSites", MetricUnit.Count, sum(one.disagrees for one in comparisons))
    for comparison in comparisons:
        site = comparison.tally.site
        logger.info("tallied", site=site, day=str(day), answers=comparison.tally.answers, drift=comparison.drift)
        for finding in comparison.findings:
            logger.warning("unlike before", site=site, day=str(day), finding=finding)
    return [finding for comparison in comparisons for finding in comparison.findings]


def publish_digests(digests: Digests, day: date, made: list[Tally], steps: IndependentSteps) -> None:
    """Send the digest of each site. When Lambda runs the function again, it sends only those that were not sent."""
    start = datetime.combine(day, time(), UTC)
    worst = most_suspicious(checks.list_open("mismatch", start, start + timedelta(days=1, milliseconds=-1)))

    @idempotent_function(  # type: ignore[untyped-decorator]
        data_keyword_argument="day_and_site", persistence_store=sent_digests, config=once, key_prefix="digest"
    )
    def send(day_and_site: str, tally: Tally) -> None:
        digests.publish(tally, worst.get(tally.site, []))
        logger.info("digest sent", digest=day_and_site)

    for each in made:
        with steps.step("digest not sent", site=each.site, day=each.day):
            send(day_and_site=f"{each.day}#{each.site}", tally=each)
