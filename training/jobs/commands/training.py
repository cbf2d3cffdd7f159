"""Commands that train."""

from pathlib import Path
from typing import Annotated

import typer

from training.jobs.commands.options import Dry, NoWait, SettingsFile
from training.jobs.context import job_context
from training.jobs.steps.source import staged_source


def train(settings: SettingsFile = None, dry_run: Dry = False, no_wait: NoWait = False) -> None:
    """Train in a job, on spot capacity by default; prints the s3:// URI of model.tar.gz.

    [dim]$[/] python -m training.jobs train --settings bincheck.toml --dry-run
    """
    from training.jobs.steps import training_job, waiting

    with job_context(settings, dry=dry_run) as context, staged_source(for_serving=not dry_run) as source:
        chosen = context.settings.train
        inputs = training_job.channels(context.account, chosen)
        trainer = training_job.trainer(context.account, chosen, str(source))
        context.print_costs(training_job.cost(chosen))
        name = training_job.start(trainer, inputs)
        context.print_started(f"Training job {name}")
        if not no_wait:
            description = waiting.wait(context.account, waiting.TRAINING, name, context.console)
            print(description["ModelArtifacts"]["S3ModelArtifacts"])


def profile(
    settings: SettingsFile = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to download the profile to.")] = Path("runs"),
    dry_run: Dry = False,
) -> None:
    """Profile a few steps of training in a job; downloads a page that says where the time goes and what to change.

    [dim]$[/] python -m training.jobs profile --settings bincheck.toml --out runs/gpu
    """
    from training.jobs.steps import training_job, waiting

    with job_context(settings, dry=dry_run) as context, staged_source() as source:
        chosen = training_job.with_profile(context.settings.train)
        trainer = training_job.trainer(context.account, chosen, str(source))
        context.print_costs(training_job.cost(chosen))
        name = training_job.start(trainer, training_job.channels(context.account, chosen))
        context.print_started(f"Training job {name}")
        description = waiting.wait(context.account, waiting.TRAINING, name, context.console)
        print(training_job.fetch_profile(context.account, description, out))
