"""Runs the benchmarks one after another, and writes the tables and plots of docs/performance.md and its JSON.

    make bench [IMAGES=<folder of JPEGs as they are uploaded>]

Each runs in a process of its own, and compares what it times side by side. Without a folder they take the samples.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt

from benchmarks import tables
from benchmarks.pictures import SAMPLES
from training.report.plots import PALETTE, STYLE, new_plot

ROOT = Path(__file__).parents[1]
PAGE, FIGURES, IMAGES = ROOT / "docs/performance.md", ROOT / "docs/performance.json", ROOT / "docs/images"
TIMEOUT_S = 600


class Benchmark(NamedTuple):
    """Its arguments, what makes a table of its JSON, and its option for a folder of images."""

    arguments: Sequence[str]
    table: Callable[[tables.Report], tables.Rows]
    images: str | None = "--images"


BENCHMARKS = {
    "serving": Benchmark(["--rounds", "4", "--requests", "60"], tables.serving),
    "decoding": Benchmark(["--rounds", "3", "--limit", "100"], tables.decoding),
    "calls": Benchmark([], tables.calls),
    "memory": Benchmark([], tables.memory),
    "batch": Benchmark(["--rounds", "20"], tables.ways, None),
    "overload": Benchmark([], tables.overload),
    "cold_start": Benchmark(["--rounds", "7"], tables.ways, None),
    "whole_flow": Benchmark(["--rounds", "1", "--pairs", "1000"], tables.flow),
    "loader": Benchmark(["--images", "128", "--rounds", "2"], tables.loader, "--originals"),
}


def run(name: str, images: Path | None) -> tables.Report:
    """The JSON of a benchmark. Exits when it fails."""
    benchmark = BENCHMARKS[name]
    folder = [benchmark.images, str(images)] if images and benchmark.images else []
    command = [sys.executable, "-m", f"benchmarks.{name}", *benchmark.arguments, *folder, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"benchmarks.{name} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def machine() -> str:
    """The processor and the number of cores."""
    described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = re.search(r"^model name\s*: (.*)", described, re.MULTILINE)
    return f"{model[1] if model else platform.machine()}, {os.cpu_count()} cores"


def bars(path: Path, title: str, x: str, values: Mapping[str, float]) -> None:
    """Draw horizontal bars, the first on top."""
    figure, axes = new_plot(title, x, "", height_in=0.7 + 0.35 * len(values))
    drawn = axes.barh(list(values), list(values.values()), color=PALETTE[0])
    axes.bar_label(drawn, fmt="%.1f", padding=3)
    axes.invert_yaxis()
    with plt.rc_context(STYLE):
        figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks side by side.")
    parser.add_argument("--images", type=Path, help="folder of JPEGs as they are uploaded; unless set, the samples")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=list(BENCHMARKS), help="leave the rest as is")
    options = parser.parse_args()
    known = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in options.only:
        started = time.monotonic()
        report = run(name, options.images)
        known[name] = {
            "machine": machine(),
            "day": datetime.now(UTC).date().isoformat(),
            "load_average": round(os.getloadavg()[0], 1),
            "images": "photographs" if options.images and BENCHMARKS[name].images else SAMPLES.parent.name,
            "report": report,
        }
        FIGURES.write_text(json.dumps(known, indent=1) + "\n")
        print(f"{name}: {time.monotonic() - started:.0f} s", file=sys.stderr)
    reports = {name: entry["report"] for name, entry in known.items()}
    written = {
        name: f"{tables.in_markdown(BENCHMARKS[name].table(reports[name]))}\n\n"
        f"{entry['machine']}; {entry['images']}; {entry['day']}; load average {entry['load_average']}."
        for name, entry in known.items()
    }
    written["processes"] = tables.in_markdown(tables.processes(reports["whole_flow"]))
    PAGE.write_text(tables.filled(PAGE.read_text(), written))
    rates = {way: row["images_per_cpu_second"] for way, row in reports["serving"]["ways"].items()}
    bars(IMAGES / "performance-serving.svg", "Images a second of one core", "images a CPU second", rates)
    bars(IMAGES / "performance-decoding.svg", "From JPEG to pixels", "CPU ms an image", reports["decoding"]["ms"])


if __name__ == "__main__":
    main()
