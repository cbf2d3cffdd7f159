"""The code that jobs run, as it lies in their containers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PROJECT = Path(__file__).parents[2]
PACKAGES = {"training": "training", "model": "model", "functions/inventory": "inventory"}
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.onnx")
CONTAINER = "training/jobs/container"
REQUIREMENTS = "requirements.txt"
"""Lies at the top, where every kind of container looks for it."""


def entry_script(job: str) -> str:
    """The script, within the code, that a kind of job starts with."""
    return f"{CONTAINER}/{job}.py"


def entry_module(job: str) -> str:
    """The same script, as a module."""
    return f"{CONTAINER}/{job}".replace("/", ".")


@contextmanager
def staged_source() -> Iterator[Path]:
    """A folder with the packages that containers import; it is gone afterwards."""
    with TemporaryDirectory(prefix="bincheck-source-") as folder:
        for package, name in PACKAGES.items():
            shutil.copytree(PROJECT / package, Path(folder) / name, ignore=LEFT_OUT)
        shutil.copy(PROJECT / CONTAINER / REQUIREMENTS, folder)
        yield Path(folder)
