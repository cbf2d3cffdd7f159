"""What a processing job asks of SageMaker, and how its instances share the work."""

from pathlib import Path
from typing import Any

import pytest

from training.jobs.container.prepare import share

from .conftest import ROLE, SETTINGS, requests_of

PREPARE = """
[prepare]
source = "s3://bins/site/a"
labels = "s3://lists/of/ours.csv"
instances = 3
[prepare.options]
counts = "1-5"
fractions = [0.7, 0.2, 0.1]
"""


def test_job_reads_the_bucket_by_itself_and_its_instances_write_one_set(jobs: Any, tmp_path: Path) -> None:
    (ids := tmp_path / "list.json").write_text('{"1": ["data/metadata/00523.json"]}')
    toml = SETTINGS + PREPARE.replace("[prepare]", f'[prepare]\nids = "{ids}"')
    request = requests_of(jobs("prepare", "--dry-run", toml=toml))["CreateProcessingJob"]
    name, inputs = (
        request["ProcessingJobName"],
        {one["InputName"]: one["S3Input"] for one in request["ProcessingInputs"]},
    )
    assert request["AppSpecification"]["ContainerArguments"] == [
        *("--source", "s3://bins/site/a"),
        *("--ids", "/opt/ml/processing/input/ids/list.json"),
        *("--labels", "/opt/ml/processing/input/labels/ours.csv"),
        *("--split", "groups", "--counts", "1-5", "--fractions", "0.7", "0.2", "0.1"),
    ]
    assert inputs["labels"]["S3Uri"] == "s3://lists/of/ours.csv"
    assert inputs["ids"]["S3Uri"].startswith("s3://our-bucket/bincheck/")
    assert {place["LocalPath"].rstrip("/").rsplit("/", 1)[-1] for place in inputs.values()} == set(inputs)
    (output,) = request["ProcessingOutputConfig"]["Outputs"]
    assert output["S3Output"] == {
        "S3Uri": f"s3://our-bucket/bincheck/prepared/{name}",
        "LocalPath": "/opt/ml/processing/output",
        "S3UploadMode": "EndOfJob",
    }
    assert request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 3
    assert request["AppSpecification"]["ImageUri"].endswith("/pytorch:2.14-cpu-amzn2023-sagemaker")


def test_prepare_starts_a_job_and_says_where_the_set_will_be(jobs: Any, sagemaker: Any) -> None:
    result = jobs("prepare", "--no-wait")
    assert result.exit_code == 0, result.output
    (summary,) = sagemaker.list_processing_jobs()["ProcessingJobSummaries"]
    description = sagemaker.describe_processing_job(ProcessingJobName=summary["ProcessingJobName"])
    assert description["RoleArn"] == ROLE
    assert description["AppSpecification"]["ContainerArguments"] == [
        "--source",
        "s3://aft-vbi-pds",
        "--split",
        "groups",
    ]
    assert result.stdout.strip() == description["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]


@pytest.mark.parametrize(("host", "expected"), [("algo-1", "1/2"), ("algo-2", "2/2")])
def test_each_instance_finds_its_share(host: str, expected: str) -> None:
    assert share(f'{{"current_host": "{host}", "hosts": ["algo-2", "algo-1"]}}') == expected
