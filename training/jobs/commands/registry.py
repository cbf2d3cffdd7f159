"""Commands of the model registry."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from training.jobs.commands.options import Dry, ModelLocation, SettingsFile
from training.jobs.context import job_context


def register(
    model: ModelLocation,
    report: Annotated[str, typer.Option(help="JSON of `evaluate` or `training.evaluate --out`: a file or s3://.")],
    settings: SettingsFile = None,
    dry_run: Dry = False,
) -> None:
    """Register an evaluated model with its figures and model card, pending approval; prints its ARN.

    [dim]$[/] python -m training.jobs register --model s3://bucket/job/output/model.tar.gz --report test.json
    """
    from inventory.addresses import is_s3_address
    from training.jobs.aws import objects
    from training.jobs.endpoint import deployment, serving
    from training.jobs.pipeline import registry

    with job_context(settings, dry=dry_run) as context:
        figures = registry.read_report(context.account, report)
        stored = is_s3_address(model)
        data = objects.get(context.account, model) if stored else serving.archive_bytes(Path(model))
        judged = registry.read_archive(model, data)
        registry.require_same_model(judged, figures)
        uri = deployment.archive_uri(context.account, model, context.settings.deploy.instance_type)
        arn = registry.register(context.account, context.settings, replace(judged, uri=uri), figures)
        if not dry_run:
            print(arn)


def approve(
    package: Annotated[str | None, typer.Argument(help="ARN; default: the newest that is pending.")] = None,
    settings: SettingsFile = None,
    reject: Annotated[bool, typer.Option("--reject", help="Reject it instead.")] = False,
    because: Annotated[str, typer.Option(help="The reason, stored with it.")] = "",
    dry_run: Dry = False,
) -> None:
    """Approve a registered model for deployment.

    [dim]$[/] python -m training.jobs approve --because "better on our own bins"
    """
    from training.jobs.pipeline import registry

    with job_context(settings, dry=dry_run) as context:
        found = package or registry.latest(context.account, context.settings.registry, "PendingManualApproval")
        registry.set_approval(context.account, found, approved=not reject, reason=because)
        if not dry_run:
            print(found)
