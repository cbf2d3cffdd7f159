"""Publishes the digest of a site's day: the figures of its checks, and the bins to inspect first."""

import heapq
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from inventory.alert_text import ascii_subject, one_line, percent, seen_range
from inventory.alerts import text_attribute
from inventory.check import Check
from inventory.links import NO_LINKS, Links
from inventory.reports.tallies import Tally

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

MAX_BINS = 10
"""The number of bins in a digest."""
CHECK_FIELDS = ("bin", "check_id", "expected", "predicted", "difference", "suspicion", "severity", "image")


def most_suspicious(checks: Iterable[Check]) -> dict[str, list[Check]]:
    """The MAX_BINS most suspicious checks of each site, the most suspicious first. Memory grows with sites only."""
    heaps: dict[str, list[tuple[float, str, Check]]] = {}
    for check in checks:
        heap = heaps.setdefault(check.site, [])
        entry = (check.suspicion or 0.0, check.check_id, check)
        if len(heap) < MAX_BINS:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    return {site: [check for *_, check in sorted(heap, key=_rank, reverse=True)] for site, heap in heaps.items()}


class Digests:
    """The topic that digests are published to. `links` makes the links to bins."""

    def __init__(self, sns: "SNSClient", topic_arn: str, links: Links = NO_LINKS) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._links = links

    def publish(self, tally: Tally, worst: list[Check]) -> None:
        """Send the digest of a site's day: JSON for programs, text for email, `site` to filter on."""
        email = text(tally, worst, self._links)
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=ascii_subject(f"bincheck: {tally.day}, {tally.site or 'bins without a site'}"),
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(body(tally, worst, self._links)), "email": email}),
            MessageAttributes={
                name: text_attribute(value) for name, value in (("kind", "digest"), ("site", tally.site)) if value
            },
        )


def body(tally: Tally, worst: list[Check], links: Links = NO_LINKS) -> dict[str, Any]:
    """The JSON body."""
    return {
        "kind": "digest",
        "site": tally.site,
        "day": tally.day,
        "answers": tally.answers,
        "rejected": tally.rejected,
        "compared": tally.compared,
        "mismatches": tally.mismatches,
        "most_suspicious": [
            {**{name: getattr(check, name) for name in CHECK_FIELDS}, "link": links.link(check)} for check in worst
        ],
    }


def text(tally: Tally, worst: list[Check], links: Links = NO_LINKS) -> str:
    """The text of the email."""
    rate = f" ({tally.mismatch_rate:.0%})" if tally.mismatch_rate is not None else ""
    site = one_line(tally.site) or "Bins without a site"
    summary = (
        f"{site} on {tally.day}: {tally.answers:,} checks, {tally.mismatches:,} "
        f"of {tally.compared:,} disagree with their records{rate}, {tally.rejected:,} could not be checked."
    )
    lines = [summary]
    if worst:
        lines += ["", "Look at these first:"]
    for check in worst:
        lines.append(
            f"{percent(check.suspicion or 0):>8}  {one_line(check.bin)}: recorded {check.expected}, "
            f"seen {seen_range(check)}"
        )
        if link := links.link(check):
            lines.append(f"          {link}")
    return "\n".join(lines)


def _rank(entry: tuple[float, str, Check]) -> tuple[float, str]:
    return entry[:2]
