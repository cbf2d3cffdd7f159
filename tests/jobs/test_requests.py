"""Every request of every command, held against the API's own model: members, types, lengths, patterns and values."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.model import Shape
from botocore.validate import ParamValidator

from model.predictor import Predictor
from training.jobs.endpoint.serving import SHIPPED

from .conftest import ROLE, SETTINGS

ARCHIVE = "s3://our-bucket/models/model.tar.gz"
PACKAGE = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/bincheck-counter/1"
EVERYTHING = f"""
[aws]
role = "{ROLE}"
bucket = "our-bucket"
kms_key = "arn:aws:kms:eu-west-1:123456789012:key/12345678-1234-1234-1234-123456789012"
subnets = ["subnet-0123456789abcdef0"]
security_groups = ["sg-0123456789abcdef0"]
packages = "s3://our-bucket/wheels"
mlflow = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/ours"
[prepare]
ids = "s3://our-bucket/list.json"
labels = "s3://our-bucket/labels.csv"
[train]
data = "s3://our-bucket/d"
extra = "s3://our-bucket/e"
teacher = "s3://our-bucket/t/best.pt"
weights = "s3://our-bucket/w/lite2.safetensors"
instances = 2
processes = 4
instance_type = "ml.g5.12xlarge"
[deploy]
capture_percent = 20
alarm_topic = "arn:aws:sns:eu-west-1:123456789012:operations"
instance_type = "ml.g5.xlarge"
instances = 2
update = "rolling"
"""
WARM = EVERYTHING.replace("[train]", "[train]\nspot = false\nkeep_alive_minutes = 30\nretries = 0")
TUNED = EVERYTHING + "[pipeline]\ntune = true"
COMMANDS = (
    *("prepare", "train", "profile", "tune", "tune --warm-start earlier", "explore", f"evaluate --model {ARCHIVE}"),
    *(f"deploy --model {ARCHIVE}", "delete", "pipeline upsert", "pipeline start --margin 0.1", f"approve {PACKAGE}"),
    f"register --model {SHIPPED} --report REPORT",
)
STEPS = {
    "Processing": ("CreateProcessingJob", "ProcessingJobName"),
    "Training": ("CreateTrainingJob", "TrainingJobName"),
    "Tuning": ("CreateHyperParameterTuningJob", "HyperParameterTuningJobName"),
    "Transform": ("CreateTransformJob", "TransformJobName"),
    "Model": ("CreateModel", "ModelName"),
}
"""The request that SageMaker sends for a step, and the name that it gives."""
VARIABLES = {"Get", "Std:Join", "Std:JsonGet"}
RESOLVED = ("s3://our-bucket/key", "some-name", "1")
"""What a pipeline's variables stand for; the first that a place takes is put there."""


def faults(shape: Shape, value: Any, path: str = "") -> Iterator[str]:
    """What of a value the service would refuse, beyond what botocore checks itself."""
    if shape.type_name == "structure":
        for name, one in value.items():
            yield from faults(shape.members[name], one, f"{path}.{name}")
    elif shape.type_name == "list":
        yield from _size(shape, len(value), path)
        for index, one in enumerate(value):
            yield from faults(shape.member, one, f"{path}[{index}]")
    elif shape.type_name == "map":
        yield from _size(shape, len(value), path)
        for key, one in value.items():
            yield from faults(shape.key, key, f"{path} key {key}")
            yield from faults(shape.value, one, f"{path}.{key}")
    elif shape.type_name == "string":
        yield from _size(shape, len(value), path)
        pattern = _pattern(shape)
        if pattern and not pattern.fullmatch(value):
            yield f"{path}: {value!r} does not match {pattern.pattern}"
        if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
            yield f"{path}: {value!r} is none of the API's values"
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _size(shape, value, path)


def _pattern(shape: Shape) -> re.Pattern[str] | None:
    """The pattern of a string; None where there is none, or it is in Java's own syntax, which Python refuses."""
    try:
        return re.compile(shape.metadata.get("pattern", ".*").replace(r"\p{L}\p{Z}\p{N}", r"\w\s"), re.DOTALL)
    except re.error:
        return None


def _size(shape: Shape, size: float, path: str) -> Iterator[str]:
    if not shape.metadata.get("min", size) <= size <= shape.metadata.get("max", size):
        yield f"{path}: {size} is not within {shape.metadata['min']} and {shape.metadata['max']}"


def resolved(shape: Shape, value: Any) -> Any:
    """A step's arguments with its variables replaced."""
    if isinstance(value, dict) and VARIABLES & set(value):
        return next(text for text in RESOLVED if not list(faults(shape, text)))
    if shape.type_name == "structure":
        return {name: resolved(shape.members[name], one) for name, one in value.items()}
    if shape.type_name == "list":
        return [resolved(shape.member, one) for one in value]
    if shape.type_name == "map":
        return {key: resolved(shape.value, one) for key, one in value.items()}
    return value


def steps_of(definition: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for step in definition["Steps"]:
        yield step
        if step["Type"] == "Condition":
            yield from step["Arguments"]["IfSteps"]


def requests_of_steps(definition: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    model = botocore.session.get_session().get_service_model("sagemaker")
    for step in steps_of(definition):
        if step["Type"] in STEPS:
            operation, name = STEPS[step["Type"]]
            shape = model.operation_model(operation).input_shape
            yield "sagemaker", operation, resolved(shape, step["Arguments"] | {name: "pipelines-abc-step"})


def assert_accepted(service: str, operation: str, parameters: Any) -> None:
    model = botocore.session.get_session().get_service_model(service)
    shape = model.operation_model(operation).input_shape
    report = ParamValidator().validate(parameters, shape)
    assert not report.has_errors(), f"{operation}: {report.generate_report()}"
    assert not list(faults(shape, parameters)), operation


CASES = [
    *(pytest.param(command, SETTINGS, id=f"defaults-{command[:18]}") for command in COMMANDS),
    *(pytest.param(command, EVERYTHING, id=f"everything-{command[:18]}") for command in COMMANDS),
    pytest.param("train", WARM, id="warm-train"),
    pytest.param("train --recipe full", SETTINGS.replace("data = ", "# "), id="full-train"),
    pytest.param("pipeline upsert", TUNED, id="tuned-pipeline"),
]


@pytest.mark.parametrize(("command", "toml"), CASES)
def test_service_accepts_what_a_command_sends(jobs: Any, tmp_path: Path, command: str, toml: str) -> None:
    figures = {"accuracy": {"value": 0.5, "interval": [0.47, 0.53]}}
    report = {"model": Predictor(SHIPPED).name, "split": "test", "bins": 9, "figures": figures}
    (place := tmp_path / "report.json").write_text(json.dumps(report))
    result = jobs(*command.replace("REPORT", str(place)).split(), "--dry-run", toml=toml)
    assert result.exit_code == 0, result.output
    requests = [tuple(one.values()) for one in json.loads(result.stdout)]
    assert requests
    for service, operation, parameters in requests:
        assert_accepted(service, operation, parameters)
        if "PipelineDefinition" in parameters:
            steps = list(requests_of_steps(json.loads(parameters["PipelineDefinition"])))
            assert len(steps) == 7
            for step in steps:
                assert_accepted(*step)


def test_faults_are_found() -> None:
    shape = botocore.session.get_session().get_service_model("sagemaker").operation_model("CreateModel").input_shape
    assert [one.partition(":")[0] for one in faults(shape, {"ModelName": "a b", "ExecutionRoleArn": "arn"})] == [
        ".ModelName",
        ".ExecutionRoleArn",
        ".ExecutionRoleArn",
    ]
    assert list(faults(shape, {"Containers": [{"Mode": "Twice"}]})) == [
        ".Containers[0].Mode: 'Twice' is none of the API's values"
    ]
