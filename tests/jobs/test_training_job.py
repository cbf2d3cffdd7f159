"""What a training job asks of SageMaker."""

import re
import tarfile
from pathlib import Path
from typing import Any

import pytest

from training import prepare
from training.jobs.aws.account import Account
from training.jobs.errors import JobError
from training.jobs.steps import training_job, waiting
from training.jobs.steps.source import staged_source
from training.loop.epoch_line import epoch_line, figure_regex

from .conftest import ROLE, requests_of


def test_job_runs_on_spot_with_checkpoints_and_the_channels_that_the_script_reads(
    jobs: Any, sagemaker: Any, account: Any
) -> None:
    assert jobs("train", "--no-wait").exit_code == 0
    (summary,) = sagemaker.list_training_jobs()["TrainingJobSummaries"]
    description = sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
    sources = {one["ChannelName"]: one["DataSource"]["S3DataSource"]["S3Uri"] for one in description["InputDataConfig"]}
    assert sources["data"] == "s3://our-bucket/bincheck/prepared"
    assert set(sources) == {"data", "code", "sm_drivers"}
    assert description["RoleArn"] == ROLE
    assert description["AlgorithmSpecification"]["TrainingImage"].endswith("/pytorch:2.14-cu133-amzn2023-sagemaker")
    assert description["EnableManagedSpotTraining"] is True
    assert description["StoppingCondition"] == {"MaxRuntimeInSeconds": 4 * 3600, "MaxWaitTimeInSeconds": 12 * 3600}
    assert description["CheckpointConfig"]["S3Uri"].endswith(f"{summary['TrainingJobName']}/checkpoints")
    assert description["CheckpointConfig"]["LocalPath"] == "/opt/ml/checkpoints"
    assert description["HyperParameters"]["backbone"] == "tf_efficientnet_lite2"
    assert description["TensorBoardOutputConfig"]["S3OutputPath"] == "s3://our-bucket/bincheck/tensorboard"


FULL = f"""
[aws]
role = "{ROLE}"
bucket = "our-bucket"
[prepare]
val_ids = "s3://our-bucket/random_val.txt"
[train]
instance_type = "ml.g5.12xlarge"
"""


def test_the_whole_public_set_is_one_command_from_its_bucket_to_a_network(jobs: Any) -> None:
    result = jobs("train", "--recipe", "full", "--dry-run", toml=FULL)
    made, trained = (requests_of(result)[f"Create{kind}Job"] for kind in ("Processing", "Training"))
    words = made["AppSpecification"]["ContainerArguments"]
    options = prepare.parse_options([*words, "--out", "set"])
    assert (options.source, options.size, options.archives) == ("s3://aft-vbi-pds", 240, 256)
    assert options.split.kind == "given"
    assert made["ProcessingResources"]["ClusterConfig"]["InstanceCount"] == 4
    place = made["ProcessingOutputConfig"]["Outputs"][0]["S3Output"]["S3Uri"]
    (data,) = (one for one in trained["InputDataConfig"] if one["ChannelName"] == "data")
    assert data["DataSource"]["S3DataSource"]["S3Uri"] == place
    assert (trained["HyperParameters"]["epochs"], trained["HyperParameters"]["batch"]) == ("16", "256")
    assert trained["ResourceConfig"]["InstanceType"] == "ml.g5.12xlarge"  # the settings win over the recipe
    assert "Prepare costs at most 6.53 USD" in result.stderr
    assert "It costs at most 176.69 USD" in result.stderr


def test_the_training_waits_for_its_set(jobs: Any, sagemaker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    def wait(account: Account, kind: waiting.Kind, name: str, _: object) -> dict[str, Any]:
        waited.append((kind, len(sagemaker.list_training_jobs()["TrainingJobSummaries"])))
        return {"ModelArtifacts": {"S3ModelArtifacts": "s3://our-bucket/model.tar.gz"}}

    monkeypatch.setattr(waiting, "wait", wait)
    result = jobs("train", "--recipe", "full", toml=FULL)
    assert result.exit_code == 0, result.output
    assert waited == [(waiting.PROCESSING, 0), (waiting.TRAINING, 1)]
    refused = jobs("train", "--recipe", "full", "--no-wait", toml=FULL)
    assert isinstance(refused.exception, JobError)
    assert "--no-wait would end before the set is made" in str(refused.exception)
    assert len(sagemaker.list_processing_jobs()["ProcessingJobSummaries"]) == 1


def test_warm_pool_and_several_instances(jobs: Any) -> None:
    toml = """
    [aws]
    role = "arn:aws:iam::123456789012:role/r"
    kms_key = "alias/ours"
    [train]
    data = "s3://our-bucket/d"
    extra = "s3://our-bucket/e"
    teacher = "s3://our-bucket/t/best.pt"
    instances = 2
    instance_type = "ml.g4dn.12xlarge"
    spot = false
    keep_alive_minutes = 20
    """
    request = requests_of(jobs("train", "--dry-run", toml=toml))["CreateTrainingJob"]
    assert request["ResourceConfig"] == {
        "InstanceType": "ml.g4dn.12xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 30,
        "VolumeKmsKeyId": "alias/ours",
        "KeepAlivePeriodInSeconds": 1200,
    }
    assert request["EnableManagedSpotTraining"] is False
    assert request["EnableInterContainerTrafficEncryption"] is True
    assert "MaxWaitTimeInSeconds" not in request["StoppingCondition"]
    assert {"data", "extra", "teacher"} < {one["ChannelName"] for one in request["InputDataConfig"]}


def test_metrics_are_found_in_the_line_that_training_prints() -> None:
    line = epoch_line(
        {name: number + 0.25 for number, name in enumerate(("epoch", "minutes", *training_job.METRICS[1:]))}
    )
    for number, name in enumerate(("epoch", "minutes", *training_job.METRICS[1:])):
        assert [float(value) for value in re.findall(figure_regex(name), line)] == [number + 0.25]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[train]\nkeep_alive_minutes = 5", "exclude each other"),
        ("[train]\nmax_wait_hours = 1", "at least train.max_hours"),
        ('[train]\ndata = ""', "train.data is missing"),
        ('[aws]\nrole = ""', "aws.role is missing"),
    ],
)
def test_contradictions_are_named(settings_with: Any, account: Any, toml: str, message: str) -> None:
    settings = settings_with(toml)
    with staged_source() as source, pytest.raises(JobError, match=message):
        training_job.trainer(Account(settings.aws, account.boto), settings.train, str(source)).train(
            training_job.channels(account, settings.train)
        )


def test_profile_is_asked_for_and_brought_back(jobs: Any, account: Account, tmp_path: Path) -> None:
    request = requests_of(jobs("profile", "--dry-run"))["CreateTrainingJob"]
    assert request["HyperParameters"]["profile"] == "true"
    description = {"TrainingJobName": "p", "OutputDataConfig": {"S3OutputPath": "s3://our-bucket/bincheck/train"}}
    for name in ("best.pt", "profile/summary.html"):
        (path := tmp_path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        path.write_text("twelve steps")
        with tarfile.open(tmp_path / "output.tar.gz", "w:gz") as tar:
            tar.add(tmp_path / "data", ".")
        account.client("s3").upload_file(
            str(tmp_path / "output.tar.gz"), "our-bucket", "bincheck/train/p/output/output.tar.gz"
        )
        if name == "best.pt":
            with pytest.raises(JobError, match="p left no profile"):
                training_job.fetch_profile(account, description, tmp_path / "out")
    assert training_job.fetch_profile(account, description, tmp_path / "out").read_text() == "twelve steps"
    assert not (tmp_path / "out" / "best.pt").exists()
