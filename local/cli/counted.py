"""Images with what the model counts in them, and the page that shows them."""

import html
import io
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from inventory.alert_text import count_text
from local.cli.terminal import quoted
from model.images import RejectedImage, decode
from model.predictor import Prediction, Predictor

THUMBNAIL_PX = 240
STYLE = """
body { font: 15px sans-serif; margin: 1.5rem } main { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 240px } img { max-width: 240px; max-height: 240px }
p { margin: .2rem 0; overflow-wrap: anywhere } meter { width: 130px } td { text-align: right }
"""


@dataclass(frozen=True)
class Counted:
    """An image with its prediction, or with the reason why it could not be counted."""

    path: Path
    prediction: Prediction | None = None
    reason: str = ""

    @property
    def label(self) -> str:
        """The label of the count, e.g. `3` or `10+`; empty without a prediction."""
        return self.prediction.labels[self.prediction.count] if self.prediction else ""

    @property
    def text(self) -> str:
        """The count with its interval, as alerts have it; a dash without a prediction."""
        one = self.prediction
        return count_text(one.count, one.labels, one.interval) if one else "-"

    @property
    def shares(self) -> dict[str, float]:
        """The probability of each label."""
        one = self.prediction
        return dict(zip(one.labels, one.probabilities, strict=True)) if one else {}


def count_image(predictor: Predictor, path: Path) -> Counted:
    """Count as the endpoint does. A file that cannot be read or counted has its reason."""
    try:
        return Counted(path, predictor.predict(path.read_bytes()))
    except RejectedImage as error:
        return Counted(path, reason=str(error))
    except OSError as error:
        return Counted(path, reason=error.strerror or str(error))


def contact_sheet(counted: Iterable[Counted]) -> str:
    """An HTML page that needs no other file: each image, small, with its count or its reason."""
    figures = "".join(map(_figure, counted))
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Counts</title><style>{STYLE}</style>'
    return f"{head}<h1>Counts</h1><main>{figures}</main></html>\n"


def _figure(counted: Counted) -> str:
    name = html.escape(quoted(counted.path).plain)
    if counted.prediction is None:
        return f"<figure><p>{name}</p><p><b>Not counted:</b> {html.escape(quoted(counted.reason).plain)}</p></figure>"
    bars = "".join(
        f'<tr><th scope="row">{html.escape(label)}</th><td><meter value="{share:.4f}"></meter></td>'
        f"<td>{share:.0%}</td></tr>"
        for label, share in counted.shares.items()
    )
    small = decode(counted.path.read_bytes())
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    data = io.BytesIO()
    small.save(data, "JPEG")
    source = f"data:image/jpeg;base64,{b64encode(data.getvalue()).decode()}"
    return (
        f'<figure><img src="{source}" alt="{name}"><p>{name}</p>'
        f"<p><b>{html.escape(counted.text)}</b></p><table>{bars}</table></figure>"
    )
