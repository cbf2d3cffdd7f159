"""Commands that train."""

from pathlib import Path
from typing import Annotated

import typer

from ..costs import estimate
from ..job import Dry, NoWait, SettingsFile, job
from ..source import staged_source


def train(settings: SettingsFile = None, dry_run: Dry = False, no_wait: NoWait = False) -> None:
    """Train as a job, on spot capacity unless the settings say otherwise.

    [dim]$[/] python -m training.jobs train --settings bincheck.toml --dry-run
    """
    from .. import training_job, waiting

    with job(settings, dry=dry_run) as our, staged_source() as source:
        chosen = our.settings.train
        inputs = training_job.channels(chosen)
        trainer = training_job.trainer(our.account, chosen, str(source))
        our.costs(estimate(chosen.instance_type, chosen.instances, chosen.max_hours, spot=chosen.spot))
        name = training_job.start(trainer, inputs, our.console)
        if not no_wait:
            told = waiting.wait(our.account, waiting.TRAINING, name, our.console)
            print(told["ModelArtifacts"]["S3ModelArtifacts"])


def profile(
    settings: SettingsFile = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the profile goes.")] = Path("runs"),
    dry_run: Dry = False,
) -> None:
    """Trace a few steps of training as a job; brings back a page on where the time goes and what to change.

    [dim]$[/] python -m training.jobs profile --settings bincheck.toml --out runs/gpu
    """
    from .. import training_job, waiting

    with job(settings, dry=dry_run) as our, staged_source() as source:
        chosen = training_job.profiled(our.settings.train)
        trainer = training_job.trainer(our.account, chosen, str(source))
        our.costs(estimate(chosen.instance_type, chosen.instances, chosen.max_hours, spot=chosen.spot))
        name = training_job.start(trainer, training_job.channels(chosen), our.console)
        told = waiting.wait(our.account, waiting.TRAINING, name, our.console)
        print(training_job.fetch_profile(our.account, told, out))
