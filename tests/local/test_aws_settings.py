"""What a shell holds of AWS settings: nothing local reads them, and commands against an account do."""

import os
from contextlib import suppress

import pytest
from botocore import configprovider
from botocore.exceptions import ProfileNotFound
from typer.testing import CliRunner

from local.cli.main import app
from local.embedded import cloud, sam
from local.stack.aws import Cloud
from model.app import ARTIFACT_VARIABLE

TABLES = (configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES, configprovider.DEFAULT_S3_CONFIG_VARS)
OTHERS = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CREDENTIAL_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ENDPOINT_URL",
    *(f"AWS_ENDPOINT_URL_{service}" for service in ("S3", "SQS", "SNS", "DYNAMODB", "CLOUDFORMATION", "LAMBDA")),
}  # fmt: skip
CLIENTS = ("s3", "sqs", "sns", "cloudformation", "functions", "sagemaker_runtime", "logs", "user_pools")


def variables():
    """Every variable that botocore knows, by its own tables."""
    named = (setting[1] for table in TABLES for setting in table.values() if setting[1])
    return {name for names in named for name in ([names] if isinstance(names, str) else names)} | OTHERS


def poison(monkeypatch, value):
    for name in variables():
        monkeypatch.setenv(name, value)


@pytest.fixture
def poisoned(monkeypatch):
    poison(monkeypatch, "nonsense")


def facts_of_clients():
    cloud = Cloud.embedded("http://127.0.0.1:4566")
    clients = [getattr(cloud, name)() for name in CLIENTS] + [cloud.table("checks").meta.client]
    facts = [(c.meta.endpoint_url, c.meta.region_name, c.meta.config.retries, c.meta.config.s3) for c in clients]
    address = cloud.s3().generate_presigned_url("get_object", {"Bucket": "b", "Key": "k"})
    settings = {name: cloud.session._session.get_config_variable(name) for name in TABLES[0]}
    return facts, address.partition("X-Amz-Date")[0], settings


@pytest.mark.parametrize("value", ["nonsense", "true", "0", "/nowhere/file"])
def test_clients_of_the_embedded_cloud_read_no_setting(monkeypatch, value):
    clean = facts_of_clients()
    poison(monkeypatch, value)
    assert facts_of_clients() == clean


def test_processes_of_the_embedded_cloud_get_no_setting(poisoned, tmp_path):
    for environment in (sam.clean_environment(), cloud.EmbeddedCloud(tmp_path)._cloud_environment(4566)):
        assert [name for name in variables() if environment.get(name) == "nonsense"] == []


def test_endpoint_of_the_embedded_cloud_serves_the_artifact_that_the_shell_names(tmp_path, monkeypatch):
    embedded = cloud.EmbeddedCloud(tmp_path)
    monkeypatch.delenv(ARTIFACT_VARIABLE, raising=False)
    assert ARTIFACT_VARIABLE not in embedded._endpoint_environment()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(ARTIFACT_VARIABLE, "other")
    assert embedded._endpoint_environment()[ARTIFACT_VARIABLE] == str(tmp_path.resolve() / "other")


def test_sam_reaches_the_embedded_cloud_without_the_proxy_of_the_shell(monkeypatch):
    monkeypatch.setenv("no_proxy", ".corp")
    monkeypatch.delenv("NO_PROXY", raising=False)
    environment = sam.clean_environment()
    assert environment["no_proxy"] == ".corp,127.0.0.1,localhost"
    assert environment["NO_PROXY"] == "127.0.0.1,localhost"


def test_commands_on_folders_make_no_client_of_aws(poisoned, tmp_path, monkeypatch):
    monkeypatch.setenv("BINCHECK_FOLDER", str(tmp_path))
    started = []
    monkeypatch.setattr(cloud.EmbeddedCloud, "up", lambda *_, **__: started.append("up") or 1 / 0)
    monkeypatch.setattr(Cloud, "aws", lambda: pytest.fail("made a client of AWS"))
    with suppress(ZeroDivisionError):
        CliRunner().invoke(app, ["demo"], catch_exceptions=False)
    assert started
    dropped = CliRunner().invoke(app, ["drop", str(sam.ROOT / "samples")])
    assert "bincheck up" in str(dropped.exception)
    assert CliRunner().invoke(app, ["count", str(sam.ROOT / "samples/bin-images/r003.jpg")]).exit_code == 0


@pytest.mark.parametrize("arguments", [["status", "--stack", "b"], ["drop", "s3://bins", "--stack", "b"]])
def test_commands_on_an_account_read_the_profile(arguments, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "stale")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert isinstance(CliRunner().invoke(app, arguments).exception, ProfileNotFound)
