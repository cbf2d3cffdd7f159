"""Commands that make sets."""

from costs.job_costs import estimate
from training.jobs.commands.options import Dry, NoWait, SettingsFile
from training.jobs.context import job_context
from training.jobs.steps.source import staged_source


def prepare(settings: SettingsFile = None, dry_run: Dry = False, no_wait: NoWait = False) -> None:
    """Make a training set in a processing job whose instances share the images; prints its s3:// URI.

    [dim]$[/] python -m training.jobs prepare --settings bincheck.toml --dry-run
    """
    from sagemaker.core.common_utils import name_from_base

    from training.jobs.steps import processing_job, waiting

    with job_context(settings, dry=dry_run) as context, staged_source() as source:
        chosen, name = context.settings.prepare, name_from_base(processing_job.BASE_NAME)
        place = chosen.out or context.account.uri("prepared", name)
        arguments = processing_job.arguments(chosen)
        processor = processing_job.processor(context.account, chosen, processing_job.BASE_NAME, chosen.instances)
        context.print_costs(estimate(chosen.instance_type, chosen.instances, chosen.max_hours))
        processor.run(
            code=processing_job.CODE,
            source_dir=str(source),
            inputs=processing_job.inputs(context.account, chosen),
            outputs=processing_job.outputs(place),
            arguments=arguments,
            job_name=name,
            wait=False,
            logs=False,
        )
        context.print_started(f"Processing job {name}")
        if not no_wait:
            waiting.wait(context.account, waiting.PROCESSING, name, context.console)
        if not context.dry:
            print(place)
