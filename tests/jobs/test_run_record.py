"""What a job records of its run: recipe, seed, commit, data, and where it reports to."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from sagemaker.train.utils import safe_serialize

from training.jobs import settings as settings_file
from training.jobs.errors import JobError
from training.jobs.steps import run_record, training_job
from training.loop import commit

from .conftest import ROLE, SETTINGS, requests_of

MLFLOW = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/ours"
OFFLINE = f"""
[aws]
role = "{ROLE}"
bucket = "our-bucket"
subnets = ["subnet-1"]
security_groups = ["sg-1"]
packages = "s3://our-bucket/wheels"
[train]
data = "s3://our-bucket/d"
weights = "s3://our-bucket/weights/resnet50.safetensors"
"""


def recipe(name: str) -> dict[str, Any]:
    return tomllib.loads((settings_file.RECIPES / f"{name}.toml").read_text())


@pytest.mark.parametrize("name", sorted(path.stem for path in settings_file.RECIPES.glob("*.toml")))
def test_hyperparameters_of_a_job_are_every_option_of_its_recipe(jobs: Any, name: str) -> None:
    toml = SETTINGS.replace("[train]", f'[train]\nrecipe = "{name}"')
    request = requests_of(jobs("train", "--dry-run", toml=toml))["CreateTrainingJob"]
    expected = {
        option.replace("_", "-"): value if isinstance(value, str) else json.dumps(value)
        for option, value in recipe(name).items()
    }
    assert request["HyperParameters"] == {"seed": "0"} | expected
    assert "workers" not in request["HyperParameters"]  # as many as the instance has cores
    assert {"Key": "recipe", "Value": name} in request["Tags"]


@pytest.mark.parametrize("name", sorted(path.stem for path in settings_file.RECIPES.glob("*.toml")))
def test_training_reads_from_hyperparameters_what_it_reads_from_the_recipe(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: uv sync --group train --group dev")
    from training.train import parse_options

    (path := tmp_path / "s.toml").write_text(f'[train]\nrecipe = "{name}"')
    hyperparameters = training_job.hyperparameters(settings_file.load(path).train)
    words = [word for option, value in hyperparameters.items() for word in (f"--{option}", safe_serialize(value))]
    folders = ["--data", "d", "--out", "o"]
    assert parse_options([*words, *folders]) == parse_options(
        ["--config", str(settings_file.RECIPES / f"{name}.toml"), *folders]
    )


def test_trials_and_pipelines_have_the_whole_recipe_too(jobs: Any) -> None:
    name = settings_file.load().train.recipe
    fixed = requests_of(jobs("tune", "--dry-run"))["CreateHyperParameterTuningJob"]["TrainingJobDefinition"]
    assert fixed["StaticHyperParameters"]["ema-decay"] == str(recipe(name)["ema_decay"])
    definition = requests_of(jobs("pipeline", "upsert", "--dry-run"))["CreatePipeline"]["PipelineDefinition"]
    assert '"ema-decay": "0.998"' in definition


def test_options_of_the_settings_win_over_the_recipe_however_they_are_written(tmp_path: Path) -> None:
    (own := tmp_path / "own.toml").write_text('weight-decay = 0.2\nbackbone = "resnet50"\n')
    (path := tmp_path / "s.toml").write_text(f'[train]\nrecipe = "{own}"\noptions = {{weight_decay = 0.1}}')
    loaded = settings_file.load(path)
    assert loaded.train.options == {"weight_decay": 0.1, "backbone": "resnet50"}
    (again := tmp_path / "again.toml").write_text(settings_file.dump(loaded))
    own.unlink()  # what is dumped needs no recipe
    assert settings_file.load(again).train.options == loaded.train.options


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[train]\nrecipe = 'best'", r"train.recipe is a path, or one of .*lite0-teacher"),
        ("[train]\nweights = 's3://our-bucket/folder/'", "train.weights"),
        ("[aws]\nmlflow = 'http://localhost:5000'", "aws.mlflow"),
    ],
)
def test_wrong_names_are_refused_before_anything_starts(tmp_path: Path, toml: str, message: str) -> None:
    (path := tmp_path / "s.toml").write_text(toml)
    with pytest.raises(JobError, match=message):
        settings_file.load(path)


def test_text_of_any_script_survives_a_dump(tmp_path: Path) -> None:
    (path := tmp_path / "s.toml").write_text('[train.options]\nnote = "\U0001f4e6 \\u007f"')
    (again := tmp_path / "again.toml").write_text(settings_file.dump(settings_file.load(path)))
    assert settings_file.load(again).train.options["note"] == "\U0001f4e6 \x7f"


def test_jobs_record_the_commit_and_the_data(jobs: Any, account: Any, sagemaker: Any) -> None:
    account.client("s3").put_object(Bucket="our-bucket", Key="bincheck/prepared/index.csv", Body=b"1")
    assert jobs("train", "--no-wait").exit_code == 0
    (summary,) = sagemaker.list_training_jobs()["TrainingJobSummaries"]
    tags = {one["Key"]: one["Value"] for one in sagemaker.list_tags(ResourceArn=summary["TrainingJobArn"])["Tags"]}
    assert tags == {
        "project": "bincheck",
        "git-commit": commit.git_commit(),
        "data-digest": run_record.data_digest(account, "s3://our-bucket/bincheck/prepared/"),
        "recipe": settings_file.load().train.recipe,
    }
    variables = {"GIT_COMMIT": tags["git-commit"], "DATA_DIGEST": tags["data-digest"]}
    assert run_record.environment(account, packages="", data=tags["data-digest"]) == variables
    for command, operation in (("train", "CreateTrainingJob"), ("prepare", "CreateProcessingJob")):
        request = requests_of(jobs(command, "--dry-run"))[operation]
        assert request["Environment"] == {"GIT_COMMIT": tags["git-commit"]}


def test_digest_changes_with_an_object_and_leaves_out_what_begins_alike(account: Any) -> None:
    s3, uri = account.client("s3"), "s3://our-bucket/set"
    assert run_record.data_digest(account, uri) == ""
    s3.put_object(Bucket="our-bucket", Key="set/index.csv", Body=b"1")
    before = run_record.data_digest(account, uri)
    s3.put_object(Bucket="our-bucket", Key="set-2/index.csv", Body=b"1")
    assert run_record.data_digest(account, uri) == before
    s3.put_object(Bucket="our-bucket", Key="set/index.csv", Body=b"2")
    assert run_record.data_digest(account, uri) != before
    assert run_record.data_digest(account, "s3://no-such-bucket/set") == ""


def test_commit_of_changed_files_is_marked_and_outside_of_a_repository_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "PROJECT", tmp_path)
    assert commit.git_commit() == ""
    git = ("git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e@example.com")
    (tmp_path / "file").write_text("1")
    for command in (["init", "-q"], ["add", "file"], ["commit", "-qm", "first"], ["tag", "v1"]):
        subprocess.run([*git, *command], check=True)
    assert re.fullmatch("[0-9a-f]{40}", commit.git_commit())
    (tmp_path / "file").write_text("2")
    assert re.fullmatch("[0-9a-f]{40}-dirty", commit.git_commit())


def test_training_reports_to_mlflow_only_when_a_server_is_named(jobs: Any) -> None:
    toml = SETTINGS.replace("[aws]", f'[aws]\nmlflow = "{MLFLOW}"')
    named = {"MLFLOW_TRACKING_URI": MLFLOW, "MLFLOW_EXPERIMENT_NAME": "bincheck"}
    training = requests_of(jobs("train", "--dry-run", toml=toml))["CreateTrainingJob"]
    trials = requests_of(jobs("tune", "--dry-run", toml=toml))["CreateHyperParameterTuningJob"]
    for variables in (training["Environment"], trials["TrainingJobDefinition"]["Environment"]):
        assert variables.items() >= named.items()
    assert not set(named) & set(requests_of(jobs("train", "--dry-run"))["CreateTrainingJob"]["Environment"])


def test_job_in_a_network_without_internet_gets_weights_and_packages_by_channels(jobs: Any) -> None:
    request = requests_of(jobs("train", "--dry-run", toml=OFFLINE))["CreateTrainingJob"]
    channels = {one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in request["InputDataConfig"]}
    assert channels["weights"] == "s3://our-bucket/weights/resnet50.safetensors"
    assert channels["packages"] == "s3://our-bucket/wheels"
    assert request["HyperParameters"]["weights"] == "/opt/ml/input/data/weights/resnet50.safetensors"
    assert request["Environment"]["PIP_NO_INDEX"] == "1"
    assert request["Environment"]["PIP_FIND_LINKS"] == "/opt/ml/input/data/packages"
    prepare = requests_of(jobs("prepare", "--dry-run", toml=OFFLINE))["CreateProcessingJob"]
    (packages,) = [one["S3Input"] for one in prepare["ProcessingInputs"] if one["InputName"] == "packages"]
    assert packages["LocalPath"] == prepare["Environment"]["PIP_FIND_LINKS"]
