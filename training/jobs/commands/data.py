"""Commands that make sets."""

from training.jobs.commands.options import Dry, NoWait, SettingsFile
from training.jobs.context import job_context
from training.jobs.steps.source import staged_source


def prepare(settings: SettingsFile = None, dry_run: Dry = False, no_wait: NoWait = False) -> None:
    """Make a training set in a processing job whose instances share the images; prints its s3:// URI.

    [dim]$[/] python -m training.jobs prepare --settings bincheck.toml --dry-run
    """
    from training.jobs.steps import processing_job, waiting

    with job_context(settings, dry=dry_run) as context, staged_source() as source:
        context.print_costs(processing_job.cost(context.settings.prepare))
        name, place = processing_job.start(context.account, context.settings.prepare, source)
        context.print_started(f"Processing job {name}")
        if not no_wait:
            waiting.wait(context.account, waiting.PROCESSING, name, context.console)
        if not context.dry:
            print(place)
