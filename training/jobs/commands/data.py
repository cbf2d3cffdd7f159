"""Commands that make sets."""

from ..costs import estimate
from ..job import Dry, NoWait, SettingsFile, job
from ..source import staged_source


def prepare(settings: SettingsFile = None, dry_run: Dry = False, no_wait: NoWait = False) -> None:
    """Make a training set as a job, shared out over its instances; prints where in S3 it lies.

    [dim]$[/] python -m training.jobs prepare --settings bincheck.toml --dry-run
    """
    from sagemaker.core.common_utils import name_from_base

    from .. import processing_job, waiting

    with job(settings, dry=dry_run) as our, staged_source() as source:
        chosen, name = our.settings.prepare, name_from_base(processing_job.BASE_NAME)
        place = chosen.out or our.account.uri("prepared", name)
        arguments = processing_job.arguments(chosen)
        processor = processing_job.processor(our.account, chosen, processing_job.BASE_NAME, chosen.instances)
        our.costs(estimate(chosen.instance_type, chosen.instances, chosen.max_hours))
        processor.run(
            code=processing_job.CODE,
            source_dir=str(source),
            inputs=processing_job.inputs(chosen),
            outputs=processing_job.outputs(place),
            arguments=arguments,
            job_name=name,
            wait=False,
            logs=False,
        )
        our.console.print(f"Processing job {name} has started.", highlight=False)
        if not no_wait:
            waiting.wait(our.account, waiting.PROCESSING, name, our.console)
        if not our.dry:
            print(place)
