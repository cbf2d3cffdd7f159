"""What jobs use of the SageMaker SDK beyond its public face."""

import ast
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
from jsonschema import Draft202012Validator, ValidationError
from sagemaker.core.common_utils import get_sagemaker_config_value

from training.jobs.aws import sdk
from training.jobs.aws.account import NO_TELEMETRY

JOBS = Path(__file__).parents[2] / "training" / "jobs"
OWN_CALL = {"_merge", "_tables"}


def private_members(path: Path) -> set[str]:
    """Private names that a file takes from the SDK: imported, read from another object, or overridden."""
    tree = ast.parse(path.read_text())
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sagemaker"):
            found |= {alias.name for alias in node.names if alias.name.startswith("_")}
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            found |= set() if isinstance(node.value, ast.Name) and node.value.id == "self" else {node.attr}
        if isinstance(node, ast.ClassDef) and node.bases and any(map(_from_sdk, node.bases)):
            methods = (one.name for one in node.body if isinstance(one, ast.FunctionDef))
            found |= {name for name in methods if name.startswith("_") and not name.startswith("__")}
    return found


def _from_sdk(base: ast.expr) -> bool:
    return isinstance(base, ast.Name) and base.id not in ("Section", "Exception", "JobError", "BaseModel")


def test_one_private_member_is_used_in_one_file_of_the_version_that_was_checked() -> None:
    used = {path.relative_to(JOBS).as_posix(): private_members(path) for path in JOBS.rglob("*.py")}
    assert {path: names for path, names in used.items() if names} == {"aws/sdk.py": {"_build_training_job_definition"}}
    assert version("sagemaker") == sdk.CHECKED_VERSION


def test_the_override_still_adds_what_the_tuner_omits() -> None:
    """Remove the override when the SDK copies the key of the volumes and the encryption itself."""
    import inspect

    original = inspect.getsource(sdk.HyperparameterTuner._build_training_job_definition)
    assert "volume_kms_key_id" not in original
    assert "enable_inter_container_traffic_encryption" not in original


def test_reading_a_setting_checks_the_settings_and_not_the_schema_of_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_schema(*_: object, **__: object) -> None:
        pytest.fail("the SDK's schema was checked")

    monkeypatch.setattr(Draft202012Validator, "check_schema", check_schema)
    session = SimpleNamespace(sagemaker_config={"SchemaVersion": "1.0", **NO_TELEMETRY})
    assert get_sagemaker_config_value(session, "SageMaker.PythonSDK.Modules.TelemetryOptOut") is True
    session.sagemaker_config = {"SchemaVersion": "2"}
    with pytest.raises(ValidationError):
        get_sagemaker_config_value(session, "SageMaker.PythonSDK.Modules.TelemetryOptOut")
