"""The options that commands share."""

from pathlib import Path
from typing import Annotated

import typer

SettingsFile = Annotated[
    Path | None,
    typer.Option("--settings", help="TOML file that overrides training/jobs/settings.toml, which lists all settings."),
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Print the exact requests as JSON and send nothing.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Return as soon as the job has started.")]
ModelLocation = Annotated[
    str, typer.Option("--model", help="model.tar.gz, here or as s3://, or the folder of an artifact.")
]
