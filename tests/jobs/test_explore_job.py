"""What an exploring job asks of SageMaker."""

from typing import Any

from training.explore import parse_options

from .conftest import requests_of


def test_job_runs_in_the_container_of_autogluon_on_one_gpu(jobs: Any) -> None:
    request = requests_of(jobs("explore", "--dry-run"))["CreateTrainingJob"]
    image = request["AlgorithmSpecification"]["TrainingImage"]
    assert image.endswith("/autogluon-training:1.5.0-gpu-py311")
    assert request["ResourceConfig"]["InstanceCount"] == 1
    assert [one["ChannelName"] for one in request["InputDataConfig"]] == ["data", "code", "sm_drivers"]
    words = [word for name, value in request["HyperParameters"].items() for word in (f"--{name}", value)]
    options = parse_options([*words, "--data", "d", "--out", "o"])
    assert (options.trials, options.epochs, options.minutes) == (8, 10, 225)
    assert request["StoppingCondition"]["MaxRuntimeInSeconds"] == 4 * 3600
