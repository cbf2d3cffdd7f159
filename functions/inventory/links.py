"""Links to a check: its review page, or the AWS console's page of its image. Pure code."""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from inventory.addresses import S3Address
from inventory.check import Check

CONSOLE_DOMAINS = {"cn-": "amazonaws.cn", "us-gov-": "amazonaws-us-gov.com"}
"""The console's domains of the partitions aws-cn and aws-us-gov, by the start of their regions."""


@dataclass(frozen=True)
class Links:
    """The places that links lead to.

    `review_url` is the address of the review page, None without one. `console_region` is the region of the AWS console,
    None without a console.
    """

    review_url: str | None = None
    console_region: str | None = None

    def link(self, check: Check) -> str | None:
        """The link to a check, in printable ASCII; None if there is no page for it.

        A waiting upload has no review page.
        """
        if self.review_url and check.status != "waiting":
            query = urlencode({"bin": check.bin, "check": check.check}, quote_via=quote, errors="replace")
            return f"{self.review_url.rstrip('/')}/bin?{query}"
        address = check.image or check.metadata
        return _console_page(address, self.console_region) if address and self.console_region else None


NO_LINKS = Links()


def _console_page(address: str, region: str) -> str:
    place = S3Address.parse(address)
    domain = next((name for start, name in CONSOLE_DOMAINS.items() if region.startswith(start)), "aws.amazon.com")
    bucket = quote(place.bucket, safe="", errors="replace")
    query = urlencode({"region": region, "prefix": place.key}, quote_via=quote, errors="replace")
    return f"https://{region}.console.{domain}/s3/object/{bucket}?{query}"
