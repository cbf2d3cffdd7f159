"""One HTML file that can be mailed: text, tables, plots and images under headings, nothing loaded from elsewhere."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure

from .plots import as_svg

TEMPLATES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(["html"]))


@dataclass(frozen=True)
class Table:
    """Rows under column heads; cells are shown as they are, floats to four digits."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Photo:
    """An image as a data URL (plots.as_thumbnail), and its caption."""

    url: str
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading and its content, in the order of the fields."""

    title: str
    text: str = ""
    tables: Sequence[Table] = ()
    plots: Sequence[Figure] = ()
    images: Sequence[Photo] = ()


@dataclass(frozen=True)
class Page:
    """A page: its title, facts in short (name to value) and sections."""

    title: str
    facts: Mapping[str, object] = field(default_factory=dict)
    sections: Sequence[Section] = ()


def write_page(path: Path, page: Page) -> None:
    """Write the page as one HTML file; the sections' plots are closed."""
    template = TEMPLATES.get_template("page.html")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(template.render(page=page, svg=_svg, shown=_shown))


def _svg(plot: Figure) -> Markup:
    return Markup(as_svg(plot))  # noqa: S704 - drawn by us


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
