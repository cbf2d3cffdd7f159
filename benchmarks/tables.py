"""The tables of docs/performance.md, made of the JSON of the benchmarks."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

Report = Mapping[str, Any]
Rows = list[list[str]]


def serving(report: Report) -> Rows:
    ratios = report["bincheck_times_as_fast_as"]
    return [
        ["", "bincheck serves", "images/CPU second", "lowest to highest", "p50 ms", "p99 ms"],
        *(
            [
                way,
                f"**{ratios[way]:.2f}x** as many" if way in ratios else "",
                f"{row['images_per_cpu_second']:.1f}",
                f"{row['lowest']:.1f} to {row['highest']:.1f}",
                f"{row['p50_ms']:.0f}",
                f"{row['p99_ms']:.0f}",
            ]
            for way, row in sorted(report["ways"].items(), key=lambda way: way[0] not in ratios)
        ),
    ]


def decoding(report: Report) -> Rows:
    rows = [[way, f"**{report['ratio'][way]:.2f}**", f"{ms:.2f}"] for way, ms in report["ms"].items()]
    return [["", "of plain Pillow's time", "CPU ms an image"], *rows]


def ways(report: Report) -> Rows:
    first, *_ = report["ways"].values()
    rows = [
        [way, f"**{row['ms'] / first['ms']:.2f}**", f"{row['ms']:.0f}", f"{row['lowest']:.0f} to {row['highest']:.0f}"]
        for way, row in report["ways"].items()
    ]
    return [["", "of the first", "ms", "lowest to highest"], *rows]


def calls(report: Report) -> Rows:
    rows = [
        [
            f"{order}, {place} look",
            ", ".join(f"{number} {name}" for name, number in sorted(look["calls"].items())),
            f"{look['sent_bytes']:,}",
            f"{look['received_bytes']:,}",
        ]
        for order, looks in report["orders"].items()
        for place, look in zip(("first", "second"), looks, strict=True)
    ]
    return [["", "calls", "bytes sent", "bytes received"], *rows]


def flow(report: Report) -> Rows:
    floor = report["flow"]["floor"]["checks_per_second"]
    rows = [
        [
            way,
            f"**{row['checks_per_second'] / floor:.2f}**",
            f"{row['checks_per_second']:.1f} ({row['lowest']:.1f} to {row['highest']:.1f})",
            *(f"{row[name]:,.0f}" for name in ("calm_p50_ms", "calm_p99_ms", "p50_ms", "p99_ms")),
        ]
        for way, row in report["flow"].items()
    ]
    alone = report["endpoint_alone_per_second"]
    return [
        ["", "of the floor", "checks/s", "calm p50 ms", "calm p99 ms", "all at once p50 ms", "p99 ms"],
        *rows,
        ["the endpoint alone", f"**{alone / floor:.2f}**", f"{alone:.1f}", "", "", "", ""],
    ]


def processes(report: Report) -> Rows:
    """The processes of the flow."""
    with_model, floor = report["cpu_ms_per_check"]["with the model"], report["cpu_ms_per_check"]["floor"]
    total, memory_mb = sum(with_model.values()), report["memory_mb"]
    return [
        ["process", "of the CPU time", "CPU ms a check", "on the floor", "most memory MB"],
        *(
            [
                name,
                f"**{ms / total:.0%}**",
                f"{ms:.0f}",
                f"{floor.get(name, 0):.0f}",
                f"{memory_mb[name]:.0f}",
            ]
            for name, ms in sorted(with_model.items(), key=lambda part: -part[1])
        ),
    ]


def memory(report: Report) -> Rows:
    return [
        ["endpoint, two images at a time", "MB"],
        *([load, f"{mb:.0f}"] for load, mb in report["endpoint_mb"].items()),
    ]


def overload(report: Report) -> Rows:
    share = report["served_per_second"] / report["served_alone_per_second"]
    rows = [
        [status, f"{row['answers']:,}", f"{row['p50_ms']:,.0f}", f"{row['p99_ms']:,.0f}"]
        for status, row in report["statuses"].items()
    ]
    told = f"served **{share:.2f}** of what it serves alone; itself again after {report['recovered_after_s']:.1f} s"
    return [["status", "answers", "p50 ms", "p99 ms"], *rows, [told, "", "", ""]]


def loader(report: Report) -> Rows:
    rows = []
    for source, measures in report["images_per_second_per_core"].items():
        for what, ways in measures.items():
            before, *_ = ways.values()
            rows += [
                [f"{source}, {what}", way, f"**{rate / before:.1f}x**", f"{rate:.0f}"] for way, rate in ways.items()
            ]
    return [["images", "loaded", "of the first", "images/CPU second"], *rows]


def in_markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table; its first row names the columns, its first column the rows."""
    head, *body = rows
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def filled(page: str, tables: Mapping[str, str]) -> str:
    """The page with each table between its two marks."""
    for name, table in tables.items():
        mark = f"<!-- {name} -->"
        page, found = re.subn(f"{mark}.*?{mark}", lambda _, t=table, m=mark: f"{m}\n{t}\n{m}", page, flags=re.DOTALL)
        if not found:
            raise SystemExit(f"the page has no place for {name}: add {mark} twice")
    return page
