"""What the steps that register and deploy share: the settings that lie beside the code, and an end in one message."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from training.jobs.errors import JobError, explained
from training.jobs.job import Job, job

FOLDER = Path("/opt/ml/processing")
REPORT = "evaluation.json"
SETTINGS = Path("settings.toml")


@contextmanager
def release() -> Iterator[Job]:
    """The job, as commands have it."""
    try:
        with job(SETTINGS, dry=False) as our:
            yield our
    except JobError as error:
        raise SystemExit(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise SystemExit(explained(error)) from error
