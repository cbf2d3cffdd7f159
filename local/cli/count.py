"""`bincheck count`: counts the objects in images, without any cloud."""

import html
import io
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from inventory.bins import FILES
from local.cli.exits import FAILED, fail
from local.cli.progress import bar
from local.cli.terminal import err, out, print_csv, print_json, quoted
from model.images import RejectedImage, decode
from model.predictor import Prediction, Predictor

SUFFIXES = tuple(f".{extension}" for extension in FILES["image"].media_types)
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
        """The label of the count, e.g. `3` or `6+`; empty without a prediction."""
        return self.prediction.labels[self.prediction.count] if self.prediction else ""

    @property
    def shares(self) -> dict[str, float]:
        """The probability of each label."""
        one = self.prediction
        return dict(zip(one.labels, one.probabilities, strict=True)) if one else {}


def count(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Images, or folders of images.")],
    as_csv: Annotated[bool, typer.Option("--csv", help="A table for a spreadsheet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per image.")] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="Write an HTML page with all images.")
    ] = None,
) -> None:
    """Count the objects in images with the model of this checkout. No cloud is needed, and no record is compared.

    An image that cannot be counted is listed with its reason, and the exit code is 1.

    [dim]$[/] bincheck count samples/bin-images
    [dim]$[/] bincheck count ~/photos --csv > counts.csv
    [dim]$[/] bincheck count ~/photos --page counts.html
    """
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv: choose one")
    found = list(find_images(paths))
    if not found:
        fail("There is no .jpg, .jpeg or .png there.")
    images = list({path.resolve(): path for path in found}.values())
    if twice := len(found) - len(images):
        err.say("{twice} named twice, counted once.", twice=twice)
    predictor = Predictor()
    with bar(err) as progress:
        counted = list(
            progress.track((count_image(predictor, path) for path in images), len(images), description="Counting")
        )
    if as_json:
        for each in counted:
            print_json(_row(each) | {"probabilities": each.shares})
    elif as_csv:
        columns = ["image", "count", "probability", "reason", *predictor.labels]
        print_csv((_row(each) | each.shares for each in counted), columns)
    else:
        out.show(_table(counted))
    if page:
        page.write_text(contact_sheet(counted), encoding="utf-8")
        err.say("The page is {page}", page=page)
    if any(each.prediction is None for each in counted):
        raise typer.Exit(FAILED)


def find_images(paths: Iterable[Path]) -> Iterator[Path]:
    """The named files, and the images below the named folders, sorted by name. Links to folders are not followed."""
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        else:
            yield path


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
        f"<p><b>{html.escape(counted.label)}</b></p><table>{bars}</table></figure>"
    )


def _row(counted: Counted) -> dict[str, object]:
    return {
        "image": str(counted.path),
        "count": counted.label or None,
        "probability": round(counted.shares[counted.label], 4) if counted.label else None,
        "reason": counted.reason or None,
    }


def _table(counted: Iterable[Counted]) -> Table:
    table = Table(header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column("count", justify="right", min_width=5)
    table.add_column("probability", justify="right", min_width=11)
    table.add_column("reason", overflow="fold")
    for each in counted:
        share = f"{each.shares[each.label]:.0%}" if each.label else "-"
        table.add_row(quoted(each.path), each.label or "-", share, quoted(each.reason))
    return table
