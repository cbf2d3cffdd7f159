"""The style of every plot, and its conversion to SVG."""

import base64
import io
from typing import Any

import matplotlib
from cycler import cycler

matplotlib.use("svg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

PALETTE = ("#2a5d9f", "#d1622b", "#3a8f5c", "#8a5aa8", "#b8952e", "#5b6770")
STYLE: dict[Any, Any] = {
    "axes.prop_cycle": cycler(color=PALETTE),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": "medium",
    "grid.alpha": 0.3,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",
    "svg.hashsalt": "bincheck",
}


def new_plot(title: str, x: str, y: str, *, width_in: float = 6.0, height_in: float = 3.4) -> tuple[Figure, Axes]:
    """A figure of one plot in the project's style, its axes named."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(figsize=(width_in, height_in))
    axes.set(title=title, xlabel=x, ylabel=y)
    return figure, axes


def as_svg(figure: Figure) -> str:
    """The figure as an SVG element for a page; the figure is closed. The same figure gives the same text."""
    buffer = io.StringIO()
    with plt.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def as_thumbnail(image: Image.Image, size: int = 112) -> str:
    """The image, at most `size` pixels a side, as a data URL for a page."""
    small = image.convert("RGB")
    small.thumbnail((size, size))
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
