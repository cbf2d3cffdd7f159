"""Paths, links, `make` targets, modules and `bincheck` commands that the pages name exist."""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import typer

from local.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for pattern in ("*.md", "docs/*.md", "docs/adr/*.md", "model/*.md", "samples/*.md")
    for page in ROOT.glob(pattern)
    if page.name not in ("CHANGELOG.md", "map.md")  # a history names what has gone; test_maps compares the map
)
FOLDERS = "benchmarks|costs|deploy|docs|events|functions|local|model|review|samples|tests|training"
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def code(text: str) -> str:
    """The code of a page, a line for each block line and each span."""
    fence = re.compile(r"^ *```\w*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
    return "\n".join([*fence.findall(text), *re.findall(r"`([^`]+)`", fence.sub("", text))])


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing(text: str, folder: Path) -> list[str]:
    """The names in a page of `folder` that nothing bears."""
    named = code(text)
    links = [link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    found = [path for path, _, _ in links if not (folder / path).exists()]
    found += [f"{path}#{name}" for path, _, name in links if name and path and name not in anchors(folder / path)]
    paths = re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*(?![\w<*…])", named)
    found += [path for path in paths if not (ROOT / path).exists()]
    found += [f"make {name}" for name in re.findall(r"\bmake ([a-z][a-z-]*)", named) if name not in TARGETS]
    modules = re.findall(rf"-m ((?:{FOLDERS})(?:\.\w+)*)|\b(training(?:\.[a-z_]+)+)", named)
    found += [name for pair in modules for name in pair if name and not find_spec(name)]
    commands = re.findall(r"(?:^|uv run |bin/)bincheck ([a-z][a-z-]*)", named, re.MULTILINE)
    return found + [f"bincheck {name}" for name in commands if name not in COMMANDS]


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_names_exists(page: str) -> None:
    assert missing((ROOT / page).read_text(), (ROOT / page).parent) == []


@pytest.mark.parametrize(
    "text",
    [
        "[gone](gone.md)", "[gone](docs/deploy.md#gone)", "`tests/gone.py`", "`make gone`", "`uv run bincheck gone`",
        "```sh\npython -m training.gone --out x\n```", "`training.gone --source x`",
    ],
)  # fmt: skip
def test_what_has_gone_is_found(text: str) -> None:
    assert len(missing(text, ROOT)) == 1
