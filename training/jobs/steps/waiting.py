"""Waits for jobs and shows their status; a failure carries its reason and the last lines of the log."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from rich.console import Console

from training.jobs.aws.account import Account
from training.jobs.errors import JobFailed

POLL_S = 15.0
LAST_LINES = 20


@dataclass(frozen=True)
class Kind:
    """How one kind of job is described; `log_group` holds the output of its containers."""

    describe: str
    name: str
    status: str
    detail: str
    log_group: str


TRAINING = Kind(
    "describe_training_job", "TrainingJobName", "TrainingJobStatus", "SecondaryStatus", "/aws/sagemaker/TrainingJobs"
)
TUNING = Kind(
    "describe_hyper_parameter_tuning_job",
    "HyperParameterTuningJobName",
    "HyperParameterTuningJobStatus",
    "TrainingJobStatusCounters",
    "/aws/sagemaker/TrainingJobs",
)
PROCESSING = Kind(
    "describe_processing_job",
    "ProcessingJobName",
    "ProcessingJobStatus",
    "ExitMessage",
    "/aws/sagemaker/ProcessingJobs",
)
TRANSFORM = Kind("describe_transform_job", "TransformJobName", "TransformJobStatus", "", "/aws/sagemaker/TransformJobs")


def wait(
    account: Account, kind: Kind, name: str, console: Console, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Wait until the job has ended; returns its description.

    Raises JobFailed when it failed or was stopped, with the reason and the last lines of its log.
    """
    describe = getattr(account.client("sagemaker"), kind.describe)
    with console.status(f"{name}: starting") as spinner:
        while (description := dict(describe(**{kind.name: name})))[kind.status] in ("InProgress", "Stopping"):
            spinner.update(f"{name}: {description.get(kind.detail) or description[kind.status]}")
            sleep(POLL_S)
    if description[kind.status] == "Completed":
        return description
    reason = description.get("FailureReason") or description.get("ExitMessage") or description[kind.status]
    raise JobFailed("\n".join((f"{name} did not end well: {reason}", *last_lines(account, kind.log_group, name))))


def last_lines(account: Account, group: str, name: str) -> list[str]:
    """The end of a job's log, oldest line first; empty where there is none or it may not be read."""
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
