"""Starts executions of the pipeline and follows them to their end."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from training.jobs.aws import objects, waiters
from training.jobs.aws.account import Account
from training.jobs.errors import JobFailed
from training.jobs.pipeline.definition import COMPARISON
from training.jobs.steps import waiting

LOGS = {
    "TrainingJob": waiting.TRAINING,
    "TuningJob": waiting.TUNING,
    "ProcessingJob": waiting.PROCESSING,
    "TransformJob": waiting.TRANSFORM,
}
"""The kind of a step's job, by its name in the metadata of the step."""


@dataclass(frozen=True)
class ExecutionResult:
    """An execution that succeeded: whether it deployed its candidate, and its comparison.json."""

    deployed: bool
    comparison: str

    @property
    def candidate(self) -> str:
        """Name of the model that it trained."""
        return str(json.loads(self.comparison)["candidate"]["model"])


def start(account: Account, name: str, parameters: Mapping[str, str]) -> str:
    """Start the pipeline with `parameters` in place of its defaults; returns the execution's ARN."""
    overrides = [{"Name": name, "Value": value} for name, value in parameters.items()]
    started = account.client("sagemaker").start_pipeline_execution(PipelineName=name, PipelineParameters=overrides)
    return str(started["PipelineExecutionArn"])


def follow(account: Account, execution: str, console: Console) -> ExecutionResult:
    """Wait for an execution and show its steps meanwhile; returns its result once it has succeeded.

    Raises JobFailed when it failed or was stopped, with the step, the reason and the last lines of its log.
    """
    with console.status("starting") as spinner:

        def show(_: Mapping[str, Any]) -> None:
            steps = (f"{one['StepName']} {one['StepStatus'].lower()}" for one in _steps(account, execution))
            spinner.update(", ".join(steps) or "starting")

        description = waiters.wait(
            account.client("sagemaker"),
            "pipeline_execution_ended",
            "DescribePipelineExecution",
            show,
            PipelineExecutionArn=execution,
        )
    steps = _steps(account, execution)
    if description["PipelineExecutionStatus"] != "Succeeded":
        raise JobFailed("\n".join(_failure_lines(account, description, steps)))
    comparison = f"{account.uri('pipeline', execution.rsplit('/', 1)[-1], 'judged')}/{COMPARISON}"
    deployed = any(one["StepName"] == "Deploy" and one["StepStatus"] == "Succeeded" for one in steps)
    return ExecutionResult(deployed, objects.get(account, comparison).decode())


def _steps(account: Account, execution: str) -> list[dict[str, Any]]:
    pages = (
        account.client("sagemaker")
        .get_paginator("list_pipeline_execution_steps")
        .paginate(PipelineExecutionArn=execution, SortOrder="Ascending")
    )
    return [step for page in pages for step in page["PipelineExecutionSteps"]]


def _failure_lines(account: Account, description: Mapping[str, Any], steps: list[dict[str, Any]]) -> Iterator[str]:
    """The failed execution and its failed steps, each with its reason and the end of its log."""
    execution = description["PipelineExecutionArn"]
    yield f"{execution} did not succeed: {description.get('FailureReason') or description['PipelineExecutionStatus']}"
    for step in steps:
        if step["StepStatus"] != "Failed":
            continue
        yield f"{step['StepName']}: {step.get('FailureReason', 'no reason reported')}"
        for kind, made in step.get("Metadata", {}).items():
            if kind in LOGS:
                yield from waiting.last_lines(account, LOGS[kind].log_group, made["Arn"].rsplit("/", 1)[-1])
