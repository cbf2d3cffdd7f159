"""The commit of the project's code."""

import os
import subprocess
from pathlib import Path

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
