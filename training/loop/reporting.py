"""What a run writes while it goes on: a row, a line and curves after each epoch, and files that people read."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from .epoch_line import epoch_line
from .health import Finding

COLLECTED = Path("/opt/ml/output/tensorboard")
"""Where SageMaker collects a job's curves."""


def open_writer(out: Path) -> SummaryWriter:
    """The writer of TensorBoard's curves: in the folder that a job collects, or the run's own."""
    return SummaryWriter(COLLECTED if COLLECTED.is_dir() else out / "tensorboard")


def report_epoch(out: Path, row: Mapping[str, float], findings: Sequence[Finding], writer: SummaryWriter) -> None:
    """A row of metrics.csv, a line that tuners and jobs read, curves, and what is unhealthy."""
    path = out / "metrics.csv"
    is_new = not path.exists()
    with path.open("a", newline="") as file:
        table = csv.DictWriter(file, list(row))
        if is_new:
            table.writeheader()
        table.writerow({name: round(value, 5) for name, value in row.items()})
    print(epoch_line(row), flush=True)
    for name, value in row.items():
        writer.add_scalar(name.replace("val_", "val/"), value, int(row["epoch"]))
    for finding in findings:
        print(f"unhealthy: {finding.rule}: {finding.message}", flush=True)


def write_json(path: Path, value: object) -> None:
    """Write a JSON file that people read too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, default=str, indent=2) + "\n")
