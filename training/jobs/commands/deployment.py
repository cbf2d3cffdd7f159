"""Commands that put a model to work, and take it back."""

from pathlib import Path
from typing import Annotated

import typer

from ..costs import estimate
from ..job import Dry, SettingsFile, job

MONTH_H = 730
Artifact = Annotated[
    Path | None, typer.Option(help="Folder of an artifact, as `training.export` writes it: packed and uploaded.")
]


def package(
    out: Annotated[Path, typer.Option(help="Where the archive goes.")] = Path("model.tar.gz"), artifact: Artifact = None
) -> None:
    """Pack the model.tar.gz that the Ray Serve container unpacks and serves; the shipped artifact if none is named.

    [dim]$[/] python -m training.jobs package --out model.tar.gz
    """
    from .. import serving

    serving.package(artifact or serving.SHIPPED, out)
    print(out)


def deploy(
    settings: SettingsFile = None,
    artifact: Artifact = None,
    archive: Annotated[str | None, typer.Option(help="s3:// of a model.tar.gz.")] = None,
    package_arn: Annotated[
        str | None,
        typer.Option("--package", help="ARN of a model package; the latest approved one if nothing is named."),
    ] = None,
    dry_run: Dry = False,
) -> None:
    """Make the endpoint, or update it without a gap: what its alarms do not like is rolled back.

    [dim]$[/] python -m training.jobs deploy --settings bincheck.toml --artifact model/artifact --dry-run
    """
    from .. import deployment, registry, serving
    from ..errors import JobError

    if sum(map(bool, (artifact, archive, package_arn))) > 1:
        raise JobError("--artifact, --archive and --package exclude each other: name one")
    with job(settings, dry=dry_run) as our:
        chosen = our.settings.deploy
        our.costs(estimate(chosen.instance_type, chosen.max_instances, MONTH_H))
        if artifact:
            served = deployment.archived(
                our.account, chosen, deployment.upload(our.account, serving.packaged(artifact))
            )
        elif archive:
            served = deployment.archived(our.account, chosen, archive)
        else:
            found = package_arn or registry.latest(our.account, our.settings.registry, "Approved")
            served = deployment.registered(our.account, found)
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
