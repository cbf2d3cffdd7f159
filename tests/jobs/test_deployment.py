"""What deploying, rolling back and deleting leave in an account."""

import json
import tarfile
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.sagemaker.models import FakeEndpointConfig, sagemaker_backends

from tests.watched import alarms as watching
from tests.watched import widgets
from training.jobs import context as context_module
from training.jobs.aws import waiters
from training.jobs.cli import main
from training.jobs.endpoint.deployment import VARIANT
from training.jobs.errors import JobError, JobFailed
from training.jobs.steps.archives import unpack

from .conftest import ROLE, SETTINGS, requests_of

ARTIFACT = Path(__file__).parents[2] / "model" / "artifact"
TEMPLATE = Path(__file__).parents[2] / "template.yaml"
ENDPOINT = "bincheck-counter"
OTHERS = """
[deploy]
capture_percent = 20
alarm_topic = "arn:aws:sns:eu-west-1:123456789012:operations"
instance_type = "ml.g5.xlarge"
instances = 2
update = "rolling"
"""


@pytest.fixture(autouse=True)
def instance_types_of_today(monkeypatch: pytest.MonkeyPatch) -> None:
    """moto knows older ones only; botocore's list stands in."""
    shape = boto3.client("sagemaker", "eu-west-1").meta.service_model.shape_for("ProductionVariantInstanceType")
    monkeypatch.setattr(FakeEndpointConfig, "validate_instance_type", lambda _, given: shape.enum.index(given))


@pytest.fixture
def updates(aws: None, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What UpdateEndpoint, which moto lacks, was asked; "refused" in the list makes it roll back, without a sleep."""
    asked: list[Any] = []

    def update(params: dict[str, Any], **_: Any) -> Any:
        request = json.loads(params["body"])
        endpoint = sagemaker_backends["123456789012"]["eu-west-1"].endpoints[request["EndpointName"]]
        if "refused" in asked:
            endpoint.failure_reason = "alarm bincheck-counter-errors went off"
        else:
            endpoint.endpoint_config_name = request["EndpointConfigName"]
        asked.append(request)
        return AWSResponse(params["url"], 200, HTTPHeaders(), None), {"EndpointArn": endpoint.arn}

    class Session(boto3.Session):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.events.register("before-call.sagemaker.UpdateEndpoint", update)

    monkeypatch.setattr(context_module.boto3, "Session", Session)
    monkeypatch.setattr(waiters, "POLL_S", 0)
    return asked


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deployments within one second get names of their own."""
    from datetime import UTC, datetime, timedelta

    from training.jobs.endpoint import deployment

    class Clock(datetime):
        calls = 0

        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            cls.calls += 1
            return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=cls.calls)

    monkeypatch.setattr(deployment, "datetime", Clock)


def archive_in(bucket: str = "our-bucket") -> str:
    return f"s3://{bucket}/models/model.tar.gz"


def test_endpoint_serves_an_artifact_watched_and_scaled(jobs: Any, sagemaker: Any, account: Any) -> None:
    done = jobs("deploy", "--model", str(ARTIFACT))
    assert done.exit_code == 0, done.output
    description = sagemaker.describe_endpoint(EndpointName=ENDPOINT)
    (variant,) = sagemaker.describe_endpoint_config(EndpointConfigName=description["EndpointConfigName"])[
        "ProductionVariants"
    ]
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.c6i.xlarge", 1)
    assert "InferenceAmiVersion" not in variant
    model = sagemaker.describe_model(ModelName=variant["ModelName"])
    assert model["ExecutionRoleArn"] == ROLE
    assert model["PrimaryContainer"]["Image"].endswith("/ray:serve-ml-sagemaker-cpu-v1.4")
    bucket, _, key = model["PrimaryContainer"]["ModelDataUrl"].removeprefix("s3://").partition("/")
    stored = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    with tarfile.open(fileobj=stored, mode="r|gz") as tar:
        expected = {"config.yaml", "code/requirements.txt", "code/wheels/all.whl", "artifact/counter.onnx"}
        names = set(tar.getnames())
        assert expected <= names
        assert not any(name.startswith("artifact-") for name in names)
    alarms = {one["AlarmName"]: one for one in account.client("cloudwatch").describe_alarms()["MetricAlarms"]}
    assert {one["MetricName"] for one in alarms.values()} == {"Invocation5XXErrors", "ModelLatency"}
    assert alarms[f"{ENDPOINT}-latency"]["Threshold"] == 1_000_000  # microseconds
    scaling = account.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (1, 4)
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    (log,) = account.client("logs").describe_log_groups(logGroupNamePrefix="/aws/sagemaker/")["logGroups"]
    assert (log["logGroupName"], log["retentionInDays"]) == (f"/aws/sagemaker/Endpoints/{ENDPOINT}", 30)
    tracked = policy["TargetTrackingScalingPolicyConfiguration"]
    assert policy["ResourceId"] == target["ResourceId"] == f"endpoint/{ENDPOINT}/variant/{variant['VariantName']}"
    assert tracked["PredefinedMetricSpecification"]["PredefinedMetricType"] == "SageMakerVariantInvocationsPerInstance"


def test_the_endpoint_is_watched_under_the_name_that_its_variant_is_deployed_by() -> None:
    for alarm in watching().values():
        if alarm.get("Namespace") == "AWS/SageMaker":
            assert {"Name": "VariantName", "Value": VARIANT} in alarm["Dimensions"]
    for widget in widgets():
        for metric in widget["metrics"]:
            if metric[0] == "AWS/SageMaker":
                assert metric[2:6] == ["EndpointName", "${EndpointName}", "VariantName", VARIANT]


def test_endpoint_is_the_one_that_the_application_asks() -> None:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda *_: None)
    template = yaml.load(TEMPLATE.read_text(), Loader)
    from training.jobs import settings

    assert settings.load().deploy.endpoint == template["Parameters"]["EndpointName"]["Default"]


def test_gpu_gets_its_container_and_host_and_captured_images_stay_binary(jobs: Any) -> None:
    requests = requests_of(jobs("deploy", "--model", archive_in(), "--dry-run", toml=SETTINGS + OTHERS))
    assert "-cuda-" in requests["CreateModel"]["PrimaryContainer"]["Image"]
    config = requests["CreateEndpointConfig"]
    assert config["ProductionVariants"][0]["InferenceAmiVersion"].startswith("al2-ami-sagemaker-inference-gpu")
    capture = config["DataCaptureConfig"]
    assert capture["InitialSamplingPercentage"] == 20
    assert capture["CaptureContentTypeHeader"] == {"JsonContentTypes": ["application/json"]}
    assert {one["CaptureMode"] for one in capture["CaptureOptions"]} == {"Input", "Output"}
    assert requests["PutMetricAlarm"]["AlarmActions"] == ["arn:aws:sns:eu-west-1:123456789012:operations"]


def test_artifact_is_packed_for_the_gpu_that_it_is_deployed_to(jobs: Any, account: Any, tmp_path: Path) -> None:
    assert jobs("deploy", "--model", str(ARTIFACT), toml=SETTINGS + OTHERS).exit_code == 0
    (stored,) = account.client("s3").list_objects_v2(Bucket="our-bucket", Prefix="bincheck/models/")["Contents"]
    body = account.client("s3").get_object(Bucket="our-bucket", Key=stored["Key"])["Body"]
    with tarfile.open(fileobj=body, mode="r|gz") as tar:
        unpack(tar, tmp_path / "model")
    for path in ("packages.txt", "wheels/all.whl"):
        assert "\nonnxruntime-gpu==" in (tmp_path / "model" / "code" / path).read_text()
    (application,) = yaml.safe_load((tmp_path / "model" / "config.yaml").read_text())["applications"]
    assert application["deployments"][0]["ray_actor_options"] == {"num_gpus": 1}


@pytest.mark.parametrize(
    ("update", "policy"),
    [
        ("all-at-once", {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}),
        (
            "canary",
            {
                "Type": "CANARY",
                "WaitIntervalInSeconds": 300,
                "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 25},
            },
        ),
    ],
)
def test_update_is_blue_green_and_alarms_take_it_back(
    jobs: Any, sagemaker: Any, updates: list[Any], seconds: None, update: str, policy: dict[str, Any]
) -> None:
    assert jobs("deploy", "--model", archive_in()).exit_code == 0
    first = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    assert not updates
    toml = f'{SETTINGS}\n[deploy]\nupdate = "{update}"'
    assert jobs("deploy", "--model", archive_in(), toml=toml).exit_code == 0
    (asked,) = updates
    assert asked["EndpointConfigName"] != first
    assert asked["DeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"] == policy
    rollback = asked["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    assert {one["AlarmName"] for one in rollback} == {f"{ENDPOINT}-errors", f"{ENDPOINT}-latency"}
    assert asked["RetainAllVariantProperties"] is True


def test_rolling_update_replaces_a_share_of_the_instances(jobs: Any, updates: list[Any], seconds: None) -> None:
    for _ in range(2):
        assert jobs("deploy", "--model", archive_in(), toml=SETTINGS + OTHERS).exit_code == 0
    rolling = updates[0]["DeploymentConfig"]["RollingUpdatePolicy"]
    assert rolling["MaximumBatchSize"] == {"Type": "CAPACITY_PERCENT", "Value": 25}


def test_other_instance_type_is_updated_unscaled_and_scaled_again(
    jobs: Any, account: Any, updates: list[Any], seconds: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SageMaker refuses to change the instance type of a variant that is scaled."""
    from training.jobs.endpoint import scaling

    during = []
    stop = scaling.stop
    monkeypatch.setattr(scaling, "stop", lambda *given: during.append(stop(*given)))
    jobs("deploy", "--model", archive_in())
    jobs("deploy", "--model", archive_in(), toml=f'{SETTINGS}\n[deploy]\ninstance_type = "ml.c6i.2xlarge"')
    assert during == [True]
    assert (
        len(
            account.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
                "ScalableTargets"
            ]
        )
        == 1
    )


def test_update_that_was_rolled_back_fails_with_the_log_and_names_what_is_left(
    jobs: Any, sagemaker: Any, account: Any, updates: list[Any], seconds: None
) -> None:
    jobs("deploy", "--model", archive_in())
    first = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    logs, group = account.client("logs"), f"/aws/sagemaker/Endpoints/{ENDPOINT}"
    logs.create_log_stream(logGroupName=group, logStreamName="AllTraffic/i-1")
    events = [{"timestamp": round(time.time() * 1000), "message": "ModuleNotFoundError: onnxruntime"}]
    logs.put_log_events(logGroupName=group, logStreamName="AllTraffic/i-1", logEvents=events)
    updates.append("refused")
    done = jobs("deploy", "--model", archive_in())
    assert done.exit_code != 0
    assert isinstance(done.exception, JobFailed)
    message = str(done.exception)
    assert f"was rolled back and serves {first} as before: alarm bincheck-counter-errors went off" in message
    assert "ModuleNotFoundError: onnxruntime" in message
    left = updates[-1]["EndpointConfigName"]
    assert f"aws sagemaker delete-model --model-name {left}" in message
    assert f"aws sagemaker delete-endpoint-config --endpoint-config-name {left}" in message
    assert "delete-endpoint --endpoint-name" not in message  # it serves


def test_rollback_goes_to_what_the_present_configuration_follows_whatever_failed_since(
    jobs: Any, sagemaker: Any, updates: list[Any], seconds: None
) -> None:
    jobs("deploy", "--model", archive_in())
    first = sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    updates.append("refused")
    jobs("deploy", "--model", archive_in())
    updates.clear()
    jobs("deploy", "--model", archive_in())
    back = jobs("rollback")
    assert back.exit_code == 0, back.output
    assert back.stdout.strip() == first
    assert sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"] == first
    assert "nothing to go back to" in str(jobs("rollback").exception)


def test_delete_leaves_nothing_of_the_endpoint_but_what_others_made(
    jobs: Any, sagemaker: Any, account: Any, updates: list[Any], seconds: None
) -> None:
    jobs("deploy", "--model", archive_in())
    jobs("deploy", "--model", archive_in())
    sagemaker.create_model(ModelName=f"{ENDPOINT}-second", ExecutionRoleArn=ROLE)
    assert jobs("delete").exit_code != 0  # asked, and no answer
    assert sagemaker.list_endpoints()["Endpoints"]
    description = jobs("delete", "--yes")
    assert description.exit_code == 0, description.output
    assert not sagemaker.list_endpoints()["Endpoints"]
    assert not sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert [one["ModelName"] for one in sagemaker.list_models()["Models"]] == [f"{ENDPOINT}-second"]
    assert not account.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert not account.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert jobs("delete", "--yes").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "toml", "message"),
    [
        (["--model", "s3://our-bucket/models"], "", "no s3:// of a model.tar.gz"),
        (
            ["--model", archive_in(), "--package", "arn:aws:sagemaker:eu-west-1:123456789012:model-package/p/1"],
            "",
            "exclude each other",
        ),
        (["--model", "tests"], "", "has no counter.onnx"),
        ([], "", "no Approved model package"),
        (["--model", archive_in()], "[aws]\nbucket = 'our-bucket'", "aws.role is missing"),
    ],
)
def test_what_cannot_be_deployed_is_named_before_anything_is_made(
    jobs: Any, sagemaker: Any, arguments: list[str], toml: str, message: str
) -> None:
    done = jobs("deploy", *arguments, toml=toml)
    assert isinstance(done.exception, JobError)
    assert message in str(done.exception)
    assert not sagemaker.list_models()["Models"]


def test_quota_that_is_too_small_names_the_model_that_was_made(
    jobs: Any, sagemaker: Any, aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(params: dict[str, Any], **_: Any) -> Any:
        message = "The account-level service limit 'ml.c6i.xlarge for endpoint usage' is 0 Instances"
        body = {"Error": {"Code": "ResourceLimitExceeded", "Message": message}}
        return AWSResponse(params["url"], 400, HTTPHeaders(), None), body

    class Session(boto3.Session):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.events.register("before-call.sagemaker.CreateEndpoint", refuse)

    monkeypatch.setattr(context_module.boto3, "Session", Session)
    message = str(jobs("deploy", "--model", archive_in()).exception)
    assert "quota 'ml.c6i.xlarge for endpoint usage' is too small" in message
    (model,) = sagemaker.list_models()["Models"]
    assert f"aws sagemaker delete-model --model-name {model['ModelName']}" in message
    assert "delete-alarms" in message


def test_log_lines_are_printed_unchanged(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    def fail() -> None:
        raise JobFailed("endpoint failed\n[error] no model in [/opt/ml/model]")

    monkeypatch.setattr("training.jobs.cli.app", fail)
    with pytest.raises(SystemExit):
        main()
    assert "[error] no model in [/opt/ml/model]" in capsys.readouterr().err


def test_missing_credentials_end_in_one_message(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    settings = tmp_path / "ours.toml"
    settings.write_text(SETTINGS)
    arguments = ["jobs", "deploy", "--model", archive_in(), "--settings", str(settings)]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert "AWS credentials are missing" in capsys.readouterr().err
