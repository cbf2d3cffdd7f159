"""Shared by the steps that register and deploy: the settings beside the code, and errors that end in one message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from training.jobs.context import JobContext, job_context
from training.jobs.errors import JobError, explain_aws_error

FOLDER = Path("/opt/ml/processing")
REPORT = "evaluation.json"
SETTINGS = Path("settings.toml")


@contextmanager
def release() -> Iterator[JobContext]:
    """The context, as commands have it."""
    try:
        with job_context(SETTINGS, dry=False) as context:
            yield context
    except JobError as error:
        raise SystemExit(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(explain_aws_error(error)) from error
