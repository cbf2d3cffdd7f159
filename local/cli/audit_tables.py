"""The audit as commands print it."""

from collections.abc import Mapping

from rich.table import Table

from inventory.reports.audit import OTHER, Audit
from inventory.reports.intervals import Interval


def audit_table(audit: Audit) -> Table:
    """What the audit says of all checks, with 95% intervals."""
    table = Table(title="The audit: a random sample of all checks", title_justify="left", header_style="bold")
    table.add_column("figure")
    table.add_column("estimate", justify="right")
    table.add_column("95% interval")
    table.add_row("reviewed", f"{audit.reviewed:,}", "")
    table.add_row("wrong records", *_percent(audit.wrong))
    if audit.naive_wrong is not None:
        table.add_row("  among reviewed alerts alone", f"{audit.naive_wrong:.1%}", "no estimate of all", style="dim")
    table.add_row("model right", *_percent(audit.accuracy))
    if audit.bias:
        table.add_row("model counts too many by", *(_signed(audit.bias)))
    for band in audit.reliability:
        table.add_row(f"wrong where suspicion is {band.suspicion:.0%}", *_percent(band.wrong))
    return table


def slips_table(slips: Mapping[int, Interval]) -> Table:
    """Which slips are made, as shares of all wrong records."""
    table = Table(title="Wrong records by slip", title_justify="left", header_style="bold")
    table.add_column("true minus recorded")
    table.add_column("share", justify="right")
    table.add_column("95% interval")
    for slip, share in slips.items():
        table.add_row("another bin" if slip == OTHER else f"{slip:+d}", *_percent(share))
    return table


def _percent(interval: Interval) -> tuple[str, str]:
    return f"{interval.estimate:.1%}", f"{interval.low:.1%} to {interval.high:.1%}"


def _signed(interval: Interval) -> tuple[str, str]:
    return f"{interval.estimate:+.2f}", f"{interval.low:+.2f} to {interval.high:+.2f}"
