"""What a tuning job asks of SageMaker, and what becomes of its best trial."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from training.jobs import settings as settings_file
from training.jobs.errors import JobError
from training.jobs.steps import tuning_job
from training.loop.search_space import SPACE

from .conftest import SETTINGS, requests_of


def test_trials_search_the_space_by_the_names_of_training(jobs: Any) -> None:
    toml = SETTINGS.replace(
        "[train]", "[train]\nspot = false\ninstances = 2\noptions = {weight_decay = 0.1, epochs = 6}"
    )
    toml = toml.replace("[aws]", '[aws]\nkms_key = "alias/ours"')
    request = requests_of(jobs("tune", "--dry-run", toml=toml))["CreateHyperParameterTuningJob"]
    config, trial = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    numbers = {one["Name"]: one for one in config["ParameterRanges"]["ContinuousParameterRanges"]}
    choices = {one["Name"]: one["Values"] for one in config["ParameterRanges"]["CategoricalParameterRanges"]}
    assert numbers["weight-decay"] == {
        "Name": "weight-decay", "MinValue": "0.001", "MaxValue": "0.2", "ScalingType": "Logarithmic",
    }  # fmt: skip
    assert choices["size"] == ["192", "224", "256"]
    assert {name.replace("_", "-") for name in SPACE} - {"momentum"} == {*numbers, *choices}
    assert config["HyperParameterTuningJobObjective"] == {"Type": "Minimize", "MetricName": "val_log_loss"}
    assert config["Strategy"] == "Bayesian"
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 2}
    assert "val_log_loss" in {one["Name"] for one in trial["AlgorithmSpecification"]["MetricDefinitions"]}
    fixed = trial["StaticHyperParameters"]
    assert fixed["epochs"] == "6"
    assert fixed["sagemaker_program"] == "training/jobs/container/train.py"
    assert not set(fixed) & {*numbers, *choices, "weight_decay"}
    assert trial["ResourceConfig"]["VolumeKmsKeyId"] == "alias/ours"
    assert trial["EnableInterContainerTrafficEncryption"] is True
    assert "WarmStartConfig" not in request


def test_trials_on_spot_keep_checkpoints_and_learn_from_an_earlier_job(jobs: Any) -> None:
    toml = SETTINGS + '[tune]\nsearch = ["lr"]\njobs = 4\nearly_stopping = false'
    request = requests_of(jobs("tune", "--dry-run", "--warm-start", "earlier", toml=toml))
    request = request["CreateHyperParameterTuningJob"]
    name, trial = request["HyperParameterTuningJobName"], request["TrainingJobDefinition"]
    assert trial["EnableManagedSpotTraining"] is True
    assert trial["StoppingCondition"]["MaxWaitTimeInSeconds"] == 12 * 3600
    assert trial["CheckpointConfig"]["S3Uri"] == f"s3://our-bucket/bincheck/tune/{name}/checkpoints"
    assert trial["StaticHyperParameters"]["backbone"] == "tf_efficientnet_lite2"
    assert request["WarmStartConfig"] == {
        "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "earlier"}],
        "WarmStartType": "TransferLearning",
    }
    assert request["HyperParameterTuningJobConfig"]["TrainingJobEarlyStoppingType"] == "Off"


def test_tune_starts_a_job_whose_code_the_toolkit_can_fetch(jobs: Any, sagemaker: Any) -> None:
    result = jobs("tune", "--no-wait")
    assert result.exit_code == 0, result.output
    (summary,) = sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
    description = sagemaker.describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=summary["HyperParameterTuningJobName"]
    )
    place = description["TrainingJobDefinition"]["StaticHyperParameters"]["sagemaker_submit_directory"]
    assert boto3.client("s3").head_object(Bucket="our-bucket", Key=place.removeprefix("s3://our-bucket/"))


def described(sagemaker: Any, **best: Any) -> dict[str, Any]:
    """A description that holds to the model of the API."""
    description = {
        "HyperParameterTuningJobName": "t",
        "HyperParameterTuningJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:hyper-parameter-tuning-job/t",
        "HyperParameterTuningJobConfig": {"Strategy": "Bayesian", "ResourceLimits": {"MaxParallelTrainingJobs": 1}},
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": 0,
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
        "TrainingJobDefinition": {
            "StaticHyperParameters": {
                "epochs": "6",
                "loss": "corn",
                "sagemaker_program": "x.py",
                "_tuning_objective_metric": "val_log_loss",
            },
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            "OutputDataConfig": {"S3OutputPath": "s3://o"},
            "StoppingCondition": {},
        },
    } | best
    with Stubber(sagemaker) as stubbed:
        stubbed.add_response("describe_hyper_parameter_tuning_job", description)
        return dict(sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName="t"))


def test_best_trial_becomes_a_settings_file_for_train(
    sagemaker: Any, settings_with: Any, tmp_path: Path, jobs: Any
) -> None:
    tuned = {"size": "256", "lr": "0.00047", "weight-decay": "1e-05", "backbone": "resnet18"}
    best = {
        "TrainingJobName": "t-007",
        "TrainingJobArn": "arn:aws:sagemaker:eu-west-1:123456789012:training-job/t-007",
        "CreationTime": 0,
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": tuned,
    }
    settings = tuning_job.with_best(settings_with(), described(sagemaker, BestTrainingJob=best))
    (path := tmp_path / "best.toml").write_text(settings_file.dump(settings))
    assert settings_file.load(path) == settings
    request = requests_of(jobs("train", "--dry-run", toml=path.read_text()))["CreateTrainingJob"]
    assert request["HyperParameters"].items() >= {**tuned, "epochs": "6", "loss": "corn"}.items()


def test_job_without_an_ended_trial_has_no_best(sagemaker: Any) -> None:
    with pytest.raises(JobError, match="t has no best trial yet"):
        tuning_job.best_options(described(sagemaker))


def test_option_that_is_not_in_the_space_is_named(settings_with: Any) -> None:
    with pytest.raises(JobError, match=r"tune\.search has no option 'dropout': choose of backbone, size"):
        tuning_job.ranges(settings_with('[tune]\nsearch = ["dropout"]'))


def test_options_are_searched_only_under_the_optimizer_that_they_act_under(settings_with: Any) -> None:
    sgd = "[train.options]\noptimizer = 'sgd'\n"
    assert "momentum" not in tuning_job.ranges(settings_with())
    assert tuning_job.ranges(settings_with(sgd))["momentum"].scaling_type == "Linear"
    momentum = "[tune]\nsearch = ['momentum', 'lr']"
    assert set(tuning_job.ranges(settings_with(sgd + momentum))) == {"momentum", "lr"}
    with pytest.raises(JobError, match="momentum, which does nothing under optimizer 'adamw'"):
        tuning_job.ranges(settings_with(momentum))


def test_tune_says_what_it_searches_under_which_optimizer(jobs: Any) -> None:
    result = jobs("tune", "--dry-run", toml=SETTINGS + "[train.options]\noptimizer = 'sgd'\n[tune]\nsearch = ['lr']")
    assert "It searches lr under sgd." in result.stderr


def test_weights_of_one_backbone_are_not_searched_with_others(settings_with: Any) -> None:
    weights = "[train]\nweights = 's3://our-bucket/lite2.safetensors'\n"
    assert "backbone" not in tuning_job.ranges(settings_with(weights))
    with pytest.raises(JobError, match=r"train\.weights are those of one"):
        tuning_job.ranges(settings_with(weights + "[tune]\nsearch = ['backbone']"))
