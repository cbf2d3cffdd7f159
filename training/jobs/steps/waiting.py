"""Waits for jobs and shows their status; a failure carries its reason and the last lines of the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console

from training.jobs.aws import waiters
from training.jobs.aws.account import Account
from training.jobs.errors import JobFailed

LAST_LINES = 20


@dataclass(frozen=True)
class Kind:
    """How one kind of job is described; `log_group` holds the output of its containers."""

    waiter: str
    describe: str
    name: str
    status: str
    detail: str
    log_group: str


TRAINING = Kind(
    "training_job_completed_or_stopped",
    "DescribeTrainingJob",
    "TrainingJobName",
    "TrainingJobStatus",
    "SecondaryStatus",
    "/aws/sagemaker/TrainingJobs",
)
TUNING = Kind(
    "tuning_job_ended",
    "DescribeHyperParameterTuningJob",
    "HyperParameterTuningJobName",
    "HyperParameterTuningJobStatus",
    "TrainingJobStatusCounters",
    "/aws/sagemaker/TrainingJobs",
)
PROCESSING = Kind(
    "processing_job_completed_or_stopped",
    "DescribeProcessingJob",
    "ProcessingJobName",
    "ProcessingJobStatus",
    "ExitMessage",
    "/aws/sagemaker/ProcessingJobs",
)
TRANSFORM = Kind(
    "transform_job_completed_or_stopped",
    "DescribeTransformJob",
    "TransformJobName",
    "TransformJobStatus",
    "",
    "/aws/sagemaker/TransformJobs",
)


def wait(account: Account, kind: Kind, name: str, console: Console) -> dict[str, Any]:
    """Wait until the job has ended; returns its description.

    Raises JobFailed when it failed or was stopped, with the reason and the last lines of its log.
    """
    with console.status(f"{name}: starting") as spinner:

        def show(description: Mapping[str, Any]) -> None:
            spinner.update(f"{name}: {description.get(kind.detail) or description[kind.status]}")

        client = account.client("sagemaker")
        description = waiters.wait(client, kind.waiter, kind.describe, show, **{kind.name: name})
    if description[kind.status] == "Completed":
        return description
    reason = description.get("FailureReason") or description.get("ExitMessage") or description[kind.status]
    raise JobFailed("\n".join((f"{name} did not complete: {reason}", *last_lines(account, kind.log_group, name))))


def last_lines(account: Account, group: str, name: str) -> list[str]:
    """The end of a job's log, oldest line first; empty where there is none or reading it is denied."""
    logs = account.client("logs")
    try:
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        newest = max(streams, key=lambda stream: stream.get("lastEventTimestamp", 0), default=None)
        if newest is None:
            return []
        events = logs.get_log_events(logGroupName=group, logStreamName=newest["logStreamName"], limit=LAST_LINES)
    except ClientError:
        return []
    return [str(event["message"]) for event in events["events"]]
