"""The pipeline's graph, how it is brought up to date, and what is reported of its executions."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from rich.console import Console
from typer.testing import CliRunner

from training.jobs.aws.account import Account
from training.jobs.cli import app
from training.jobs.errors import JobFailed
from training.jobs.pipeline import executions
from training.jobs.steps import source

from .conftest import ROLE, SETTINGS, requests_of

EXECUTION = "arn:aws:sagemaker:eu-west-1:123456789012:pipeline/bincheck-counter/execution/abc"
COMPARISON = {"candidate": {"model": "counter@123"}, "gain": {"low": -0.3}}


def definition(folder: Path, toml: str) -> dict[str, Any]:
    """What `pipeline upsert --dry-run` would send with SETTINGS and, over them, some TOML."""
    (path := folder / "settings.toml").write_text(SETTINGS + toml)
    result = CliRunner().invoke(app, ["pipeline", "upsert", "--dry-run", "--settings", str(path)])
    request = requests_of(result)["CreatePipeline"]
    assert request["RoleArn"] == ROLE
    description: dict[str, Any] = json.loads(request["PipelineDefinition"])
    return description


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return definition(tmp_path_factory.mktemp("settings"), "[pipeline]\nmargin = 0.02")


def steps_of(description: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """All steps by name, those behind the condition too."""
    steps = {step["Name"]: step for step in description["Steps"]}
    return steps | {step["Name"]: step for step in steps["IsBetter"]["Arguments"]["IfSteps"]}


def needs(step: dict[str, Any]) -> set[str]:
    """Steps whose outcome its own arguments name."""
    own = {name: value for name, value in step["Arguments"].items() if name not in ("IfSteps", "ElseSteps")}
    return set(re.findall(r'"Steps\.(\w+)\.', json.dumps(own)))


def test_candidate_is_deployed_only_when_it_beats_the_champion_by_the_margin(description: dict[str, Any]) -> None:
    steps = steps_of(description)
    assert {name: (step["Type"], needs(step)) for name, step in steps.items()} == {
        "Prepare": ("Processing", set()),
        "Train": ("Training", {"Prepare"}),
        "Candidate": ("Model", {"Train"}),
        "Transform": ("Transform", {"Prepare", "Candidate"}),
        "Judge": ("Processing", {"Prepare", "Transform"}),
        "IsBetter": ("Condition", {"Judge"}),
        "Register": ("Processing", {"Train", "Judge"}),
        "Deploy": ("Processing", {"Register"}),
    }
    condition = steps["IsBetter"]["Arguments"]
    assert condition["Conditions"] == [
        {
            "Type": "GreaterThanOrEqualTo",
            "LeftValue": {
                "Std:JsonGet": {"PropertyFile": {"Get": "Steps.Judge.PropertyFiles.comparison"}, "Path": "gain.low"}
            },
            "RightValue": {"Get": "Parameters.Margin"},
        }
    ]
    assert [step["Name"] for step in condition["IfSteps"]] == ["Register", "Deploy"]
    assert condition["ElseSteps"] == []
    assert {one["Name"]: one["DefaultValue"] for one in description["Parameters"]} == {
        "Source": "s3://aft-vbi-pds",
        "Margin": 0.02,
    }
    assert {name for name, step in steps.items() if "CacheConfig" in step} == {"Prepare", "Train"}
    assert steps["Train"]["CacheConfig"] == {"Enabled": True, "ExpireAfter": "PT1H"}


def test_every_execution_writes_below_a_place_of_its_own(description: dict[str, Any]) -> None:
    steps = steps_of(description)
    places = [
        output["S3Output"]["S3Uri"]
        for step in steps.values()
        for output in step["Arguments"].get("ProcessingOutputConfig", {}).get("Outputs", [])
    ]
    places.append(steps["Transform"]["Arguments"]["TransformOutput"]["S3OutputPath"])
    assert len(places) == 4
    for place in places:
        assert place["Std:Join"]["Values"][1] == {"Get": "Execution.PipelineExecutionId"}
    kept = steps["Train"]["Arguments"]["CheckpointConfig"]["S3Uri"]["Std:Join"]
    assert kept["Values"] == [
        {"Get": "Steps.Prepare.ProcessingOutputConfig.Outputs['set'].S3Output.S3Uri"},
        "-checkpoints",
    ]


def test_pipeline_that_tunes_judges_its_best_trial(tmp_path: Path) -> None:
    steps = steps_of(definition(tmp_path, "[pipeline]\ntune = true\n[tune]\njobs = 3"))
    assert "Train" not in steps
    assert steps["Tune"]["Type"] == "Tuning"
    trials = steps["Tune"]["Arguments"]["HyperParameterTuningJobConfig"]["ResourceLimits"]
    assert trials["MaxNumberOfTrainingJobs"] == 3
    archive = steps["Candidate"]["Arguments"]["PrimaryContainer"]["ModelDataUrl"]["Std:Join"]
    assert archive == {
        "On": "/",
        "Values": [
            *("s3:/", "our-bucket", "bincheck/train"),
            {"Get": "Steps.Tune.TrainingJobSummaries[0].TrainingJobName"},
            "output/model.tar.gz",
        ],
    }
    trained = steps["Tune"]["Arguments"]["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"]
    assert trained == "s3://our-bucket/bincheck/train"


def test_upsert_changes_a_pipeline_only_when_code_or_settings_did(
    jobs: Any, sagemaker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with source.staged_source() as code:
        (project := tmp_path / "project").mkdir()
        for package, name in source.PACKAGES.items():
            shutil.copytree(code / name, project / package)
    monkeypatch.setattr(source, "PROJECT", project)

    def described() -> dict[str, Any]:
        description = sagemaker.describe_pipeline(PipelineName="bincheck-counter")
        return {name: description[name] for name in ("PipelineDefinition", "PipelineDescription")}

    for _ in range(2):
        result = jobs("pipeline", "upsert")
        assert result.exit_code == 0, result.output
    assert "was up to date already" in result.stderr
    before = described()
    result = jobs("pipeline", "upsert", toml=SETTINGS + "[pipeline]\nmargin = 0.5")
    assert result.exit_code == 0, result.output
    assert "is up to date now" in result.stderr
    assert json.loads(described()["PipelineDefinition"])["Parameters"][1]["DefaultValue"] == 0.5
    assert described()["PipelineDescription"] != before["PipelineDescription"]


def test_start_passes_other_parameters_on(jobs: Any, sagemaker: Any) -> None:
    sagemaker.create_pipeline(PipelineName="bincheck-counter", PipelineDefinition="{}", RoleArn=ROLE)
    result = jobs("pipeline", "start", "--no-wait", "--margin", "0.1")
    assert result.exit_code == 0, result.output
    (run,) = sagemaker.list_pipeline_executions(PipelineName="bincheck-counter")["PipelineExecutionSummaries"]
    given = sagemaker.list_pipeline_parameters_for_execution(PipelineExecutionArn=run["PipelineExecutionArn"])
    assert given["PipelineParameters"] == [{"Name": "Margin", "Value": "0.1"}]


def report(account: Account, status: str, steps: list[dict[str, Any]]) -> None:
    """Let the API report this of EXECUTION, which moto cannot."""
    answers = {
        "DescribePipelineExecution": {"PipelineExecutionArn": EXECUTION, "PipelineExecutionStatus": status},
        "ListPipelineExecutionSteps": {"PipelineExecutionSteps": steps},
    }
    for name, answer in answers.items():

        def reply(params: dict[str, Any], answer: dict[str, Any] = answer, **_: Any) -> Any:
            return AWSResponse(params["url"], 200, HTTPHeaders(), None), answer

        account.boto.events.register(f"before-call.sagemaker.{name}", reply)


def test_failed_step_is_reported_with_its_reason_and_the_end_of_its_log(account: Account) -> None:
    logs, group = account.client("logs"), "/aws/sagemaker/ProcessingJobs"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="pipelines-abc-Judge/algo-1")
    event = {"timestamp": int(time.time() * 1000), "message": "ValueError: no such image"}
    logs.put_log_events(logGroupName=group, logStreamName="pipelines-abc-Judge/algo-1", logEvents=[event])
    job = "arn:aws:sagemaker:eu-west-1:123456789012:processing-job/pipelines-abc-Judge"
    good = {"StepName": "Train", "StepStatus": "Succeeded"}
    bad = {
        "StepName": "Judge",
        "StepStatus": "Failed",
        "FailureReason": "exit code 1",
        "Metadata": {"ProcessingJob": {"Arn": job}},
    }
    report(account, "Failed", [good, bad])
    with pytest.raises(JobFailed, match=r"Judge: exit code 1\nValueError: no such image$"):
        executions.follow(account, EXECUTION, Console(stderr=True))


@pytest.mark.parametrize("deployed", [True, False])
def test_execution_that_succeeded_reports_whether_it_deployed(account: Account, deployed: bool) -> None:
    place = {"Bucket": "our-bucket", "Key": "bincheck/pipeline/abc/judged/comparison.json"}
    account.client("s3").put_object(**place, Body=json.dumps(COMPARISON))
    last = [{"StepName": "Deploy", "StepStatus": "Succeeded"}] if deployed else []
    report(account, "Succeeded", [{"StepName": "IsBetter", "StepStatus": "Succeeded"}, *last])
    ended = executions.follow(account, EXECUTION, Console(stderr=True))
    assert ended.deployed is deployed
    assert ended.candidate == "counter@123"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[prepare]\ninstances = 2", "prepare.instances must be 1"),
        ("[prepare.options]\narchives = 9", "leave archives out"),
    ],
)
def test_a_set_that_a_transform_cannot_read_is_refused(jobs: Any, toml: str, message: str) -> None:
    refused = jobs("pipeline", "upsert", "--dry-run", toml=f"{SETTINGS}\n{toml}")
    assert message in str(refused.exception)
