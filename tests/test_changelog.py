"""CHANGELOG.md has a heading a version, the newest first, and the newest is that of pyproject.toml."""

import re
import tomllib
from datetime import date

import pytest
from packaging.version import Version

from tests.template import ROOT

UNRELEASED = "Unreleased"
HEADING = re.compile(r"(\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)")


def faults(changelog: str, version: str) -> list[str]:
    """What is wrong with the headings of a changelog, for a project of this version."""
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    released = headings[headings[:1] == [UNRELEASED] :]
    parts = [HEADING.fullmatch(heading) for heading in released]
    if not all(parts):
        return [f"## {heading}" for heading, part in zip(released, parts, strict=True) if not part]
    versions = [Version(part[1]) for part in parts if part]
    days = [date.fromisoformat(part[2]) for part in parts if part]
    found = [] if not versions or str(versions[0]) == version else [f"pyproject.toml has {version}, not {versions[0]}"]
    if versions != sorted(set(versions), reverse=True) or days != sorted(days, reverse=True):
        found.append("the newest is not the first")
    return found


def test_the_newest_version_is_that_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert faults((ROOT / "CHANGELOG.md").read_text(), version) == []


@pytest.mark.parametrize(
    ("headings", "count"),
    [
        (["Unreleased"], 0),
        (["Unreleased", "0.2.0 (2026-11-26)", "0.1.0 (2026-10-01)"], 0),
        (["0.2.0 (2026-11-26)"], 0),
        (["0.3.0 (2026-11-26)"], 1),
        (["0.2.0"], 1),
        (["v0.2.0 (2026-11-26)", "0.1.0 (2026-10-01)"], 1),
        (["0.2.0 (2026-11-26)", "Unreleased"], 1),
        (["0.2.0 (2026-11-26)", "0.10.0 (2026-10-01)"], 1),
        (["0.2.0 (2026-10-01)", "0.1.0 (2026-11-26)"], 1),
    ],
)
def test_a_wrong_heading_is_found(headings: list[str], count: int) -> None:
    assert len(faults("\n".join(f"## {heading}" for heading in headings), "0.2.0")) == count
