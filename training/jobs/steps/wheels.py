"""The packages of the endpoint's container, as wheels beside its requirements: it starts without a package index.

`code/requirements.txt` of the archive tells the container's pip to install only from the folder `wheels` beside it, and
only files with the digests of `packages.txt`.
"""

import subprocess
import sys
from pathlib import Path

from training.jobs.errors import JobError

WHEELS = "wheels"
PYTHON = "3.13"
"""The Ray Serve container's, on Amazon Linux 2023 (glibc 2.34)."""
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")


def download(packages: Path, folder: Path) -> None:
    """Download the wheels that a list of packages with digests names to `folder`; pip's settings choose the index.

    Raises JobError when one cannot be had, or has another digest.
    """
    command = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps")
    chosen = ("--only-binary=:all:", f"--python-version={PYTHON}", *(f"--platform={one}" for one in PLATFORMS))
    done = subprocess.run(  # noqa: S603 (arguments of our own)
        [sys.executable, *command, "--require-hashes", *chosen, "--dest", str(folder), "--requirement", str(packages)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise JobError(
            f"the wheels that {packages} names cannot be downloaded: see to the network, or name another index with "
            f"PIP_INDEX_URL\n{done.stderr.strip()}"
        )
