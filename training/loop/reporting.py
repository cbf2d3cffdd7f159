"""What a run writes for people: a row and a line after each epoch, and files and a page at its end."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from PIL import Image
from torch import Tensor

from inventory.spreadsheets import write_rows

from ..report.pages import Photo
from ..report.plots import as_thumbnail
from ..report.run_page import write_run_page
from .config import RECORDED
from .epoch_line import epoch_line
from .health import Finding
from .health import report as health_report


def report_epoch(out: Path, row: Mapping[str, float], findings: Sequence[Finding]) -> None:
    """Write a row of metrics.csv, and print a line that tuners and jobs read and what is unhealthy."""
    path = out / "metrics.csv"
    write_rows(text := io.StringIO(newline=""), row, [{name: round(value, 5) for name, value in row.items()}])
    head, figures = text.getvalue().splitlines(keepends=True)
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        file.write(head + figures if is_new else figures)
    print(epoch_line(row), flush=True)
    for finding in findings:
        print(f"unhealthy: {finding.rule}: {finding.message}", flush=True)


def report_run(out: Path, findings: Sequence[Finding], samples: Tensor | None) -> None:
    """Write health.json, and run.html from metrics.csv, options.json and the images that the run began with."""
    health = health_report(findings)
    print(health)
    write_json(out / "health.json", [asdict(finding) for finding in findings])
    if not (out / "metrics.csv").exists():  # a job that lost its machine after its last epoch: nothing was trained here
        return
    with (out / "metrics.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    options = json.loads((out / "options.json").read_text())
    record = {name: options.pop(name) for name in RECORDED if name in options}
    write_run_page(out / "run.html", rows, options, record, health, _photos(samples))


def _photos(images: Tensor | None) -> list[Photo]:
    if images is None:
        return []
    pixels = (images * 255).byte().permute(0, 2, 3, 1).numpy()
    return [Photo(as_thumbnail(Image.fromarray(one)), "") for one in pixels]


def write_json(path: Path, value: object) -> None:
    """Write a JSON file that people read too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, default=str, indent=2) + "\n")
