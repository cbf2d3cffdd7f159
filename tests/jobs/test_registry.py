"""What registering leaves in the registry, and what it takes to be deployed from there."""

import json
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import FakeEndpointConfig
from sagemaker.core.shapes.model_card_shapes import ModelCardContent

from model.predictor import Predictor
from training.jobs import context as context_module
from training.jobs.endpoint.serving import SHIPPED, package

MODEL = Predictor(SHIPPED).name
REPORT = {
    "model": MODEL,
    "split": "test",
    "bins": 1434,
    "figures": {
        "accuracy": {"value": 0.5, "interval": [0.473, 0.526]},
        "exact_5": {"value": None, "interval": [None, None]},
    },
}


@pytest.fixture
def asked(aws: None, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What CreateModelPackage was asked: moto forgets the card."""
    requests: list[dict[str, Any]] = []

    class Session(boto3.Session):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.events.register(
                "before-parameter-build.sagemaker.CreateModelPackage", lambda params, **_: requests.append(dict(params))
            )

    monkeypatch.setattr(context_module.boto3, "Session", Session)
    monkeypatch.setattr(FakeEndpointConfig, "validate_instance_type", lambda *_: None)
    return requests


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "test.json"
    path.write_text(json.dumps(REPORT))
    return path


def test_registered_model_has_figures_and_card_and_waits_for_approval(
    jobs: Any, sagemaker: Any, account: Any, asked: list[dict[str, Any]], report: Path
) -> None:
    done = jobs("register", "--model", str(SHIPPED), "--report", str(report))
    assert done.exit_code == 0, done.output
    description = sagemaker.describe_model_package(ModelPackageName=done.stdout.strip())
    assert description["ModelPackageGroupName"] == "bincheck-counter"
    assert description["ModelApprovalStatus"] == "PendingManualApproval"
    assert description["CustomerMetadataProperties"]["model"] == MODEL
    assert description["CustomerMetadataProperties"]["data-train"]
    specification = description["InferenceSpecification"]
    assert specification["SupportedContentTypes"] == ["image/jpeg", "image/png"]
    assert specification["Containers"][0]["ModelDataUrl"].startswith("s3://our-bucket/bincheck/models/")
    uri = description["ModelMetrics"]["ModelQuality"]["Statistics"]["S3Uri"]
    stored = account.client("s3").get_object(Bucket="our-bucket", Key=uri.removeprefix("s3://our-bucket/"))["Body"]
    assert json.load(stored)["multiclass_classification_metrics"]["accuracy"]["value"] == 0.5
    card = asked[0]["ModelCard"]
    content = ModelCardContent.model_validate_json(card["ModelCardContent"], extra="forbid")
    (evaluation,) = content.evaluation_details
    assert [metric.name for metric in evaluation.metric_groups[0].metric_data] == ["accuracy"]
    assert "commercial use" in content.additional_information.ethical_considerations
    assert "counts the objects" in content.intended_uses.purpose_of_model


def test_archive_of_a_training_job_leads_back_to_it(
    jobs: Any, account: Any, asked: list[dict[str, Any]], report: Path, tmp_path: Path
) -> None:
    package(SHIPPED, tmp_path / "model.tar.gz")
    key = "bincheck/train/bincheck-train-20260101/output/model.tar.gz"
    account.client("s3").upload_file(str(tmp_path / "model.tar.gz"), "our-bucket", key)
    done = jobs("register", "--model", f"s3://our-bucket/{key}", "--report", str(report))
    assert done.exit_code == 0, done.output
    assert asked[0]["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == f"s3://our-bucket/{key}"
    made_by = asked[0]["MetadataProperties"]["GeneratedBy"]
    assert made_by == "arn:aws:sagemaker:eu-west-1:123456789012:training-job/bincheck-train-20260101"


def test_newest_approved_version_is_what_deploy_serves(
    jobs: Any, sagemaker: Any, asked: list[dict[str, Any]], report: Path
) -> None:
    versions = [jobs("register", "--model", str(SHIPPED), "--report", str(report)).stdout.strip() for _ in range(2)]
    refused = jobs("deploy", "--package", versions[0])
    assert f"`python -m training.jobs approve {versions[0]}` first" in str(refused.exception)
    assert jobs("approve", versions[0], "--because", "better on our own bins").exit_code == 0
    assert jobs("approve", "--reject").stdout.strip() == versions[1]
    statuses = [sagemaker.describe_model_package(ModelPackageName=one)["ModelApprovalStatus"] for one in versions]
    assert statuses == ["Approved", "Rejected"]
    assert jobs("deploy").exit_code == 0
    (model,) = sagemaker.list_models()["Models"]
    container = sagemaker.describe_model(ModelName=model["ModelName"])["PrimaryContainer"]
    assert container == {"ModelPackageName": versions[0]}


def test_report_of_another_model_is_refused_before_anything_is_made(
    jobs: Any, sagemaker: Any, asked: list[dict[str, Any]], report: Path, tmp_path: Path
) -> None:
    report.write_text(json.dumps({**REPORT, "model": "other@1"}))
    message = str(jobs("register", "--model", str(SHIPPED), "--report", str(report)).exception)
    assert f"judges other@1, the archive holds {MODEL}" in message
    nothing = tmp_path / "model.tar.gz"
    nothing.write_bytes(b"nothing")
    message = str(jobs("register", "--model", str(nothing), "--report", str(report)).exception)
    assert f"{nothing} is no archive of a counter" in message
    report.write_text("{}")
    message = str(jobs("register", "--model", str(SHIPPED), "--report", str(report)).exception)
    assert "is no report" in message
    assert not sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
