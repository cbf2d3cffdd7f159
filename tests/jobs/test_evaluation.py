"""Judging by batch transform: what is asked of SageMaker, and what comes back."""

import json
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from rich.console import Console

from training.jobs import context as context_module
from training.jobs.aws.account import Account
from training.jobs.errors import JobFailed
from training.jobs.steps import waiting

from .conftest import SETTINGS

ARCHIVE = "s3://our-bucket/models/model.tar.gz"
DATA = "s3://our-bucket/bincheck/prepared"


@pytest.fixture
def jobs_end(aws: None, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Judging jobs leave a report; what is put under "transform" replaces what is reported of the transform job."""
    reported: dict[str, Any] = {"transform": {}}

    def leave_report(params: dict[str, Any], **_: Any) -> None:
        (output,) = json.loads(params["body"])["ProcessingOutputConfig"]["Outputs"]
        bucket, _, key = output["S3Output"]["S3Uri"].removeprefix("s3://").partition("/")
        for name in ("evaluation.json", "evaluation.html"):
            boto3.client("s3").put_object(Bucket=bucket, Key=f"{key}/{name}", Body=name.encode())

    class Session(boto3.Session):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.events.register("before-call.sagemaker.CreateProcessingJob", leave_report)
            self.events.register(
                "after-call.sagemaker.DescribeTransformJob", lambda parsed, **_: parsed.update(reported["transform"])
            )

    monkeypatch.setattr(context_module.boto3, "Session", Session)
    return reported


def test_each_image_of_the_split_is_asked_alone_and_answers_are_judged(
    jobs: Any, sagemaker: Any, jobs_end: Any, tmp_path: Path
) -> None:
    done = jobs("evaluate", "--model", ARCHIVE, "--out", str(tmp_path / "judged"))
    assert done.exit_code == 0, done.output
    (transform,) = sagemaker.list_transform_jobs()["TransformJobSummaries"]
    request = sagemaker.describe_transform_job(TransformJobName=transform["TransformJobName"])
    assert request["TransformInput"]["ContentType"] == "image/jpeg"
    assert request["TransformInput"]["DataSource"]["S3DataSource"] == {
        "S3DataType": "S3Prefix",
        "S3Uri": f"{DATA}/test/",
    }
    assert request["BatchStrategy"] == "SingleRecord"
    assert request["MaxPayloadInMB"] * request["MaxConcurrentTransforms"] <= 100
    (processing,) = sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    judging = sagemaker.describe_processing_job(ProcessingJobName=processing["ProcessingJobName"])
    inputs = {one["InputName"]: one["S3Input"]["S3Uri"] for one in judging["ProcessingInputs"]}
    assert inputs["answers"] == request["TransformOutput"]["S3OutputPath"]
    assert inputs["index"] == f"{DATA}/index.csv"
    assert inputs["images"] == f"{DATA}/test/"
    assert not sagemaker.list_models()["Models"]  # made for the transform only
    assert (tmp_path / "judged" / "evaluation.json").read_text() == "evaluation.json"
    place = judging["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    assert done.stdout.strip() == f"{place}/evaluation.json"


def test_failed_transform_is_not_judged_and_names_the_model_that_is_left(
    jobs: Any, sagemaker: Any, jobs_end: Any
) -> None:
    jobs_end["transform"] = {"TransformJobStatus": "Failed", "FailureReason": "ClientError: see the job's log"}
    done = jobs("evaluate", "--model", ARCHIVE)
    assert isinstance(done.exception, JobFailed)
    (model,) = sagemaker.list_models()["Models"]
    assert "did not complete: ClientError: see the job's log" in str(done.exception)
    assert f"aws sagemaker delete-model --model-name {model['ModelName']}" in str(done.exception)
    assert not sagemaker.list_processing_jobs()["ProcessingJobSummaries"]


def test_last_lines_of_a_failed_job_are_reported(account: Any, sagemaker: Any, jobs_end: Any) -> None:
    sagemaker.create_transform_job(
        TransformJobName="judged",
        ModelName="m",
        TransformInput={"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": DATA}}},
        TransformOutput={"S3OutputPath": DATA},
        TransformResources={"InstanceType": "ml.c5.xlarge", "InstanceCount": 1},
    )
    jobs_end["transform"] = {"TransformJobStatus": "Failed", "FailureReason": "AlgorithmError"}
    logs, group = account.client("logs"), "/aws/sagemaker/TransformJobs"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="judged/i-1")
    lines = [{"timestamp": round(time.time() * 1000) + n, "message": f"line {n}"} for n in range(30)]
    logs.put_log_events(logGroupName=group, logStreamName="judged/i-1", logEvents=lines)
    with pytest.raises(JobFailed) as failed:
        waiting.wait(
            Account(account.settings, context_module.boto3.Session()), waiting.TRANSFORM, "judged", Console(quiet=True)
        )
    reported = str(failed.value).splitlines()
    assert reported[0].endswith("AlgorithmError")
    assert reported[1:] == [f"line {n}" for n in range(10, 30)]


def test_a_set_of_archives_is_refused_before_anything_starts(jobs: Any, sagemaker: Any, account: Any) -> None:
    account.client("s3").put_object(Bucket="our-bucket", Key="bincheck/prepared/images-001-of-004-00000.tar", Body=b"")
    refused = jobs("evaluate", "--model", ARCHIVE)
    assert "a batch transform reads image files: prepare it without archives" in str(refused.exception)
    assert not sagemaker.list_models()["Models"]


def test_set_to_judge_on_has_to_be_named(jobs: Any, sagemaker: Any, aws: None) -> None:
    done = jobs("evaluate", "--model", ARCHIVE, toml=SETTINGS.partition("[train]")[0])
    assert "evaluate.data is missing" in str(done.exception)
    assert not sagemaker.list_models()["Models"]
