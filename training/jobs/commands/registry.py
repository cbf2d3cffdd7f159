"""Commands of the model registry."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..job import Dry, ModelPlace, SettingsFile, job


def register(
    model: ModelPlace,
    report: Annotated[str, typer.Option(help="JSON of `evaluate` or `training.evaluate --out`: a file or s3://.")],
    settings: SettingsFile = None,
    dry_run: Dry = False,
) -> None:
    """Register a judged model, with figures and model card; it waits for `approve`. Prints its ARN.

    [dim]$[/] python -m training.jobs register --model s3://bucket/job/output/model.tar.gz --report test.json
    """
    from .. import deployment, objects, registry, serving

    with job(settings, dry=dry_run) as our:
        figures = registry.read_report(our.account, report)
        stored = model.startswith("s3://")
        data = objects.get(our.account, model) if stored else serving.archive_of(Path(model))
        judged = registry.read_archive(model, data)
        registry.compare(judged, figures)
        uri = deployment.stored(our.account, model, our.settings.deploy.instance_type)
        arn = registry.register(our.account, our.settings, replace(judged, uri=uri), figures)
        if not dry_run:
            print(arn)


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
        if not dry_run:
            print(found)
