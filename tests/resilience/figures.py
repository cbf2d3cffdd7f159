"""The figures of a soak: a table for the terminal, a plot of how it went, and JSON."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from html import escape

from rich.table import Table

from tests.resilience.judge import Broken
from tests.resilience.soak import Moment, Outcome

WIDTH, HEIGHT, MARGIN, LEGEND = 900, 420, 60, 130
LINES: Sequence[tuple[str, str, Callable[[Moment], int]]] = (
    ("uploads", "#4477aa", lambda moment: moment.uploads),
    ("records", "#228833", lambda moment: moment.records),
    ("alerts", "#ccbb44", lambda moment: moment.alerts),
    ("faults", "#ee6677", lambda moment: moment.faults),
    ("in the queue", "#aa3377", lambda moment: moment.waiting),
)


def table(outcome: Outcome) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for title, figures in figures_of(outcome).items():
        if isinstance(figures, dict):
            table.add_section()
            table.add_row(f"[bold]{title}[/]", "")
            for name, figure in figures.items():
                broken = title == "promises broken" and figure
                table.add_row(f"  {name}", f"[red]{figure:,}[/]" if broken else f"{figure:,}")
        else:
            table.add_row(title, f"{figures:,}")
    return table


def figures_of(outcome: Outcome) -> dict[str, int | float | dict[str, int]]:
    """All figures, as they go into the table and into JSON."""
    counted = Counter(violation.broken for violation in outcome.violations)
    return {
        "uploads": outcome.uploads,
        "bins": outcome.bins,
        "records": sum(count for status, count in outcome.statuses.items() if status != "waiting"),
        "alerts": outcome.alerts,
        "alerts sent and not confirmed": outcome.unconfirmed,
        "alerts heard again": outcome.heard_again,
        "dead letters": outcome.dead_letters,
        "calls": outcome.calls.total(),
        "most calls of the endpoint at once": outcome.most_counts_at_once,
        "seconds to drop": round(outcome.dropped_s),
        "seconds in all": round(outcome.wall_s),
        "status": dict(sorted(outcome.statuses.items())),
        "faults": {fault.value: outcome.faults[fault] for fault in sorted(outcome.faults)},
        "promises broken": {broken.value: counted[broken] for broken in Broken},
    }


def as_json(outcome: Outcome) -> str:
    return json.dumps(figures_of(outcome), indent=1)


def plot(outcome: Outcome) -> str:
    """An SVG of uploads, records, alerts, faults and the queue over the time of the soak."""
    last_s = max(moment.at_s for moment in outcome.moments)
    most = max(value(moment) for moment in outcome.moments for _, _, value in LINES)

    def x(at_s: float) -> float:
        return MARGIN + (WIDTH - MARGIN - LEGEND) * at_s / last_s

    def y(count: float) -> float:
        return HEIGHT - MARGIN + (2 * MARGIN - HEIGHT) * count / most

    drawn = [f'<text x="{MARGIN}" y="30" font-size="16">{escape(_title(outcome))}</text>']
    for part in range(5):
        at_s, count = last_s * part / 4, most * part / 4
        drawn.append(f'<text x="{x(at_s):.0f}" y="{HEIGHT - 35}" text-anchor="middle">{at_s / 60:.1f} min</text>')
        drawn.append(f'<text x="{MARGIN - 6}" y="{y(count) + 4:.0f}" text-anchor="end">{count:,.0f}</text>')
        drawn.append(f'<path d="M{x(0):.0f} {y(count):.1f}H{x(last_s):.0f}" stroke="#ddd"/>')
    for number, (name, colour, value) in enumerate(LINES):
        points = " ".join(f"{x(moment.at_s):.1f},{y(value(moment)):.1f}" for moment in outcome.moments)
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn.append(f'<text x="{WIDTH - LEGEND + 10}" y="{MARGIN + 20 * number}" fill="{colour}">{name}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(drawn)}</svg>\n'
    )


def _title(outcome: Outcome) -> str:
    broken = len(outcome.violations)
    return f"{outcome.uploads:,} uploads, {outcome.faults.total():,} faults, {broken or 'no'} broken promises"
