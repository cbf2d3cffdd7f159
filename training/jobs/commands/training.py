"""Commands that train."""

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
        trainer.train(inputs, wait=False, logs=False)
        name = str(trainer._latest_training_job.training_job_name)  # the SDK tells it nowhere else
        our.console.print(f"Training job {name} has started.", highlight=False)
        if not no_wait:
            told = waiting.wait(our.account, waiting.TRAINING, name, our.console)
            print(told["ModelArtifacts"]["S3ModelArtifacts"])
