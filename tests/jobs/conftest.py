"""An account in moto for jobs, and the command line as a person gives it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from sagemaker.core.utils.utils import SageMakerClient
from typer.testing import CliRunner, Result

from training.jobs import settings as settings_file
from training.jobs.aws.account import Account
from training.jobs.cli import app
from training.jobs.settings import Settings
from training.jobs.steps import wheels

ROLE = "arn:aws:iam::123456789012:role/bincheck-training"
SETTINGS = f"""
[aws]
role = "{ROLE}"
bucket = "our-bucket"

[train]
data = "s3://our-bucket/bincheck/prepared"
"""


@pytest.fixture(autouse=True)
def small_wheels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the container's wheels, 48 MB, a file with the list of them."""
    if request.path.stem == "test_wheels":
        return

    def write(packages: Path, folder: Path) -> None:
        folder.mkdir()
        (folder / "all.whl").write_bytes(packages.read_bytes())

    monkeypatch.setattr(wheels, "download", write)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """moto's account, with the bucket of SETTINGS; no request leaves the machine."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "SAGEMAKER_VALIDATE_ROLE": "false",  # moto cannot simulate policies
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    with mock_aws():
        boto3.client("s3").create_bucket(
            Bucket="our-bucket", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
        )
        yield
    SageMakerClient.reset()


@pytest.fixture
def settings_with(tmp_path: Path) -> Callable[[str], Settings]:
    """SETTINGS, and over them a piece of TOML."""

    def load(toml: str = "") -> Settings:
        base_file = tmp_path / "settings.toml"
        base_file.write_text(SETTINGS)
        base = settings_file.load(base_file).model_dump()
        return Settings.model_validate(settings_file._merge(base, settings_file.tomllib.loads(toml)))

    return load


@pytest.fixture
def account(aws: None, settings_with: Callable[[str], Settings]) -> Account:
    return Account(settings_with("").aws, boto3.Session())


@pytest.fixture
def sagemaker(aws: None) -> Any:
    """A plain client, to see what came of a command."""
    return boto3.client("sagemaker")


@pytest.fixture
def jobs(tmp_path: Path) -> Callable[..., Result]:
    """Run `python -m training.jobs` with SETTINGS and, over them, `toml`."""

    def run(*arguments: str, toml: str = "") -> Result:
        path = tmp_path / "ours.toml"
        path.write_text(toml or SETTINGS)
        return CliRunner().invoke(app, [*arguments, "--settings", str(path)])

    return run


def requests_of(result: Result) -> dict[str, dict[str, Any]]:
    """What a dry run printed: parameters by operation."""
    assert result.exit_code == 0, result.output
    return {request["operation"]: request["parameters"] for request in json.loads(result.stdout)}
