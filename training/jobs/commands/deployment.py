"""Commands that deploy, roll back and delete an endpoint."""

from pathlib import Path
from typing import Annotated

import typer

from costs.job_costs import estimate
from training.jobs.commands.options import Dry, ModelLocation, SettingsFile
from training.jobs.context import job_context

MONTH_H = 730


def package(
    out: Annotated[Path, typer.Option(help="Path of the archive.")] = Path("model.tar.gz"),
    artifact: Annotated[
        Path | None,
        typer.Option(help="Folder of an artifact, as `training.export` writes it; default: the shipped one."),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="For an instance with a GPU.")] = False,
) -> None:
    """Pack the model.tar.gz that the Ray Serve container unpacks and serves.

    [dim]$[/] python -m training.jobs package --out model.tar.gz
    """
    from training.jobs.endpoint import serving

    serving.package(artifact or serving.SHIPPED, out, gpu=gpu)
    print(out)


def deploy(
    model: ModelLocation = "",
    package_arn: Annotated[
        str, typer.Option("--package", help="ARN of a model package; default: the newest approved one.")
    ] = "",
    settings: SettingsFile = None,
    dry_run: Dry = False,
) -> None:
    """Create the endpoint, or update it without downtime; an update that triggers its alarms is rolled back.

    [dim]$[/] python -m training.jobs deploy --settings bincheck.toml --model model/artifact --dry-run
    """
    from training.jobs.endpoint import deployment
    from training.jobs.errors import JobError
    from training.jobs.pipeline import registry

    if model and package_arn:
        raise JobError("--model and --package exclude each other: name one")
    with job_context(settings, dry=dry_run) as context:
        chosen, account = context.settings.deploy, context.account
        context.print_costs(estimate(chosen.instance_type, chosen.max_instances, MONTH_H), "A month of the endpoint")
        if model:
            served = deployment.archive_container(
                account, chosen.instance_type, deployment.archive_uri(account, model, chosen.instance_type)
            )
        else:
            found = package_arn or registry.latest(account, context.settings.registry, "Approved")
            served = deployment.package_container(account, found)
        deployment.deploy(context, served)
        if not dry_run:
            context.console.print(f"Endpoint {chosen.endpoint} is in service.", highlight=False)


def rollback(settings: SettingsFile = None, dry_run: Dry = False) -> None:
    """Serve the configuration from before the last update again; prints its name."""
    from training.jobs.endpoint import deployment

    with job_context(settings, dry=dry_run) as context:
        served = deployment.rollback(context)
        if not dry_run:
            print(served)


def delete(
    settings: SettingsFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    dry_run: Dry = False,
) -> None:
    """Delete the endpoint and everything that `deploy` created for it, except archives and model packages."""
    from training.jobs.endpoint import deployment

    with job_context(settings, dry=dry_run) as context:
        name = context.settings.deploy.endpoint
        if not (yes or dry_run):
            typer.confirm(f"Delete endpoint {name}, its models, configurations, scaling and alarms?", abort=True)
        for line in deployment.delete(context):
            context.console.print(f"Deleted: {line}.", highlight=False, soft_wrap=True)
