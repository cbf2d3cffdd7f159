"""The pipeline, executed here step by step from its own definition, against a champion on an endpoint."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.sagemaker.models import FakeEndpointConfig
from moto.sagemaker.responses import SageMakerResponse
from moto.server import ThreadedMotoServer
from PIL import Image
from rich.console import Console
from sagemaker.core.utils.utils import SageMakerClient

pytest.importorskip("onnx", reason="onnx is not installed: uv sync --group train --group dev")

from training.jobs.aws.account import Account
from training.jobs.context import JobContext
from training.jobs.endpoint import deployment
from training.jobs.pipeline import champion
from training.jobs.pipeline import definition as pipeline_definition
from training.jobs.steps.source import staged_source

from ..training.builders import record, write_set
from ..training.square_counter import write_square_counter
from . import test_containers
from .local_pipeline import LocalExecution
from .test_containers import upload

pytestmark = test_containers.pytestmark
BINS, LABELS = 140, 7
TOML = """
[prepare]
source = "s3://our-bucket/inbox"
[prepare.options]
fractions = [0.6, 0.2, 0.2]
[train]
processes = 1
instance_type = "ml.c5.xlarge"
[train.options]
size = 32
batch = 10
epochs = 1
labels = 7
mix = "data"
backbone = "test_resnet"
weights = "none"
drop_path = 0
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """moto as a server, which containers reach by this environment."""

    def update_endpoint(response: SageMakerResponse) -> str:  # moto has none
        endpoint = response.sagemaker_backend.endpoints[response._get_param("EndpointName")]
        endpoint.endpoint_config_name = response._get_param("EndpointConfigName")
        return json.dumps({"EndpointArn": endpoint.arn})

    monkeypatch.setattr(SageMakerResponse, "update_endpoint", update_endpoint, raising=False)
    monkeypatch.setattr(FakeEndpointConfig, "validate_instance_type", lambda *_: None)  # moto knows older ones only
    moto = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    moto.start()
    _, port = moto.get_host_and_port()
    environment = {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "SAGEMAKER_VALIDATE_ROLE": "false",
    }
    for name in ("AWS_PROFILE", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="our-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    yield environment
    moto.stop()
    SageMakerClient.reset()


def write_inbox(folder: Path) -> Path:
    """Learnable images with their records, in blocks of ids of their own."""
    for name in ("bin-images", "metadata"):
        (folder / name).mkdir(parents=True)
    for number, path in enumerate(sorted((write_set(folder / "set", BINS, labels=LABELS) / "bin-images").iterdir())):
        bin_id, count = 1000 + 50 * number, number // 5 % LABELS
        Image.open(path).save(folder / "bin-images" / f"{bin_id}.jpg", quality=95)
        (folder / "metadata" / f"{bin_id}.json").write_bytes(record(count, {f"B{bin_id}": count} if count else {}))
    return folder


def test_endpoint_changes_only_when_the_candidate_is_better(
    server: dict[str, str], settings_with: Any, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: uv sync --group train --group dev")
    settings = settings_with(TOML)
    context = JobContext(settings, Account(settings.aws, boto3.Session()), Console(stderr=True), dry=False)
    sagemaker, endpoint = boto3.client("sagemaker"), settings.deploy.endpoint
    upload(write_inbox(tmp_path / "inbox") / "bin-images", "s3://our-bucket/inbox/bin-images")
    upload(tmp_path / "inbox" / "metadata", "s3://our-bucket/inbox/metadata")
    with staged_source(for_serving=True) as source:
        definition = json.loads(pipeline_definition.pipeline(context.account, settings, source).definition())

    def serve(artifact: Path) -> None:
        on = settings.deploy.instance_type
        archive = deployment.archive_uri(context.account, str(artifact), on)
        deployment.deploy(context, deployment.archive_container(context.account, on, archive))

    def execute(name: str, earlier: LocalExecution | None = None) -> tuple[LocalExecution, dict[str, Any], bool]:
        """The execution, what it compared, and whether the endpoint serves something else now."""
        before = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        execution = LocalExecution(definition, name, tmp_path, server, earlier)
        execution.run()
        key = f"bincheck/pipeline/{name}/judged/comparison.json"
        compared = json.load(boto3.client("s3").get_object(Bucket="our-bucket", Key=key)["Body"])
        after = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
        return execution, compared, before != after

    def packages() -> list[dict[str, Any]]:
        return sagemaker.list_model_packages(ModelPackageGroupName=settings.registry.group)["ModelPackageSummaryList"]

    serve(write_square_counter(tmp_path / "wrong", sureness=-4))
    better, compared, changed = execute("better")
    assert changed
    assert better.ran[-3:] == ["IsBetter", "Register", "Deploy"]
    assert compared["gain"]["low"] > settings.pipeline.margin
    served = champion.archive(sagemaker, endpoint)
    assert served == "s3://our-bucket/bincheck/train/better-Train/output/model.tar.gz"
    (package,) = packages()
    assert package["ModelApprovalStatus"] == "Approved"

    serve(write_square_counter(tmp_path / "right"))
    worse, compared, changed = execute("worse", earlier=better)
    assert not changed
    assert worse.cached == ["Prepare", "Train"]
    assert worse.ran[-1] == "IsBetter"
    assert compared["gain"]["high"] < 0
    assert compared["champion"]["archive"] == champion.archive(sagemaker, endpoint)
    assert packages() == [package]
