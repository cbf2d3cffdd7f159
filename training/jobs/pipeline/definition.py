"""The pipeline: prepare, train or tune, transform, judge; register and deploy a model that beats the champion.

An execution writes below pipeline/<execution> of the account's prefix in S3. `upsert` updates the pipeline only if code
or settings changed, because a new definition names new uploads and loses the cache.
"""

import hashlib
import logging
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sagemaker.core.helper.pipeline_variable import PipelineVariable
from sagemaker.core.training.configs import CheckpointConfig, InputData, Networking
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.core.workflow.properties import PropertyFile

from training.jobs.aws.account import TAGS, Account
from training.jobs.aws.images import serving_image
from training.jobs.errors import JobError
from training.jobs.pipeline.sdk import (
    CacheConfig,
    ConditionStep,
    ModelBuilder,
    ModelStep,
    Pipeline,
    ProcessingStep,
    TrainingStep,
    TransformStep,
    TuningStep,
    default_region,
)
from training.jobs.settings import Settings, dump
from training.jobs.steps import evaluation_job, processing_job, training_job, tuning_job
from training.jobs.steps.source import CONTAINER, entry_module

SOURCE, MARGIN = "Source", "Margin"
"""Names of the parameters: the s3:// URI of the bins, and the gain that a candidate needs, in nats a bin."""
REPORT, COMPARISON = evaluation_job.REPORT, "comparison.json"
PACKAGE = "package.json"
SETTINGS = "settings.toml"
"""File beside the code with the settings of the steps that register and deploy."""
REQUIREMENTS = f"{CONTAINER}/release_requirements.txt"
ABOUT = "Trains the counter and deploys it if it is better. Digest of code and settings:"


def pipeline(account: Account, settings: Settings, source: Path) -> Pipeline:
    """The pipeline of these settings; its definition uploads `source`, the folder of `staged_source`.

    Raises JobError when settings are missing or contradict each other.
    """
    if settings.prepare.instances > 1:
        raise JobError("prepare.instances must be 1 in a pipeline: the evaluation reads one index.csv")
    if "archives" in settings.prepare.options:
        raise JobError("leave archives out of [prepare.options]: a pipeline's batch transform reads image files")
    (source / SETTINGS).write_text(dump(settings))
    with default_region(account.region):
        return _assemble(account, settings, source)


def _assemble(account: Account, settings: Settings, source: Path) -> Pipeline:
    bins = ParameterString(name=SOURCE, default_value=settings.prepare.source)
    margin = ParameterFloat(name=MARGIN, default_value=settings.pipeline.margin)
    prepare = _prepare(account, settings, source, bins)
    prepared = _output(prepare, "set")
    if settings.pipeline.tune:
        train, archive = _tune(account, settings, source, prepared)
    else:
        train, archive = _train(account, settings, source, prepared)
    candidate = _candidate(account, settings, archive)
    transform = _transform(account, settings, prepared, candidate)
    judge, comparison = _judge(account, settings, source, prepared, transform)
    register, package = _register(account, settings, source, archive, judge)
    is_better = ConditionStep(
        name="IsBetter",
        conditions=[
            ConditionGreaterThanOrEqualTo(
                left=JsonGet(step_name=judge.name, property_file=comparison, json_path="gain.low"), right=margin
            )
        ],
        if_steps=[register, _deploy(account, settings, source, register, package)],
        else_steps=[],
    )
    return Pipeline(
        name=settings.pipeline.name,
        parameters=[bins, margin],
        pipeline_experiment_config=None,
        steps=[prepare, train, candidate, transform, judge, is_better],
        sagemaker_session=account.pipeline_session,
    )


def _prepare(account: Account, settings: Settings, source: Path, bins: ParameterString) -> ProcessingStep:
    chosen = settings.prepare
    arguments = processing_job.arguments(chosen)
    arguments[arguments.index("--source") + 1] = bins
    processor = processing_job.processor(account, chosen, processing_job.BASE_NAME, chosen.instances, in_pipeline=True)
    return ProcessingStep(
        name="Prepare",
        step_args=processor.run(
            code=processing_job.CODE,
            source_dir=str(source),
            inputs=processing_job.inputs(account, chosen),
            outputs=processing_job.outputs(_execution_uri(account, "set")),
            arguments=arguments,
        ),
        cache_config=_cache(settings),
    )


def _train(
    account: Account, settings: Settings, source: Path, prepared: PipelineVariable
) -> tuple[TrainingStep, PipelineVariable]:
    """The step, and the URI of its model.tar.gz."""
    trainer = training_job.trainer(account, settings.train, str(source), in_pipeline=True)
    trainer.checkpoint_config = CheckpointConfig(s3_uri=_sibling(prepared, "checkpoints"))
    train = TrainingStep(
        name="Train", step_args=trainer.train(_channels(account, settings, prepared)), cache_config=_cache(settings)
    )
    return train, train.properties.ModelArtifacts.S3ModelArtifacts


def _tune(
    account: Account, settings: Settings, source: Path, prepared: PipelineVariable
) -> tuple[TuningStep, PipelineVariable]:
    """The step, and the URI of the model.tar.gz of its best trial: each trial is a whole training."""
    tuner = tuning_job.tuner(account, settings, str(source), tuning_job.BASE_NAME, in_pipeline=True)
    tuner.model_trainer.checkpoint_config = CheckpointConfig(s3_uri=_sibling(prepared, "checkpoints"))
    tune = TuningStep(
        name="Tune",
        step_args=tuner.tune(_channels(account, settings, prepared), wait=False),
        cache_config=_cache(settings),
    )
    prefix = account.uri("train").removeprefix(f"s3://{account.bucket}/")
    return tune, tune.get_top_model_s3_uri(0, account.bucket, prefix)


def _channels(account: Account, settings: Settings, prepared: PipelineVariable) -> list[InputData]:
    data = InputData(channel_name="data", data_source=_joined(prepared, ""))
    return [data, *training_job.optional_channels(account, settings.train)]


def _candidate(account: Account, settings: Settings, archive: PipelineVariable) -> ModelStep:
    """The model that the transform serves."""
    aws, instance_type = account.settings, settings.evaluate.transform_instance_type
    builder = ModelBuilder(
        image_uri=serving_image(account.region, instance_type),
        s3_model_data_url=archive,
        instance_type=instance_type,
        role_arn=account.role,
        network=Networking(subnets=list(aws.subnets), security_group_ids=list(aws.security_groups))
        if aws.subnets
        else None,
        sagemaker_session=account.pipeline_session,
        log_level=logging.WARNING,
    )
    arguments = builder.build()
    arguments.create_model_request["Tags"] = TAGS  # the builder takes none
    return ModelStep(name="Candidate", step_args=arguments)


def _transform(account: Account, settings: Settings, prepared: PipelineVariable, candidate: ModelStep) -> TransformStep:
    chosen = settings.evaluate
    transformer = evaluation_job.transformer(
        account, chosen, candidate.properties.ModelName, _execution_uri(account, "answers"), in_pipeline=True
    )
    return TransformStep(
        name="Transform",
        step_args=transformer.transform(
            _joined(prepared, chosen.split, ""), content_type=evaluation_job.CONTENT_TYPE, wait=False, logs=False
        ),
    )


def _judge(
    account: Account, settings: Settings, source: Path, prepared: PipelineVariable, transform: TransformStep
) -> tuple[ProcessingStep, PropertyFile]:
    chosen = settings.evaluate
    inputs = {
        "index": _joined(prepared, "index.csv"),
        "metadata": _joined(prepared, "metadata", ""),
        "images": _joined(prepared, chosen.split, ""),
        "answers": transform.properties.TransformOutput.S3OutputPath,
    }
    comparison = PropertyFile(name="comparison", output_name="report", path=COMPARISON)
    processor = evaluation_job.judge(account, chosen, in_pipeline=True)
    processor.env |= {"AWS_DEFAULT_REGION": account.region}
    judge = ProcessingStep(
        name="Judge",
        step_args=processor.run(
            code=entry_module("compare"),
            source_dir=str(source),
            inputs=[
                *(processing_job.s3_input(name, place) for name, place in inputs.items()),
                *processing_job.package_inputs(account),
            ],
            outputs=evaluation_job.outputs(_execution_uri(account, "judged")),
            arguments=["--split", chosen.split, "--endpoint", settings.deploy.endpoint],
        ),
        property_files=[comparison],
    )
    return judge, comparison


def _register(
    account: Account, settings: Settings, source: Path, archive: PipelineVariable, judge: ProcessingStep
) -> tuple[ProcessingStep, PropertyFile]:
    package = PropertyFile(name="package", output_name="package", path=PACKAGE)
    register = ProcessingStep(
        name="Register",
        step_args=_releaser(account, settings).run(
            code=entry_module("release"),
            source_dir=str(source),
            requirements=REQUIREMENTS,
            inputs=[
                processing_job.s3_input("report", _output(judge, "report")),
                *processing_job.package_inputs(account),
            ],
            outputs=[processing_job.s3_output("package", _execution_uri(account, "registered"))],
            arguments=["register", "--model", archive],
        ),
        property_files=[package],
    )
    return register, package


def _deploy(
    account: Account, settings: Settings, source: Path, register: ProcessingStep, package: PropertyFile
) -> ProcessingStep:
    """A processing job: the SDK's own step for endpoints has no alarms, rollback or scaling."""
    arn = JsonGet(step_name=register.name, property_file=package, json_path="package")
    return ProcessingStep(
        name="Deploy",
        step_args=_releaser(account, settings).run(
            code=entry_module("release"),
            source_dir=str(source),
            requirements=REQUIREMENTS,
            inputs=processing_job.package_inputs(account),
            arguments=["deploy", "--package", arn],
        ),
    )


def _releaser(account: Account, settings: Settings) -> Any:
    name = f"{settings.pipeline.name}-release"
    made = processing_job.processor(account, settings.pipeline, name, 1, in_pipeline=True)
    made.env |= {"AWS_DEFAULT_REGION": account.region}
    return made


def _output(step: ProcessingStep, name: str) -> PipelineVariable:
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def _execution_uri(account: Account, *parts: str) -> Join:
    return _joined(account.uri("pipeline"), ExecutionVariables.PIPELINE_EXECUTION_ID, *parts)


def _joined(place: str | PipelineVariable, *parts: str | PipelineVariable) -> Join:
    return Join(on="/", values=[place, *parts])


def _sibling(place: PipelineVariable, name: str) -> Join:
    return Join(on="", values=[place, f"-{name}"])


def _cache(settings: Settings) -> CacheConfig | None:
    """Within this time a step with an equal request is not run again; None without a cache."""
    kept = settings.pipeline.cache
    return CacheConfig(enable_caching=True, expire_after=kept) if kept else None


def upsert(account: Account, settings: Settings, source: Path) -> bool:
    """Create or update the pipeline; returns whether anything had changed."""
    name = settings.pipeline.name
    made = pipeline(account, settings, source)
    description = f"{ABOUT} {_digest(source)}"
    current = describe(account, name)
    if current and current.get("PipelineDescription") == description:
        return False
    request = {
        "PipelineName": name,
        "PipelineDefinition": _definition(made),
        "PipelineDescription": description,
        "RoleArn": account.role,
    }
    sagemaker = account.client("sagemaker")
    if current:
        sagemaker.update_pipeline(**request)
    else:
        sagemaker.create_pipeline(**request, Tags=TAGS)
    return True


def _definition(made: Pipeline) -> str:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Running within a PipelineSession")
        return str(made.definition())


def _digest(source: Path) -> str:
    """Sixteen hex digits that change with a file of `source` (code and settings) or the SDK's version."""
    found = hashlib.sha256(version("sagemaker").encode())
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        found.update(f"\0{path.relative_to(source)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def describe(account: Account, name: str) -> dict[str, Any] | None:
    """The answer of DescribePipeline; None when there is no such pipeline."""
    sagemaker = account.client("sagemaker")
    pages = sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix=name)
    if not any(one["PipelineName"] == name for page in pages for one in page["PipelineSummaries"]):
        return None
    return dict(sagemaker.describe_pipeline(PipelineName=name))
