"""`explore` as a SageMaker training job, in AutoGluon's own container."""

from sagemaker.core.training.configs import (
    Compute,
    Networking,
    OutputDataConfig,
    SourceCode,
    StoppingCondition,
    Tag,
)
from sagemaker.train import ModelTrainer

from training.jobs.aws.account import Account
from training.jobs.aws.images import managed_image
from training.jobs.settings import Explore
from training.jobs.steps.run_record import environment, tags
from training.jobs.steps.source import CONTAINER, entry_script
from training.jobs.steps.training_job import CHANNELS

BASE_NAME = "bincheck-explore"
PYTHON = "py311"
REQUIREMENTS = f"{CONTAINER}/explore_requirements.txt"
MINUTES_TO_END = 15
"""Of max_hours, kept for starting, judging and uploading."""


def image(region: str, settings: Explore) -> str:
    """AutoGluon's training container, for the GPU or the CPU of the instance."""
    return managed_image("autogluon", region, settings.image, settings.instance_type, "training", PYTHON)


def trainer(account: Account, settings: Explore, source: str) -> ModelTrainer:
    """The job, not started yet; `source` is the folder of `staged_source`."""
    aws = account.settings
    minutes = max(1, round(settings.max_hours * 60) - MINUTES_TO_END)
    options = {"trials": settings.trials, "minutes": minutes} | settings.options
    return ModelTrainer(
        sagemaker_session=account.session,
        role=account.role,
        base_job_name=BASE_NAME,
        training_image=image(account.region, settings),
        source_code=SourceCode(source_dir=source, entry_script=entry_script("explore"), requirements=REQUIREMENTS),
        compute=Compute(
            instance_type=settings.instance_type,
            instance_count=1,
            volume_size_in_gb=settings.volume_gb,
            volume_kms_key_id=aws.kms_key or None,
        ),
        networking=Networking(subnets=list(aws.subnets) or None, security_group_ids=list(aws.security_groups) or None),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=round(settings.max_hours * 3600)),
        output_data_config=OutputDataConfig(s3_output_path=account.uri("explore"), kms_key_id=aws.kms_key or None),
        hyperparameters={name.replace("_", "-"): value for name, value in options.items()},
        environment=environment(account, packages=f"{CHANNELS}/packages"),
        tags=[Tag(key=key, value=value) for key, value in tags().items()],
    )
