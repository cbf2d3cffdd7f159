"""Commands that train."""

from pathlib import Path
from typing import Annotated

import typer

from costs.job_costs import total
from training.jobs.commands.options import Dry, NoWait, SettingsFile
from training.jobs.context import JobContext, job_context
from training.jobs.errors import JobError
from training.jobs.steps.source import staged_source


def train(
    settings: SettingsFile = None,
    recipe: Annotated[
        str,
        typer.Option(help="Recipe in place of train.recipe; `full` prepares the whole public set and trains on it."),
    ] = "",
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder to download the evaluation on val to.")
    ] = None,
    dry_run: Dry = False,
    no_wait: NoWait = False,
) -> None:
    """Train in a job, on spot capacity by default; prints the s3:// URI of model.tar.gz.

    [dim]$[/] python -m training.jobs train --settings bincheck.toml --dry-run
    [dim]$[/] python -m training.jobs train --recipe full --settings bincheck.toml --dry-run
    """
    from training.jobs.steps import training_job, waiting

    source_folder = staged_source(for_serving=not dry_run)
    with job_context(settings, dry=dry_run, recipe=recipe) as context, source_folder as source:
        chosen = context.settings.train
        if chosen.prepare and not chosen.data:
            chosen = chosen.model_copy(update={"data": _prepared(context, source, no_wait=no_wait)})
        else:
            context.print_costs(training_job.cost(chosen))
        inputs = training_job.channels(context.account, chosen)
        trainer = training_job.trainer(context.account, chosen, str(source))
        name = training_job.start(trainer, inputs)
        context.print_started(f"Training job {name}")
        if not no_wait:
            description = waiting.wait(context.account, waiting.TRAINING, name, context.console)
            if out:
                training_job.fetch_output(context.account, description, out, only=training_job.EVALUATION)
            print(description["ModelArtifacts"]["S3ModelArtifacts"])


def _prepared(context: JobContext, source: Path, *, no_wait: bool) -> str:
    """Make the set that the training needs, after printing what both cost; its s3:// URI. A dry run does not wait.

    Raises JobError with `no_wait`, since the training cannot start before the set is there.
    """
    from training.jobs.steps import processing_job, training_job, waiting

    if no_wait:
        raise JobError("--no-wait would end before the set is made: leave it out, or name train.data")
    training_job.check(context.settings.train)
    steps = {
        "Prepare": processing_job.cost(context.settings.prepare),
        "Train": training_job.cost(context.settings.train),
    }
    for step, cost in steps.items():
        context.print_costs(cost, step)
    context.print_costs(total(list(steps.values())))
    name, place = processing_job.start(context.account, context.settings.prepare, source)
    context.print_started(f"Processing job {name}")
    if not context.dry:
        advice = f'With `data = "{place}"` in [train] the same command goes on from here.'
        waiting.wait(context.account, waiting.PROCESSING, name, context.console)
        context.console.print(advice, highlight=False, soft_wrap=True)
    return place


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
