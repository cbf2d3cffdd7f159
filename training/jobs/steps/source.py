"""The code that jobs run, laid out as in their containers."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from training.jobs.steps import wheels

PROJECT = Path(__file__).parents[3]
PACKAGES = {"training": "training", "model": "model", "costs": "costs", "functions/inventory": "inventory"}
IGNORED = shutil.ignore_patterns("__pycache__", "*.onnx")
CONTAINER = "training/jobs/container"
REQUIREMENTS = "requirements.txt"
"""Copied to the top, where every kind of container looks for it."""


def entry_script(job: str) -> str:
    """The script, within the code, that a kind of job starts with."""
    return f"{CONTAINER}/{job}.py"


def entry_module(job: str) -> str:
    """The same script, as a module."""
    return f"{CONTAINER}/{job}".replace("/", ".")


@contextmanager
def staged_source(*, for_serving: bool = False) -> Iterator[Path]:
    """A folder with the packages that containers import; it is gone afterwards.

    With the wheels of the endpoint's container if `for_serving`: a job that leaves a model puts them into its archive.
    Raises JobError as `wheels.download`.
    """
    with TemporaryDirectory(prefix="bincheck-source-") as folder:
        for package, name in PACKAGES.items():
            shutil.copytree(PROJECT / package, Path(folder) / name, ignore=IGNORED)
        shutil.copy(PROJECT / CONTAINER / REQUIREMENTS, folder)
        if for_serving:
            code = Path(folder) / "model" / "code"
            wheels.download(code / "packages.txt", code / wheels.WHEELS)
        yield Path(folder)
