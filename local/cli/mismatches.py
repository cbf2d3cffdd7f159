"""`bincheck mismatches`: lists the bins whose image and record disagree, and the other open lists."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from inventory.check import Check, OpenList
from local.cli.filter_options import (
    DirectionOption,
    SeverityOption,
    SiteOption,
)
from local.cli.since_option import Since
from local.cli.stack_option import StackName, resolve_stack
from local.cli.tables import check_as_dict, checks_table, has_room_for_time, link_lines
from local.cli.terminal import out, print_csv, print_json

CSV_COLUMNS = (
    "bin", "status", "expected", "predicted", "difference", "suspicion", "severity",
    "checked_at", "alerted_at", "image", "metadata", "model", "reason", "check_id", "actual", "reviewed_at",
    "link",
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """The checks to list: those with one of the named values of each option, and at least the suspicion.

    An option without values selects every check.
    """

    severity: Sequence[str] | None = None
    direction: Sequence[str] | None = None
    site: Sequence[str] | None = None
    least_suspicion: float | None = None

    def covers(self, check: Check) -> bool:
        named = ((self.severity, check.severity), (self.direction, check.direction), (self.site, check.site))
        if any(values and value not in values for values, value in named):
            return False
        return self.least_suspicion is None or (check.suspicion or 0) >= self.least_suspicion

    def most_suspicious(self, checks: Iterable[Check], limit: int | None) -> list[Check]:
        """The selected checks, the most suspicious first; at most `limit` of them, which limits the memory, too."""
        selected = (check for check in checks if self.covers(check))
        if limit is None:
            return sorted(selected, key=_rank)
        return heapq.nsmallest(limit, selected, key=_rank)


def mismatches(
    stack: StackName = None,
    since: Since = "7d",  # type: ignore[assignment]
    kind: Annotated[OpenList, typer.Option(help="The list.")] = "mismatch",
    severity: SeverityOption = None,
    direction: DirectionOption = None,
    site: SiteOption = None,
    least_suspicion: Annotated[float | None, typer.Option(min=0, max=1, help="The lowest suspicion.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The largest number of checks.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="A table for a spreadsheet.")] = False,
) -> None:
    """List the bins whose image disagrees with the record, the most suspicious first.

    A bin is listed until a newer image or record of it is checked, or a person reviews it ([bold]bincheck resolve[/]).
    The other kinds are [bold]rejected[/] (could not be checked), [bold]unpaired[/] (alerted because its partner is
    missing), [bold]waiting[/] (not alerted yet) and [bold]reviewed[/] (reviewed by a person).

    In [bold]--csv[/] an apostrophe keeps text from being a formula; [bold]--json[/] has all text as it is.

    [dim]$[/] bincheck mismatches
    [dim]$[/] bincheck mismatches --since 12h --csv > mismatches.csv
    [dim]$[/] bincheck mismatches --severity high --site BOS1 --least-suspicion 0.8 --limit 20
    [dim]$[/] bincheck mismatches --stack bincheck --json | jq 'select(.severity == "high")'
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv: choose one")
    deployed = resolve_stack(stack)
    found = deployed.checks.list_open(kind, since, datetime.now(UTC))
    checks = Selection(severity, direction, site, least_suspicion).most_suspicious(found, limit)
    rows = (check_as_dict(check, deployed.links) for check in checks)
    if as_json:
        for row in rows:
            print_json(row)
    elif as_csv:
        print_csv(rows, CSV_COLUMNS)
    elif checks:
        out.show(checks_table(checks, timed=has_room_for_time(out.width)), *link_lines(checks, deployed.links))
    else:
        out.say("No {kind} since {since:%Y-%m-%d %H:%M}.", kind=kind, since=since)


def _rank(check: Check) -> tuple[float, str, str]:
    return -(check.suspicion or 0), check.checked_at, check.check_id
