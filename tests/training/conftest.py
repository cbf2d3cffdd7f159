"""Trainings in small share a set of bins, and compute in one thread: on tiny networks further threads only wait."""

import os
from pathlib import Path

import pytest

from .builders import write_set

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read when torch is imported


@pytest.fixture(scope="session")
def bins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of 70 bins of 32 pixels with 7 counts: 42 in train, 14 in val and test each. Nobody writes into it."""
    return write_set(tmp_path_factory.mktemp("bins") / "set", 70, labels=7)
