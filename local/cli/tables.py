"""The output formats of checks and alerts: tables, charts, lines and JSON."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict

from rich.table import Table
from rich.text import Text

from inventory.alert_text import count_text, covers, first_count, one_line, seen_range
from inventory.check import Check
from inventory.links import NO_LINKS, Links
from local.cli.terminal import quoted
from local.stack.subscription import Alert

STATUS_STYLES = {"match": "green", "mismatch": "red", "waiting": "yellow", "rejected": "magenta"}
SEVERITY_STYLES = {"high": "bold red", "medium": "yellow", "low": "dim"}
BAR_WIDTH = 40
UNKNOWN = "-"
COLUMNS_FOR_TIME = 80


def checks_table(checks: Iterable[Check], *, timed: bool = True) -> Table:
    """A table of checks: bin, expected, predicted, suspicion and status, and with `timed` the time."""
    table = Table(header_style="bold")
    table.add_column("bin", overflow="fold")
    for heading in ("expected", "predicted", "suspicion"):
        table.add_column(heading, justify="right", min_width=len(heading))
    table.add_column("status")
    if timed:
        table.add_column("checked at", style="dim", no_wrap=True)
    for check in checks:
        table.add_row(
            quoted(check.bin),
            _number(check.expected),
            seen_range(check),
            UNKNOWN if check.suspicion is None else f"{check.suspicion:.0%}",
            quoted(_status(check), STATUS_STYLES[check.status]),
            *([check.checked_at[:16].replace("T", " ")] if timed else []),
        )
    return table


def has_room_for_time(columns: int) -> bool:
    """Whether a table of checks of this width has room for their times, too."""
    return columns >= COLUMNS_FOR_TIME


def check_facts(check: Check, links: Links) -> Iterator[tuple[str, object]]:
    """The facts of a check that no table has: the files it read, its id, its model, its times and its review."""
    facts = {
        "check": check.check_id,
        "image": check.image,
        "metadata": check.metadata,
        "model": check.model,
        "compared with": check.compared_with,
        "alerted at": check.alerted_at,
        "review": f"{check.actual} found, {check.reviewed_at}" if check.reviewed_at else None,
        "link": links.link(check),
    }
    return ((name, value) for name, value in facts.items() if value is not None)


def probabilities_chart(check: Check) -> Table:
    """A bar for the probability of each count. The recorded count is marked."""
    table = Table.grid(padding=(0, 1))
    shares = check.probabilities or {}
    for label in sorted(shares, key=first_count):
        share, recorded = shares[label], " ← recorded" if covers(label, check.expected) else ""
        bar = "█" * round(share * BAR_WIDTH)
        table.add_row(quoted(label, justify="right"), bar, f"{share:.0%}{recorded}")
    return table


def volume_comparison(check: Check) -> str | None:
    """The predicted volume beside the recorded one, which suspicion uses too; None if either is unknown."""
    seen, recorded = check.predicted_volume_in3, check.expected_volume_in3
    if seen is None or recorded is None:
        return None
    return f"volume: {seen:,.0f} in³ in the image, {recorded:,.0f} in³ recorded"


def link_lines(checks: Iterable[Check], links: Links) -> Iterator[Text]:
    """The name and the link of each check that has a link, one line each."""
    for check in checks:
        if link := links.link(check):
            yield quoted(f"{one_line(check.bin)}  {link}", "dim")


def check_as_dict(check: Check, links: Links = NO_LINKS) -> dict[str, object]:
    """The JSON fields of a check: those of an alert, and those of a check besides. docs/alert.schema.json describes
    them. A check is not an alert, so `alert_id` and `revision` are None.
    """
    kind = check.open_list if check.status == "waiting" else check.status
    own = {"check_id": check.check_id, "kind": kind, "alert_id": None, "revision": None, "link": links.link(check)}
    return {**asdict(check), **own}


def alert_line(alert: Alert) -> Text:
    """An alert in one line."""
    text = f"{alert['checked_at'][:19]}  {one_line(alert['bin'])}  "
    seen = count_text(alert.get("predicted"), alert.get("probabilities"), alert.get("interval"))
    if alert["kind"] == "mismatch":
        direction = "missing" if alert["difference"] < 0 else "extra"
        text += (
            f"recorded {alert['expected']}, seen {seen}: {abs(alert['difference'])} {direction}, "
            f"suspicion {alert['suspicion']:.0%} ({alert['severity']})"
        )
    elif alert["kind"] == "resolved":
        text += f"in order again: recorded {alert['expected']}, seen {seen}"
    elif alert["kind"] == "rejected":
        text += f"rejected: {one_line(alert['reason'])}"
    else:
        text += f"{'metadata' if alert['image'] else 'image'} never came"
    return quoted(text, SEVERITY_STYLES.get(alert["severity"] or "", ""))


def _number(count: int | None) -> str:
    return UNKNOWN if count is None else str(count)


def _status(check: Check) -> str:
    status: str = check.status
    if check.status == "mismatch":
        status = f"mismatch: {abs(check.difference or 0)} {check.direction} ({check.severity})"
    if check.repeats:
        status += ", as alerted before"
    return f"{status}, {check.actual} found" if check.reviewed_at else status
