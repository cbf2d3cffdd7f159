"""Commands that put a model to work, and take it back."""

from pathlib import Path
from typing import Annotated

import typer

from ..costs import estimate
from ..job import Dry, ModelPlace, SettingsFile, job

MONTH_H = 730


def package(
    out: Annotated[Path, typer.Option(help="Where the archive goes.")] = Path("model.tar.gz"),
    artifact: Annotated[
        Path | None,
        typer.Option(help="Folder of an artifact, as `training.export` writes it; the shipped one if none."),
    ] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="For the container's GPU form.")] = False,
) -> None:
    """Pack the model.tar.gz that the Ray Serve container unpacks and serves.

    [dim]$[/] python -m training.jobs package --out model.tar.gz
    """
    from .. import serving

    serving.package(artifact or serving.SHIPPED, out, gpu=gpu)
    print(out)


def deploy(
    model: ModelPlace = "",
    package_arn: Annotated[
        str, typer.Option("--package", help="ARN of a model package; the latest approved one if nothing is named.")
    ] = "",
    settings: SettingsFile = None,
    dry_run: Dry = False,
) -> None:
    """Make the endpoint, or update it without a gap: what its alarms do not like is rolled back.

    [dim]$[/] python -m training.jobs deploy --settings bincheck.toml --model model/artifact --dry-run
    """
    from .. import deployment, registry
    from ..errors import JobError

    if model and package_arn:
        raise JobError("--model and --package exclude each other: name one")
    with job(settings, dry=dry_run) as our:
        chosen, account = our.settings.deploy, our.account
        our.costs(estimate(chosen.instance_type, chosen.max_instances, MONTH_H))
        if model:
            served = deployment.archived(
                account, chosen.instance_type, deployment.stored(account, model, chosen.instance_type)
            )
        else:
            found = package_arn or registry.latest(account, our.settings.registry, "Approved")
            served = deployment.registered(account, found)
        deployment.deploy(our, served)
        if not dry_run:
            our.console.print(f"Endpoint {chosen.endpoint} is in service.", highlight=False)


def rollback(settings: SettingsFile = None, dry_run: Dry = False) -> None:
    """Serve again what the endpoint served before its last update; prints that configuration's name."""
    from .. import deployment

    with job(settings, dry=dry_run) as our:
        served = deployment.rollback(our)
        if not dry_run:
            print(served)


def delete(
    settings: SettingsFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Dry = False,
) -> None:
    """Delete the endpoint and all that `deploy` made for it; archives and model packages stay."""
    from .. import deployment

    with job(settings, dry=dry_run) as our:
        name = our.settings.deploy.endpoint
        if not (yes or dry_run):
            typer.confirm(f"Delete endpoint {name}, its models, configurations, scaling and alarms?", abort=True)
        for line in deployment.delete(our):
            our.console.print(f"Deleted: {line}.", highlight=False, soft_wrap=True)
