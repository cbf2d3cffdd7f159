"""Commands that search for better options."""

from pathlib import Path
from typing import Annotated

import typer

from costs.job_costs import estimate
from training.jobs import settings as settings_file
from training.jobs.commands.options import Dry, NoWait, SettingsFile
from training.jobs.context import job_context
from training.jobs.steps.source import staged_source


def tune(
    settings: SettingsFile = None,
    warm_start: Annotated[
        str | None, typer.Option(metavar="JOB", help="An earlier tuning job whose trials are used too.")
    ] = None,
    best_to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write settings with which `train` repeats the best trial.")
    ] = None,
    dry_run: Dry = False,
    no_wait: NoWait = False,
) -> None:
    """Search for better options; each trial is a training job. Prints the name of the best one.

    [dim]$[/] python -m training.jobs tune --settings bincheck.toml --best-to best.toml
    """
    from sagemaker.core.common_utils import name_from_base

    from training.jobs.steps import training_job, tuning_job, waiting

    with job_context(settings, dry=dry_run) as context, staged_source(for_serving=not dry_run) as source:
        chosen, trial = context.settings.tune, context.settings.train
        name = name_from_base(tuning_job.BASE_NAME, tuning_job.NAME_LENGTH, short=True)
        inputs = training_job.channels(context.account, trial)
        tuner = tuning_job.tuner(context.account, context.settings, str(source), name, warm_start=warm_start)
        context.print_costs(training_job.cost(trial, chosen.jobs))
        searched, optimizer = tuning_job.searched_options(context.settings), tuning_job.optimizer_of(context.settings)
        context.console.print(f"It searches {', '.join(searched)} under {optimizer}.", highlight=False, soft_wrap=True)
        tuner.tune(inputs, job_name=name, wait=False)
        context.print_started(f"Tuning job {name}")
        if no_wait:
            return
        description = waiting.wait(context.account, waiting.TUNING, name, context.console)
        print(description["BestTrainingJob"]["TrainingJobName"])
        if best_to:
            best_to.write_text(settings_file.dump(tuning_job.with_best(context.settings, description)))


def best(
    name: Annotated[str, typer.Argument(metavar="JOB", help="A tuning job that has ended or is running.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Path of the settings.")],
    settings: SettingsFile = None,
) -> None:
    """Write settings with which `train` repeats the best trial of a tuning job.

    [dim]$[/] python -m training.jobs best JOB --settings bincheck.toml --out best.toml
    """
    from training.jobs.steps import tuning_job

    with job_context(settings, dry=False) as context:
        description = context.account.client("sagemaker").describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name
        )
        out.write_text(settings_file.dump(tuning_job.with_best(context.settings, description)))
        context.console.print(f"Next: `python -m training.jobs train --settings {out}`.", highlight=False)


def explore(
    settings: SettingsFile = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to download figures and page to.")] = Path(
        "runs/explored"
    ),
    dry_run: Dry = False,
) -> None:
    """Search with AutoGluon in a job; downloads its figures in the form of training.evaluate.

    [dim]$[/] python -m training.jobs explore --settings bincheck.toml --out runs/explored
    """
    from training.jobs.steps import explore_job, training_job, waiting

    with job_context(settings, dry=dry_run) as context, staged_source() as source:
        chosen = context.settings.explore
        channels = training_job.channels(context.account, context.settings.train)
        inputs = [one for one in channels if one.channel_name in ("data", "packages")]
        trainer = explore_job.trainer(context.account, chosen, str(source))
        context.print_costs(estimate(chosen.instance_type, 1, chosen.max_hours))
        name = training_job.start(trainer, inputs)
        context.print_started(f"Training job {name}")
        description = waiting.wait(context.account, waiting.TRAINING, name, context.console)
        training_job.fetch_output(context.account, description, out)
        print(out / "val.html")
