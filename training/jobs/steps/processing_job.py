"""`prepare` as a SageMaker processing job: straight from a bucket, the images shared out over its instances."""

from pathlib import Path

from sagemaker.core.common_utils import name_from_base
from sagemaker.core.helper.pipeline_variable import PipelineVariable
from sagemaker.core.network import NetworkConfig
from sagemaker.core.processing import FrameworkProcessor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput, ProcessingS3Input, ProcessingS3Output

from costs.job_costs import Estimate, estimate
from training.jobs.aws.account import Account
from training.jobs.aws.images import training_image
from training.jobs.errors import JobError
from training.jobs.settings import Prepare, Processing
from training.jobs.steps.run_record import environment, tags
from training.jobs.steps.source import entry_module

BASE_NAME = "bincheck-prepare"
CODE = entry_module("prepare")
"""What the job runs: `run(code=CODE, source_dir=...)` with the folder of `staged_source`."""
FOLDER = "/opt/ml/processing"
LISTS = ("ids", "labels", "val_ids")
HOUR_S = 3600


def processor(
    account: Account, settings: Processing, base_name: str, instances: int, *, in_pipeline: bool = False
) -> FrameworkProcessor:
    """The job, not started yet."""
    aws = account.settings
    return FrameworkProcessor(
        image_uri=training_image(account.region, settings),
        role=account.role,
        instance_count=instances,
        instance_type=settings.instance_type,
        command=["python", "-m"],  # the SDK drops the folder of a script
        volume_size_in_gb=settings.volume_gb,
        volume_kms_key=aws.kms_key or None,
        output_kms_key=aws.kms_key or None,
        max_runtime_in_seconds=round(settings.max_hours * HOUR_S),
        base_job_name=base_name,
        sagemaker_session=account.pipeline_session if in_pipeline else account.session,
        env=environment(account, packages=f"{FOLDER}/input/packages"),
        tags=[{"Key": key, "Value": value} for key, value in tags().items()],
        network_config=NetworkConfig(
            subnets=list(aws.subnets) or None, security_group_ids=list(aws.security_groups) or None
        ),
    )


def s3_input(name: str, place: str | PipelineVariable) -> ProcessingInput:
    """An input: the objects at s3:// `place`, in the job's folder input/<name>."""
    fetched = ProcessingS3Input(
        s3_uri=place, local_path=f"{FOLDER}/input/{name}", s3_data_type="S3Prefix", s3_input_mode="File"
    )
    return ProcessingInput(input_name=name, s3_input=fetched)


def s3_output(name: str, place: str | PipelineVariable) -> ProcessingOutput:
    """An output: the job's folder output, uploaded to s3:// `place`."""
    uploaded = ProcessingS3Output(s3_uri=place, local_path=f"{FOLDER}/output", s3_upload_mode="EndOfJob")
    return ProcessingOutput(output_name=name, s3_output=uploaded)


def package_inputs(account: Account) -> list[ProcessingInput]:
    """The folder of wheels that pip installs from, if the settings name one."""
    return [s3_input("packages", account.settings.packages)] if account.settings.packages else []


def inputs(account: Account, settings: Prepare) -> list[ProcessingInput]:
    """The lists that the settings name, files here or in S3, and the wheels."""
    lists = [s3_input(name, place) for name in LISTS if (place := getattr(settings, name))]
    return [*lists, *package_inputs(account)]


def outputs(place: str) -> list[ProcessingOutput]:
    """The set, at s3:// `place`: what all instances made, together."""
    return [s3_output("set", place)]


def arguments(settings: Prepare) -> list[str]:
    """The command line of `training.prepare`. Raises JobError when no source is named."""
    if not settings.source:
        raise JobError("prepare.source is missing: name the s3:// of bins in the inbox layout")
    words = ["--source", settings.source]
    for name in LISTS:
        if place := getattr(settings, name):
            words += [_option(name), f"{FOLDER}/input/{name}/{place.rsplit('/', 1)[-1]}"]
    for name, value in settings.options.items():
        values = value if isinstance(value, tuple) else (value,)
        words += [_option(name), *map(str, values)]
    return words


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def cost(settings: Prepare) -> Estimate:
    """What the job costs."""
    return estimate(settings.instance_type, settings.instances, settings.max_hours)


def start(account: Account, settings: Prepare, source: Path) -> tuple[str, str]:
    """Start the job with the folder of `staged_source`; returns its name and the s3:// URI of the set.

    Raises JobError when no bins are named.
    """
    name = name_from_base(BASE_NAME)
    place = settings.out or account.uri("prepared", name)
    processor(account, settings, BASE_NAME, settings.instances).run(
        code=CODE,
        source_dir=str(source),
        inputs=inputs(account, settings),
        outputs=outputs(place),
        arguments=arguments(settings),
        job_name=name,
        wait=False,
        logs=False,
    )
    return name, place
