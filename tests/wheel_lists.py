"""The lists of what containers install, from uv.lock: `python -m tests.wheel_lists` writes them."""

import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.markers import Marker
from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from local.embedded.sam import command
from training.jobs.steps.wheels import PLATFORMS, PYTHON

ROOT = Path(__file__).parent.parent
LISTS = {"serving": "model/code/packages.txt", "serving-gpu": "model/code/packages-gpu.txt"}
"""The endpoint's file of each dependency group: wheels for one Python, which the archive brings along."""
JOBS = "training/jobs/container"
PYTORCH = ("numpy", "torch", "torchvision")
JOB_LISTS = {
    "container-train": (f"{JOBS}/requirements.txt", PYTORCH),
    "container-release": (f"{JOBS}/release_requirements.txt", PYTORCH),
    "container-explore": (f"{JOBS}/explore_requirements.txt", ("numpy", "packaging", "protobuf")),
}
"""The jobs' file of each dependency group, and the packages that stay as the container has them."""
VERSION = tuple(map(int, PYTHON.split(".")))
TAGS = [*cpython_tags(VERSION, platforms=PLATFORMS), *compatible_tags(VERSION, platforms=PLATFORMS)]
CONTAINER = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "sys_platform": "linux",
    "platform_machine": "x86_64",
    "platform_system": "Linux",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
    "os_name": "posix",
}
PACKAGES = tomllib.loads((ROOT / "uv.lock").read_text())["package"]


def written(group: str) -> str:
    """The list of a group: all packages that it needs in the container, each by the digest of its one wheel there."""
    (project,) = [package for package in PACKAGES if package["name"] == "bincheck"]
    found = {package["name"]: package for package in closure(project["dev-dependencies"][group])}
    return "".join(
        f"{name}=={found[name]['version']} --hash={fitting_wheel(found[name])['hash']}\n" for name in sorted(found)
    )


def exported(group: str, kept: tuple[str, ...]) -> str:
    """The list of a job's group: the packages that it needs beside those that are `kept`, each by its digests."""
    options = ("--quiet", "--frozen", "--no-emit-project", "--no-header", "--no-annotate", "--only-group", group)
    prune = [part for name in kept for part in ("--prune", name)]
    done = subprocess.run(
        [command([])[0], "export", *options, *prune], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout


def closure(dependencies: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """The packages of these entries, and what they need in turn; some come twice."""
    for wanted in dependencies:
        if "marker" in wanted and not Marker(wanted["marker"]).evaluate(CONTAINER):
            continue
        versions = [package for package in PACKAGES if package["name"] == wanted["name"]]
        (package,) = [one for one in versions if one["version"] == wanted.get("version", one["version"])]
        yield package
        yield from closure(package.get("dependencies", []))


def fitting_wheel(package: dict[str, Any]) -> dict[str, Any]:
    """The wheel that pip prefers in the container."""

    def rank(wheel: dict[str, Any]) -> int:
        tags = parse_wheel_filename(wheel["url"].rsplit("/", 1)[1])[3]
        return min((TAGS.index(tag) for tag in tags if tag in TAGS), default=len(TAGS))

    best = min(package["wheels"], key=rank)
    assert rank(best) < len(TAGS), f"{package['name']} has no wheel for Python {PYTHON} on {PLATFORMS}"
    return best


if __name__ == "__main__":
    for group, path in LISTS.items():
        (ROOT / path).write_text(written(group))
    for group, (path, kept) in JOB_LISTS.items():
        (ROOT / path).write_text(exported(group, kept))
