"""`evaluate` in SageMaker: the serving container answers for a split in a batch transform, and a job judges that."""

from sagemaker.core.processing import FrameworkProcessor
from sagemaker.core.shapes import ProcessingInput, ProcessingOutput
from sagemaker.core.transformer import Transformer

from costs.job_costs import Estimate, estimate
from inventory.addresses import S3Address
from training.jobs.aws.account import TAGS, Account
from training.jobs.errors import JobError
from training.jobs.settings import Evaluate, Settings
from training.jobs.steps.processing_job import package_inputs, processor, s3_input, s3_output
from training.jobs.steps.source import entry_module

BASE_NAME = "bincheck-evaluate"
CODE = entry_module("evaluate")
"""What the judging job runs: `run(code=CODE, source_dir=...)` with the folder of `staged_source`."""
REPORT, PAGE = "evaluation.json", "evaluation.html"
CONTENT_TYPE = "image/jpeg"
MAX_IMAGE_MB = 6
MAX_CONCURRENT_CALLS = 8
"""Calls that an instance gets at once; times the largest image, SageMaker wants it within 100 MB."""


def set_uri(settings: Settings) -> str:
    """s3:// of the set to judge on. Raises JobError when none is named."""
    if not (place := settings.evaluate.data or settings.train.data):
        raise JobError("evaluate.data is missing: name the s3:// of a set that `prepare` made")
    return place.rstrip("/")


def require_files(account: Account, place: str) -> None:
    """Raise JobError when the set at s3:// `place` has archives, whose images a batch transform cannot read."""
    folder = S3Address.parse(place).folder
    found = account.client("s3").list_objects_v2(Bucket=folder.bucket, Prefix=f"{folder.key}images-", MaxKeys=1)
    if found.get("Contents"):
        cure = "prepare it without archives, or take the evaluation on val that the training job left"
        raise JobError(f"{place} has archives, and a batch transform reads image files: {cure}")


def transformer(
    account: Account, settings: Evaluate, model: str, answers: str, *, in_pipeline: bool = False
) -> Transformer:
    """The batch transform of a SageMaker model, not started yet: one image a call, answers to s3:// `answers`."""
    aws = account.settings
    return Transformer(
        model_name=model,
        instance_count=settings.transform_instances,
        instance_type=settings.transform_instance_type,
        strategy="SingleRecord",
        accept="application/json",
        max_concurrent_transforms=MAX_CONCURRENT_CALLS,
        max_payload=MAX_IMAGE_MB,
        output_path=answers,
        output_kms_key=aws.kms_key or None,
        volume_kms_key=aws.kms_key or None,
        base_transform_job_name=BASE_NAME,
        sagemaker_session=account.pipeline_session if in_pipeline else account.session,
        tags=TAGS,
    )


def judge(account: Account, settings: Evaluate, *, in_pipeline: bool = False) -> FrameworkProcessor:
    """The job that judges, not started yet."""
    return processor(account, settings, BASE_NAME, 1, in_pipeline=in_pipeline)


def costs(settings: Evaluate) -> dict[str, Estimate]:
    """What each step costs."""
    transform = estimate(
        settings.transform_instance_type, settings.transform_instances, settings.max_hours, unlimited=True
    )
    return {"Transform": transform, "Judge": estimate(settings.instance_type, 1, settings.max_hours)}


def inputs(account: Account, place: str, split: str, answers: str) -> list[ProcessingInput]:
    """What of the set at s3:// `place` the judging job reads, and the answers of the transform."""
    places = {
        "index": f"{place}/index.csv",
        "metadata": f"{place}/metadata/",
        "images": f"{place}/{split}/",
        "answers": answers,
    }
    return [*(s3_input(name, uri) for name, uri in places.items()), *package_inputs(account)]


def outputs(place: str) -> list[ProcessingOutput]:
    """REPORT and PAGE, at s3:// `place`."""
    return [s3_output("report", place)]
