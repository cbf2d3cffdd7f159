"""The pipeline: prepare, train or tune, transform, judge; if better than the champion, register and deploy.

Everything that a run leaves lies below pipeline/<execution> of the account's place in S3. `upsert` brings the pipeline
up to date only when code or settings changed: a definition made anew would name new uploads and lose the cache.
"""

import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console
from sagemaker.core.helper.pipeline_variable import PipelineVariable
from sagemaker.core.training.configs import CheckpointConfig, InputData
from sagemaker.core.workflow.conditions import ConditionGreaterThanOrEqualTo
from sagemaker.core.workflow.execution_variables import ExecutionVariables
from sagemaker.core.workflow.functions import Join, JsonGet
from sagemaker.core.workflow.parameters import ParameterFloat, ParameterString
from sagemaker.core.workflow.pipeline_context import _ModelStepArguments
from sagemaker.core.workflow.properties import PropertyFile

from . import deployment, evaluation_job, objects, processing_job, training_job, tuning_job, waiting
from .account import TAGS, Account
from .errors import JobError, JobFailed
from .images import serving_image
from .pipeline_steps import (
    CacheConfig,
    ConditionStep,
    ModelStep,
    Pipeline,
    ProcessingStep,
    TrainingStep,
    TransformStep,
    TuningStep,
)
from .settings import Settings, dump
from .source import CONTAINER, entry_module

SOURCE, MARGIN = "Source", "Margin"
"""Parameters: the bins, and the gain in nats a bin, beyond chance, that a candidate needs."""
REPORT, COMPARISON = evaluation_job.REPORT, "comparison.json"
PACKAGE = "package.json"
SETTINGS = "settings.toml"
"""What the steps that register and deploy go by; lies beside the code."""
REQUIREMENTS = f"{CONTAINER}/release_requirements.txt"
ABOUT = "Trains the counter anew and deploys it if it is better. Made of"
LOGS = {
    "TrainingJob": waiting.TRAINING,
    "TuningJob": waiting.TUNING,
    "ProcessingJob": waiting.PROCESSING,
    "TransformJob": waiting.TRANSFORM,
}
"""Who keeps the log of a step, by what its description calls its job."""


@dataclass(frozen=True)
class Ended:
    """An execution that ended well: whether it deployed its candidate, and its comparison.json."""

    deployed: bool
    comparison: str

    @property
    def candidate(self) -> str:
        """Name of the model that it trained."""
        return str(json.loads(self.comparison)["candidate"]["model"])


def pipeline(account: Account, settings: Settings, source: Path) -> Pipeline:
    """The pipeline of these settings; its definition uploads `source`, the folder of `staged_source`.

    Raises JobError when settings are missing or contradict each other.
    """
    if settings.prepare.instances > 1:
        raise JobError("prepare.instances has to be 1 in a pipeline: what is judged is looked up in one index.csv")
    (source / SETTINGS).write_text(dump(settings))
    bins = ParameterString(name=SOURCE, default_value=settings.prepare.source)
    margin = ParameterFloat(name=MARGIN, default_value=settings.pipeline.margin)
    prepare = _prepare(account, settings, source, bins)
    prepared = _output(prepare, "set")
    if settings.pipeline.tune:
        train, archive = _tune(account, settings, source, prepared)
    else:
        train, archive = _train(account, settings, source, prepared)
    container = {
        "Image": serving_image(account.region, settings.evaluate.transform_instance_type),
        "ModelDataUrl": archive,
    }
    candidate = ModelStep(name="Candidate", step_args=_model(account, deployment.model(account, container)))
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
    words = processing_job.arguments(chosen)
    words[words.index("--source") + 1] = bins
    processor = processing_job.processor(account, chosen, processing_job.BASE_NAME, chosen.instances, in_pipeline=True)
    return ProcessingStep(
        name="Prepare",
        step_args=processor.run(
            code=processing_job.CODE,
            source_dir=str(source),
            inputs=processing_job.inputs(chosen),
            outputs=processing_job.outputs(_of_run(account, "set")),
            arguments=words,
        ),
        cache_config=_cache(settings),
    )


def _train(
    account: Account, settings: Settings, source: Path, prepared: PipelineVariable
) -> tuple[TrainingStep, PipelineVariable]:
    """The step, and where its model.tar.gz lies."""
    trainer = training_job.trainer(account, settings.train, str(source), in_pipeline=True)
    trainer.checkpoint_config = CheckpointConfig(s3_uri=_beside(prepared, "checkpoints"))
    train = TrainingStep(
        name="Train", step_args=trainer.train(_channels(settings, prepared)), cache_config=_cache(settings)
    )
    return train, train.properties.ModelArtifacts.S3ModelArtifacts


def _tune(
    account: Account, settings: Settings, source: Path, prepared: PipelineVariable
) -> tuple[TuningStep, PipelineVariable]:
    """The step, and where its best trial's model.tar.gz lies: a trial is a whole training."""
    tuner = tuning_job.tuner(account, settings, str(source), tuning_job.BASE_NAME, in_pipeline=True)
    tuner.model_trainer.checkpoint_config = CheckpointConfig(s3_uri=_beside(prepared, "checkpoints"))
    tune = TuningStep(
        name="Tune",
        step_args=tuner.tune(_channels(settings, prepared), wait=False),
        cache_config=_cache(settings),
    )
    prefix = account.uri("train").removeprefix(f"s3://{account.bucket}/")
    return tune, tune.get_top_model_s3_uri(0, account.bucket, prefix)


def _channels(settings: Settings, prepared: PipelineVariable) -> list[InputData]:
    data = InputData(channel_name="data", data_source=_below(prepared, ""))
    return [data, *training_job.further_channels(settings.train)]


def _model(account: Account, request: dict[str, Any]) -> _ModelStepArguments:
    """What a ModelStep takes: the SDK would have its own ModelBuilder make it, which packs a model of its own."""
    session = account.pipeline_session
    session.init_model_step_arguments(SimpleNamespace(sagemaker_session=session))
    return session._intercept_create_request(request, None, "create_model")


def _transform(account: Account, settings: Settings, prepared: PipelineVariable, candidate: ModelStep) -> TransformStep:
    chosen = settings.evaluate
    transformer = evaluation_job.transformer(
        account, chosen, candidate.properties.ModelName, _of_run(account, "answers"), in_pipeline=True
    )
    return TransformStep(
        name="Transform",
        step_args=transformer.transform(
            _below(prepared, chosen.split, ""), content_type=evaluation_job.CONTENT_TYPE, wait=False, logs=False
        ),
    )


def _judge(
    account: Account, settings: Settings, source: Path, prepared: PipelineVariable, transform: TransformStep
) -> tuple[ProcessingStep, PropertyFile]:
    chosen = settings.evaluate
    given = {
        "index": _below(prepared, "index.csv"),
        "metadata": _below(prepared, "metadata", ""),
        "pictures": _below(prepared, chosen.split, ""),
        "answers": transform.properties.TransformOutput.S3OutputPath,
    }
    comparison = PropertyFile(name="comparison", output_name="report", path=COMPARISON)
    processor = evaluation_job.judge(account, chosen, in_pipeline=True)
    processor.env = {"AWS_DEFAULT_REGION": account.region}
    judge = ProcessingStep(
        name="Judge",
        step_args=processor.run(
            code=entry_module("compare"),
            source_dir=str(source),
            inputs=[processing_job.given(name, place) for name, place in given.items()],
            outputs=evaluation_job.outputs(_of_run(account, "judged")),
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
            code=entry_module("register"),
            source_dir=str(source),
            requirements=REQUIREMENTS,
            inputs=[processing_job.given("report", _output(judge, "report"))],
            outputs=[processing_job.left("package", _of_run(account, "registered"))],
            arguments=["--model", archive],
        ),
        property_files=[package],
    )
    return register, package


def _deploy(
    account: Account, settings: Settings, source: Path, register: ProcessingStep, package: PropertyFile
) -> ProcessingStep:
    """A job of our own: the pipeline's own step for endpoints knows neither alarms, rollback nor scaling."""
    arn = JsonGet(step_name=register.name, property_file=package, json_path="package")
    return ProcessingStep(
        name="Deploy",
        step_args=_releaser(account, settings).run(
            code=entry_module("deploy"),
            source_dir=str(source),
            requirements=REQUIREMENTS,
            arguments=["--package", arn],
        ),
    )


def _releaser(account: Account, settings: Settings) -> Any:
    name = f"{settings.pipeline.name}-release"
    made = processing_job.processor(account, settings.pipeline, name, 1, in_pipeline=True)
    made.env = {"AWS_DEFAULT_REGION": account.region}
    return made


def _output(step: ProcessingStep, name: str) -> PipelineVariable:
    return step.properties.ProcessingOutputConfig.Outputs[name].S3Output.S3Uri


def _of_run(account: Account, *parts: str) -> Join:
    return _below(account.uri("pipeline"), ExecutionVariables.PIPELINE_EXECUTION_ID, *parts)


def _below(place: str | PipelineVariable, *parts: str | PipelineVariable) -> Join:
    return Join(on="/", values=[place, *parts])


def _beside(place: PipelineVariable, name: str) -> Join:
    return Join(on="", values=[place, f"-{name}"])


def _cache(settings: Settings) -> CacheConfig | None:
    """A step whose request is the same is not run again within that time."""
    kept = settings.pipeline.cache
    return CacheConfig(enable_caching=True, expire_after=kept) if kept else None


def upsert(account: Account, settings: Settings, source: Path) -> bool:
    """Make the pipeline, or bring it up to date; whether there was anything to do."""
    name = settings.pipeline.name
    made = pipeline(account, settings, source)
    description = f"{ABOUT} {_digest(source)}"
    before = find(account, name)
    if before and before.get("PipelineDescription") == description:
        return False
    request = {
        "PipelineName": name,
        "PipelineDefinition": _definition(made),
        "PipelineDescription": description,
        "RoleArn": account.role,
    }
    sagemaker = account.client("sagemaker")
    if before:
        sagemaker.update_pipeline(**request)
    else:
        sagemaker.create_pipeline(**request, Tags=TAGS)
    return True


def _definition(made: Pipeline) -> str:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Running within a PipelineSession")
        return str(made.definition())


def _digest(source: Path) -> str:
    """Of all that a definition is made of: code and settings in `source`, and the SDK."""
    found = hashlib.sha256(version("sagemaker").encode())
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        found.update(f"\0{path.relative_to(source)}\0".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def find(account: Account, name: str) -> dict[str, Any] | None:
    """What DescribePipeline says of the pipeline; None when there is none."""
    sagemaker = account.client("sagemaker")
    pages = sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix=name)
    if not any(one["PipelineName"] == name for page in pages for one in page["PipelineSummaries"]):
        return None
    return dict(sagemaker.describe_pipeline(PipelineName=name))


def start(account: Account, name: str, parameters: Mapping[str, str]) -> str:
    """Start the pipeline, with other `parameters` than its defaults; returns the execution's ARN."""
    given = [{"Name": name, "Value": value} for name, value in parameters.items()]
    started = account.client("sagemaker").start_pipeline_execution(PipelineName=name, PipelineParameters=given)
    return str(started["PipelineExecutionArn"])


def follow(account: Account, execution: str, console: Console, sleep: Callable[[float], None] = time.sleep) -> Ended:
    """Wait for an execution, its steps in view; what came of it, once it has ended well.

    Raises JobFailed when it failed or was stopped, with the step, the reason and the last lines of its log.
    """
    sagemaker = account.client("sagemaker")
    with console.status("starting") as spinner:
        while True:
            told = sagemaker.describe_pipeline_execution(PipelineExecutionArn=execution)
            steps = _steps(account, execution)
            if told["PipelineExecutionStatus"] not in ("Executing", "Stopping"):
                break
            spinner.update(", ".join(f"{one['StepName']} {one['StepStatus'].lower()}" for one in steps) or "starting")
            sleep(waiting.POLL_S)
    if told["PipelineExecutionStatus"] != "Succeeded":
        raise JobFailed("\n".join(_why(account, told, steps)))
    compared = f"{account.uri('pipeline', execution.rsplit('/', 1)[-1], 'judged')}/{COMPARISON}"
    deployed = any(one["StepName"] == "Deploy" and one["StepStatus"] == "Succeeded" for one in steps)
    return Ended(deployed, objects.get(account, compared).decode())


def _steps(account: Account, execution: str) -> list[dict[str, Any]]:
    pages = (
        account.client("sagemaker")
        .get_paginator("list_pipeline_execution_steps")
        .paginate(PipelineExecutionArn=execution, SortOrder="Ascending")
    )
    return [step for page in pages for step in page["PipelineExecutionSteps"]]


def _why(account: Account, told: Mapping[str, Any], steps: list[dict[str, Any]]) -> Iterator[str]:
    """Lines that say what went wrong, and where."""
    execution = told["PipelineExecutionArn"]
    yield f"{execution} did not end well: {told.get('FailureReason') or told['PipelineExecutionStatus']}"
    for step in steps:
        if step["StepStatus"] != "Failed":
            continue
        yield f"{step['StepName']}: {step.get('FailureReason', 'no reason told')}"
        for kind, made in step.get("Metadata", {}).items():
            if kind in LOGS:
                yield from waiting.last_lines(account, LOGS[kind].log_group, made["Arn"].rsplit("/", 1)[-1])
