"""`train` as a SageMaker training job: on a GPU or many, on spot capacity, resumed where it was killed."""

import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from tempfile import TemporaryFile
from typing import Any

from sagemaker.core.training.configs import (
    CheckpointConfig,
    Compute,
    InputData,
    MetricDefinition,
    Networking,
    OutputDataConfig,
    RetryStrategy,
    SourceCode,
    StoppingCondition,
    Tag,
    TensorBoardOutputConfig,
)
from sagemaker.train import ModelTrainer
from sagemaker.train.distributed import Torchrun

from costs.job_costs import Estimate, estimate
from inventory.addresses import S3Address
from training.jobs.aws.account import Account
from training.jobs.aws.images import training_image
from training.jobs.errors import JobError
from training.jobs.settings import Option, Train
from training.jobs.steps.archives import unpack
from training.jobs.steps.run_record import data_digest, environment, tags
from training.jobs.steps.source import REQUIREMENTS, entry_script
from training.loop.epoch_line import figure_regex

BASE_NAME = "bincheck-train"
CHANNELS = "/opt/ml/input/data"
METRICS = (
    *("epoch", "train_loss", "val_loss", "val_log_loss", "val_accuracy_0_5", "val_standardised_accuracy"),
    *("val_standardised_rmse", "val_within_one_0_5", "val_calibration_error"),
)
"""Figures of the line that `training.train` prints after each epoch."""
EVALUATION = "evaluation"
"""Folder of a job's output with the evaluation of what it trained, on val."""
HOUR_S = 3600


def trainer(account: Account, settings: Train, source: str, *, in_pipeline: bool = False) -> ModelTrainer:
    """The job, not started yet; `source` is the folder of `staged_source`.

    Raises JobError when settings contradict each other.
    """
    check(settings)
    aws = account.settings
    digest = "" if in_pipeline else data_digest(account, settings.data)
    made = ModelTrainer(
        sagemaker_session=account.pipeline_session if in_pipeline else account.session,
        role=account.role,
        base_job_name=BASE_NAME,
        training_image=training_image(account.region, settings),
        source_code=SourceCode(source_dir=source, entry_script=entry_script("train"), requirements=REQUIREMENTS),
        distributed=Torchrun(process_count_per_node=settings.processes or None),
        compute=Compute(
            instance_type=settings.instance_type,
            instance_count=settings.instances,
            volume_size_in_gb=settings.volume_gb,
            volume_kms_key_id=aws.kms_key or None,
            keep_alive_period_in_seconds=settings.keep_alive_minutes * 60 or None,
            enable_managed_spot_training=settings.spot,
        ),
        networking=Networking(
            subnets=list(aws.subnets) or None,
            security_group_ids=list(aws.security_groups) or None,
            enable_inter_container_traffic_encryption=settings.instances > 1,
        ),
        stopping_condition=StoppingCondition(
            max_runtime_in_seconds=round(settings.max_hours * HOUR_S),
            max_wait_time_in_seconds=round(settings.max_wait_hours * HOUR_S) if settings.spot else None,
        ),
        output_data_config=OutputDataConfig(s3_output_path=account.uri("train"), kms_key_id=aws.kms_key or None),
        checkpoint_config=CheckpointConfig(),
        environment=environment(account, packages=f"{CHANNELS}/packages", data=digest, tracked=True),
        hyperparameters=hyperparameters(settings),
        tags=[Tag(key=key, value=value) for key, value in tags(settings, digest).items()],
    )
    made.with_metric_definitions([MetricDefinition(name=name, regex=figure_regex(name)) for name in METRICS])
    made.with_tensorboard_output_config(TensorBoardOutputConfig(s3_output_path=account.uri("tensorboard")))
    if settings.retries:
        made.with_retry_strategy(RetryStrategy(maximum_retry_attempts=settings.retries))
    return made


def check(settings: Train) -> None:
    """Raise JobError when settings contradict each other."""
    if settings.spot and settings.keep_alive_minutes:
        raise JobError("train.spot and train.keep_alive_minutes exclude each other: spot capacity is never kept warm")
    if settings.spot and settings.max_wait_hours < settings.max_hours:
        raise JobError("train.max_wait_hours holds the computing too: make it at least train.max_hours")


def hyperparameters(settings: Train) -> dict[str, Option]:
    """Every option of the recipe and of the settings, by its name on the command line of `training.train`."""
    options = {"seed": 0} | settings.options
    if settings.weights:
        options["weights"] = f"{CHANNELS}/weights/{settings.weights.rsplit('/', 1)[-1]}"
    return {name.replace("_", "-"): value for name, value in options.items()}


def channels(account: Account, settings: Train) -> list[InputData]:
    """The data that the job reads, by the names that `training.train` finds in its environment."""
    if not settings.data:
        raise JobError("train.data is missing: name the s3:// of a set that `prepare` made")
    return [InputData(channel_name="data", data_source=settings.data), *optional_channels(account, settings)]


def optional_channels(account: Account, settings: Train) -> list[InputData]:
    """The channels that a training can do without."""
    named = {
        "extra": settings.extra,
        "teacher": settings.teacher,
        "weights": settings.weights,
        "packages": account.settings.packages,
    }
    return [InputData(channel_name=name, data_source=uri) for name, uri in named.items() if uri]


def start(trainer: ModelTrainer, inputs: list[InputData]) -> str:
    """Start a training job; returns its name."""
    trainer.train(inputs, wait=False, logs=False)
    return str(trainer.output_data).rsplit("/", 3)[1]  # s3://.../<name>/output/output.tar.gz


def cost(settings: Train, jobs: int = 1) -> Estimate:
    """What that many jobs cost."""
    return estimate(
        settings.instance_type,
        settings.instances * jobs,
        settings.max_hours,
        spot=settings.spot,
        retries=settings.retries,
        keep_alive_hours=settings.keep_alive_minutes / 60,
    )


def with_profile(settings: Train) -> Train:
    """The same job, which traces a few steps and stops."""
    return settings.model_copy(update={"options": settings.options | {"profile": True}})


def fetch_profile(account: Account, description: Mapping[str, Any], out: Path) -> Path:
    """Bring the profile of a job, by its description, to a folder; returns its summary.

    Raises JobError when the job left none.
    """
    fetch_output(account, description, out, only="profile")
    summary = out / "profile" / "summary.html"
    if not summary.is_file():
        name = description["TrainingJobName"]
        raise JobError(f"{name} left no profile: more steps are needed, so raise epochs in [train.options]")
    return summary


def fetch_output(account: Account, description: Mapping[str, Any], out: Path, *, only: str = "") -> None:
    """Bring what a job wrote beside its model, by its description, to a folder; or `only` one file or folder of it."""
    place = f"{description['OutputDataConfig']['S3OutputPath']}/{description['TrainingJobName']}/output/output.tar.gz"
    address = S3Address.parse(place)
    with TemporaryFile() as archive:
        account.client("s3").download_fileobj(address.bucket, address.key, archive)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            unpack(tar, out, lambda name: not only or only in PurePosixPath(name).parts)
