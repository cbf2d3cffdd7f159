"""What a run was made of, so that it can be repeated: commit, data, seed, device and precision."""

import os
import subprocess
from pathlib import Path
from typing import Any

import torch

from .setup import Training

PROJECT = Path(__file__).parents[2]


def git_commit() -> str:
    """The commit of this code, followed by -dirty if files differ from it; "" outside of a repository.

    A container has no repository: jobs pass the commit as GIT_COMMIT.
    """
    if commit := os.environ.get("GIT_COMMIT"):
        return commit
    command = ("git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return ""


def run_record(training: Training, identity: str) -> dict[str, Any]:
    """What options.json says beside the options, by the keys of config.RECORDED."""
    device = training.processes.device
    return {
        "run": identity,
        "processes": training.processes.world,
        "commit": git_commit(),
        "digests": training.digests,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "computed_in": training.precision.name,
    }
