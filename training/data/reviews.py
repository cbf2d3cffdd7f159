"""The labels of a site, as `bincheck export-labels` writes them: what people found, and how each bin came to them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inventory.reports.audit import ReviewedCheck

from .bins import LabelledBin, index_name
from .sources import IMAGE_FOLDER, Folder, list_bins
from .tables import read_table

COLUMNS = ("id", "expected_quantity", "recorded", "predicted", "suspicion", "drawn", "weight", "split")


@dataclass(frozen=True)
class Review:
    """A labelled bin, its check, the number of checks that it stands for (at least 1), and its split, train or val."""

    bin: LabelledBin
    check: ReviewedCheck
    weight: float
    split: str


def read_reviews(folder: Path) -> list[Review]:
    """Every label that stands for checks, in the index's order. Those of weight 0 are left out.

    Raises FileNotFoundError when the index or an image is missing, ValueError when a row lacks something.
    """
    index = folder / index_name()
    if not index.is_file():
        raise FileNotFoundError(f"{index} is missing: write it with `bincheck export-labels {folder}`")
    found, _ = list_bins(Folder(folder))
    images = {one.id: folder / one.images[0] for one in found if one.images}
    reviews = []
    for row in read_table(index, COLUMNS):
        cells = row.cells
        try:
            count, weight = int(cells["expected_quantity"]), float(cells["weight"])
            seen = (int(cells["recorded"]), int(cells["predicted"]), count, float(cells["suspicion"] or "nan"))
        except ValueError as error:
            raise ValueError(
                f"{row.place} has no number in one of {', '.join(COLUMNS)}: export the labels again with"
                " `bincheck export-labels`"
            ) from error
        if count < 0 or not 0 <= weight < math.inf:
            raise ValueError(f"{row.place} needs a count and a weight from 0 up")
        if not weight:
            continue
        if (image := images.get(cells["id"])) is None:
            raise FileNotFoundError(f"{folder / IMAGE_FOLDER} has no image for id {cells['id']}: export again")
        check = ReviewedCheck(*seen, audited=cells["drawn"] == "audit")
        reviews.append(Review(LabelledBin(cells["id"], count, image), check, weight, cells["split"]))
    return reviews


def unseen(reviews: Sequence[Review]) -> list[Review]:
    """The labels that training does not see: those of the audit, a random sample, so each stands for equally many."""
    return [replace(one, weight=1.0) for one in reviews if one.split == "val"]
