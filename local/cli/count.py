"""`bincheck count`: counts the objects in images, without any cloud."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from inventory.bins import FILES
from local.cli.exits import FAILED, fail
from local.cli.progress import bar
from local.cli.terminal import err, out, print_csv, print_json, quoted

if TYPE_CHECKING:
    from local.cli.counted import Counted

SUFFIXES = tuple(f".{extension}" for extension in FILES["image"].media_types)


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
    from local.cli.counted import contact_sheet, count_image  # here, so that no other command loads the model
    from model.predictor import Predictor

    predictor = Predictor()
    with bar(err) as progress:
        counted = list(
            progress.track((count_image(predictor, path) for path in images), len(images), description="Counting")
        )
    if as_json:
        for each in counted:
            print_json(
                _row(each) | {"interval": each.prediction and each.prediction.interval, "probabilities": each.shares}
            )
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


def _row(counted: "Counted") -> dict[str, object]:
    return {
        "image": str(counted.path),
        "count": counted.label or None,
        "probability": round(counted.shares[counted.label], 4) if counted.label else None,
        "reason": counted.reason or None,
    }


def _table(counted: "Iterable[Counted]") -> Table:
    table = Table(header_style="bold")
    table.add_column("image", overflow="fold")
    table.add_column("count", justify="right", min_width=5)
    table.add_column("probability", justify="right", min_width=11)
    table.add_column("reason", overflow="fold")
    for each in counted:
        share = f"{each.shares[each.label]:.0%}" if each.label else "-"
        table.add_row(quoted(each.path), each.text, share, quoted(each.reason))
    return table
