"""Reports what a prepared set holds and what leaks between its splits, as report.html and report.json.

    python -m training.data_report --data SET

`training.prepare` writes it too. The page shows images of the set, so keep it beside them.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from inventory.alert_text import one_line

from .data.class_folders import class_name
from .data.members import draw_members, read_members
from .measure import set_figures
from .report.data_page import data_page
from .report.pages import write_page

NORMALISATION_IMAGES = 2000


def write_report(root: Path, seed: int = 0) -> dict[str, Any]:
    """Write report.html and report.json into a prepared set; returns the content of the latter.

    `seed` chooses the images of the page and those that the normalisation is computed from.
    Raises FileNotFoundError when the set has no index, ValueError when it was not made by `training.prepare`.
    """
    members = read_members(root)
    rng = np.random.default_rng(seed)
    train = [one for one in members if one.split == "train"]
    classes = sorted({class_name(one.count) for one in members})
    report = {
        "bins": len(members),
        "classes": classes,
        "counts": set_figures.class_counts(members, classes),
        "quantity": set_figures.quantities(members),
        "prior": set_figures.label_shares(train),
        "groups": set_figures.group_sizes(members),
        "items": set_figures.item_repeats(members),
        "sizes": set_figures.image_sizes(members),
        "normalisation": set_figures.normalisation(draw_members(train, NORMALISATION_IMAGES, rng)),
        "leakage": set_figures.leakage(members),
    }
    (root / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    write_page(root / "report.html", data_page(root, report, members, rng))
    return report


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Report what a prepared set holds.")
    parser.add_argument("--data", type=Path, required=True, metavar="SET", help="folder that training.prepare made")
    parser.add_argument("--seed", type=int, default=0, help="chooses the images that are shown")
    options = parser.parse_args()
    try:
        write_report(options.data, options.seed)
    except (FileNotFoundError, ValueError) as error:
        sys.exit(f"data_report: {one_line(error)}")
    print(options.data / "report.html")


if __name__ == "__main__":
    main()
