"""`bincheck report`: shows the figures of each day and site, and their drift."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from inventory.reports.drift import REFERENCE, Comparison, compare
from inventory.reports.tallies import Answer, Tally, answer_of, tally
from local.cli.stack_option import StackName, resolve_stack
from local.stack.aws import Cloud
from local.stack.captured import captured_answers

UNKNOWN = "-"
console = Console()


def report(
    stack: StackName = None,
    days: Annotated[int, typer.Option(min=1, max=365, help="The number of days, including today (UTC).")] = 7,
    captured: Annotated[
        str | None,
        typer.Option(
            metavar="S3_URI",
            help="Use an endpoint's captured data: s3://<bucket>/[<prefix>/]<endpoint>/<variant>.",
            rich_help_panel="Where",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per day and site.")] = False,
) -> None:
    """Show the mismatch rate, the confidence and the drift of each site and day.

    Drift is the population stability index of the predicted counts, compared with the four weeks before. Above 0.1 it
    is moderate. Above 0.25 a person must inspect the site. It is not shown for fewer than 200 answers on either side.

    [dim]$[/] bincheck report
    [dim]$[/] bincheck report --stack bincheck --days 30 --json
    [dim]$[/] bincheck report --captured s3://my-bucket/captured/bincheck-counter/AllTraffic
    """
    today = datetime.now(UTC).date()
    first = today - timedelta(days=days - 1)
    tallies = list(_captured(captured, first, today) if captured else _checked(stack, first, today))
    comparisons = compare([each for each in tallies if each.day >= first.isoformat()], tallies)
    if as_json:
        for each in comparisons:
            typer.echo(json.dumps(_values(each)))
    elif comparisons:
        console.print(_table(comparisons))
        for finding in (finding for each in comparisons for finding in each.findings):
            console.print(Text(finding, "red"))
    else:
        console.print(f"No answers since {first}.", highlight=False)


def _checked(stack: str | None, first: date, last: date) -> Iterator[Tally]:
    """The stored tallies, and computed ones for days that the Reporter has not processed."""
    deployed = resolve_stack(stack)
    stored = deployed.tallies.between(first - REFERENCE, last - timedelta(days=1))
    yield from stored
    known = {each.day for each in stored}
    missing = (day for day in _days(first, last) if day.isoformat() not in known)
    yield from _tallied(missing, lambda day: map(answer_of, deployed.checks.list_by_day(day)))


def _captured(uri: str, first: date, last: date) -> Iterator[Tally]:
    s3 = Cloud.aws().s3()
    yield from _tallied(_days(first - REFERENCE, last), lambda day: captured_answers(s3, uri, day))


def _tallied(days: Iterator[date], answers_of: Callable[[date], Iterable[Answer]]) -> Iterator[Tally]:
    for day in days:
        yield from tally(answers_of(day))


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _values(one: Comparison) -> dict[str, object]:
    derived = ("mismatch_rate", "mean_confidence", "mean_suspicion")
    return {
        **asdict(one.tally),
        **{name: getattr(one.tally, name) for name in derived},
        "reference": {"answers": one.reference.answers, **{name: getattr(one.reference, name) for name in derived}},
        "drift": one.drift,
        "excess": one.excess,
        "findings": one.findings,
    }


def _table(comparisons: list[Comparison]) -> Table:
    table = Table(header_style="bold")
    table.add_column("day", no_wrap=True)
    table.add_column("site", overflow="fold")
    for heading in ("answers", "rejected", "mismatches", "suspicion", "confidence", "drift"):
        table.add_column(heading, justify="right")
    table.add_column("counts seen")
    for one in comparisons:
        seen = one.tally
        table.add_row(
            seen.day,
            Text(seen.site or UNKNOWN),
            f"{seen.answers:,}",
            f"{seen.rejected:,}",
            Text(_percent(seen.mismatch_rate), "red" if one.disagrees else ""),
            _percent(seen.mean_suspicion),
            _percent(seen.mean_confidence),
            Text(UNKNOWN if one.drift is None else f"{one.drift:.2f}", "red" if one.drifted else ""),
            ", ".join(f"{label}: {count / seen.counted:.0%}" for label, count in sorted(seen.labels.items())),
        )
    return table


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.1%}"
