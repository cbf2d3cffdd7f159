"""The plot of stated chances against observed shares."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..measure.metrics import Band
from .plots import PALETTE, new_plot


def reliability_diagram(title: str, lines: Mapping[str, Sequence[Band]], *, log: bool = False) -> Figure:
    """Stated chances against the share that came true, a line for each name. On the diagonal they are calibrated.

    Dots grow with their band's share. `log` is for chances that are mostly small; it leaves out bands of none.
    """
    figure, axes = new_plot(title, "stated", "came true", width_in=4.6, height_in=4.2)
    drawn = {name: [band for band in bands if not log or band.observed > 0] for name, bands in lines.items()}
    least = min(min(band.stated, band.observed) for bands in drawn.values() for band in bands) if log else 0.0
    axes.plot([least, 1], [least, 1], color=PALETTE[-1], linewidth=1, linestyle=":")
    for (name, bands), colour in zip(drawn.items(), PALETTE, strict=False):
        stated, observed, share = np.array([(band.stated, band.observed, band.share) for band in bands]).T
        axes.plot(stated, observed, color=colour, linewidth=1, label=name)
        axes.scatter(stated, observed, 12 + 150 * share, color=colour)
    if log:
        axes.set(xscale="log", yscale="log")
    if len(lines) > 1:
        axes.legend()
    return figure
