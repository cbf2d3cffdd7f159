"""Commands of the model registry."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..job import Dry, SettingsFile, job


def register(
    archive: Annotated[
        str, typer.Option(help="model.tar.gz: s3://, as a training job leaves it, or a file to upload.")
    ],
    report: Annotated[str, typer.Option(help="JSON of `evaluate` or `training.evaluate --out`: a file or s3://.")],
    settings: SettingsFile = None,
    dry_run: Dry = False,
) -> None:
    """Register a judged model, with figures and model card; it waits for `approve`.

    [dim]$[/] python -m training.jobs register --archive s3://bucket/job/output/model.tar.gz --report test.json
    """
    from .. import deployment, objects, registry

    with job(settings, dry=dry_run) as our:
        local = not archive.startswith("s3://")
        data = Path(archive).read_bytes() if local else objects.get(our.account, archive)
        judged = registry.read_archive(archive, data)
        figures = registry.read_report(our.account, report)
        if local:
            judged = replace(judged, uri=deployment.upload(our.account, data))
        print(registry.register(our.account, our.settings.registry, our.settings.deploy, judged, figures))


def approve(
    package: Annotated[str | None, typer.Argument(help="ARN; the newest that waits, if none is named.")] = None,
    settings: SettingsFile = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject it instead.")] = False,
    because: Annotated[str, typer.Option(help="The reason, kept with it.")] = "",
    dry_run: Dry = False,
) -> None:
    """Approve a registered model, so that it may be deployed.

    [dim]$[/] python -m training.jobs approve --because "better on our own bins"
    """
    from .. import registry

    with job(settings, dry=dry_run) as our:
        found = package or registry.latest(our.account, our.settings.registry, "PendingManualApproval")
        registry.decide(our.account, found, approved=not reject, reason=because)
        print(found)
