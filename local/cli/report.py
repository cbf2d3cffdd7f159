"""`bincheck report`: shows the figures of each day and site, and their drift."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

import typer
from rich.table import Table

from inventory.reports.audit import OTHER, ReviewedCheck, audit, review_weights, slip_shares, suggested_parameters
from inventory.reports.drift import REFERENCE, Comparison, compare
from inventory.reports.findings import reviewed_checks
from inventory.reports.tallies import Tally
from local.cli.audit_tables import audit_table, slips_table
from local.cli.exits import fail
from local.cli.stack_option import StackName, resolve_stack
from local.cli.terminal import out, print_json, quoted
from local.stack.aws import Cloud
from local.stack.captured import captured_answers
from local.stack.deployed_stack import Stack
from local.stack.tallied import checks_by_band, spanned, tallied, tallies

UNKNOWN = "-"
ENOUGH_REVIEWS = 100


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
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Print the audit, and the parameters of the stack that it suggests.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per day and site.")] = False,
) -> None:
    """Show the mismatch rate, the confidence and the drift of each site and day.

    Drift is the population stability index of the predicted counts, compared with the four weeks before. Above 0.1 it
    is moderate. Above 0.25 a person must inspect the site. It is not shown for fewer than 260 answers on either side.

    The audit is a random sample of checks. Its reviews measure how many records are wrong and how good the model is.

    [dim]$[/] bincheck report
    [dim]$[/] bincheck report --days 90 --suggest
    [dim]$[/] bincheck report --stack bincheck --days 30 --json
    [dim]$[/] bincheck report --captured s3://my-bucket/captured/bincheck-counter/AllTraffic
    """
    today = datetime.now(UTC).date()
    first = today - timedelta(days=days - 1)
    if suggest:
        if captured:
            raise typer.BadParameter("--suggest needs the reviews of a stack, which --captured does not have")
        _suggest(resolve_stack(stack), first, as_json=as_json)
        return
    read = _captured(captured, first, today) if captured else tallies(resolve_stack(stack), first, today)
    known = list(read)
    comparisons = compare([each for each in known if each.day >= first.isoformat()], known)
    if as_json:
        for each in comparisons:
            print_json(_values(each))
    elif comparisons:
        out.show(_table(comparisons))
        for finding in (finding for each in comparisons for finding in each.findings):
            out.say("{finding}", style="red", finding=finding)
    else:
        out.say("No answers since {first}.", first=first)
    if not captured and not as_json and (found := audit(_reviewed(resolve_stack(stack), first))):
        out.show(audit_table(found))


def _reviewed(stack: Stack, first: date) -> list[ReviewedCheck]:
    return reviewed_checks(stack.checks, datetime.combine(first, time(), UTC), datetime.now(UTC))


def _suggest(stack: Stack, first: date, *, as_json: bool) -> None:
    """Print the audit, the slips, and what MismatchRate and Slips they suggest."""
    reviewed = _reviewed(stack, first)
    weights = review_weights(reviewed, checks_by_band(stack, first))
    found, parameters = audit(reviewed), suggested_parameters(reviewed, weights)
    if found is None or parameters is None:
        fail("No check of the audit has been reviewed since {first}: answer some with `bincheck review`.", first=first)
    shares = slip_shares(reviewed, weights)
    if as_json:
        named = {str(slip) if slip != OTHER else "other": asdict(share) for slip, share in shares.items()}
        print_json({"audit": asdict(found), "slips": named, "parameters": parameters})
        return
    out.show(audit_table(found), slips_table(shares))
    if found.reviewed < ENOUGH_REVIEWS:
        out.say(
            "Only {reviewed} reviews: the intervals are wide. {enough} or more are better.",
            reviewed=found.reviewed,
            enough=ENOUGH_REVIEWS,
        )
    overrides = " ".join(f"{name}={value}" for name, value in parameters.items())
    out.say("sam deploy --parameter-overrides {overrides}", overrides=overrides)


def _captured(uri: str, first: date, last: date) -> Iterator[Tally]:
    s3 = Cloud.aws().s3()
    yield from tallied(spanned(first - REFERENCE, last), lambda day: captured_answers(s3, uri, day))


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
            quoted(seen.site or UNKNOWN),
            f"{seen.answers:,}",
            f"{seen.rejected:,}",
            quoted(_percent(seen.mismatch_rate), "red" if one.disagrees else ""),
            _percent(seen.mean_suspicion),
            _percent(seen.mean_confidence),
            quoted(UNKNOWN if one.drift is None else f"{one.drift:.2f}", "red" if one.drifted else ""),
            ", ".join(f"{label}: {count / seen.counted:.0%}" for label, count in sorted(seen.labels.items())),
        )
    return table


def _percent(share: float | None) -> str:
    return UNKNOWN if share is None else f"{share:.1%}"
