"""`tune` as a SageMaker tuning job over training.loop.search_space; its best trial becomes settings for `train`."""

import json
from collections.abc import Mapping
from typing import Any

from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter, ParameterRange
from sagemaker.core.shapes import HyperParameterTuningJobWarmStartConfig, ParentHyperParameterTuningJob
from sagemaker.core.training.configs import CheckpointConfig
from sagemaker.train.tuner import WarmStartTypes

from training.jobs.aws.account import Account
from training.jobs.aws.sdk import Tuner
from training.jobs.errors import JobError
from training.jobs.settings import Option, Settings
from training.jobs.steps.training_job import METRICS, trainer
from training.loop.epoch_line import figure_regex
from training.loop.search_space import ACTS_UNDER, OBJECTIVE, SPACE, Continuous

BASE_NAME = "bincheck-tune"
NAME_LENGTH = Tuner.TUNING_JOB_NAME_MAX_LENGTH
DEFAULT_OPTIMIZER = "adamw"
TOOLKIT = "sagemaker_"
"""Hyperparameters of this prefix are for the container's toolkit: trials start by it, since the API of tuning takes
no entrypoint. It runs one process per GPU, whatever train.processes says."""


def tuner(
    account: Account,
    settings: Settings,
    source: str,
    name: str,
    *,
    warm_start: str | None = None,
    in_pipeline: bool = False,
) -> Tuner:
    """The job `name`, not started yet; `source` is the folder of `staged_source`, `warm_start` an earlier tuning job.

    Raises JobError when settings contradict each other or name no option of the space.
    """
    chosen = settings.tune
    trained = trainer(account, settings.train, source, in_pipeline=in_pipeline)
    trained.checkpoint_config = CheckpointConfig(s3_uri=account.uri("tune", name, "checkpoints"))
    trained.hyperparameters[f"{TOOLKIT}torch_distributed_enabled"] = True
    return Tuner(
        model_trainer=trained,
        objective_metric_name=f"val_{OBJECTIVE}",
        objective_type="Minimize",
        metric_definitions=[{"Name": metric, "Regex": figure_regex(metric)} for metric in METRICS],
        hyperparameter_ranges=ranges(settings),
        strategy="Bayesian",
        early_stopping_type="Auto" if chosen.early_stopping else "Off",
        max_jobs=chosen.jobs,
        max_parallel_jobs=chosen.parallel,
        base_tuning_job_name=BASE_NAME,
        warm_start_config=_warm_start(warm_start) if warm_start else None,
        tags=[{"Key": tag.key, "Value": tag.value} for tag in trained.tags],
    )


def ranges(settings: Settings) -> dict[str, ParameterRange]:
    """What is searched, by the names of `training.train`.

    SageMaker has no conditional ranges, so a job searches under the one optimizer of train.options, and only options
    that act under it. Raises JobError when tune.search names another option.
    """
    searched = {}
    for name in searched_options(settings):
        dimension = SPACE[name]
        if isinstance(dimension, Continuous):
            scale = "Logarithmic" if dimension.log else "Linear"
            searched[name.replace("_", "-")] = ContinuousParameter(dimension.low, dimension.high, scale)
        else:
            searched[name.replace("_", "-")] = CategoricalParameter(list(dimension.values))
    return searched


def searched_options(settings: Settings) -> list[str]:
    """Names of the options that are searched. Raises JobError when tune.search names another one."""
    optimizer = optimizer_of(settings)
    idle = {name for name, only in ACTS_UNDER.items() if only != optimizer}
    if settings.train.weights:
        idle.add("backbone")
    wanted = settings.tune.search or [name for name in SPACE if name not in idle]
    for name in wanted:
        if name not in SPACE:
            raise JobError(f"tune.search has no option {name!r}: choose of {', '.join(SPACE)}")
        if name == "backbone" and settings.train.weights:
            raise JobError("tune.search has backbone, and train.weights are those of one: leave out either")
        if name in idle:
            raise JobError(
                f"tune.search has {name}, which does nothing under optimizer {optimizer!r}: leave it out, or set "
                f"optimizer = {ACTS_UNDER[name]!r} in [train.options]"
            )
    return [name for name in SPACE if name in wanted]


def optimizer_of(settings: Settings) -> str:
    """The optimizer of every trial."""
    return str(settings.train.options.get("optimizer", DEFAULT_OPTIMIZER))


def _warm_start(name: str) -> HyperParameterTuningJobWarmStartConfig:
    return HyperParameterTuningJobWarmStartConfig(
        parent_hyper_parameter_tuning_jobs=[ParentHyperParameterTuningJob(hyper_parameter_tuning_job_name=name)],
        warm_start_type=WarmStartTypes.TRANSFER_LEARNING.value,
    )


def best_options(description: Mapping[str, Any]) -> dict[str, Option]:
    """Options of `training.train` with which the best trial ran, from the description of a tuning job.

    Raises JobError when no trial has ended yet.
    """
    best = description.get("BestTrainingJob")
    if not best:
        raise JobError(f"{description['HyperParameterTuningJobName']} has no best trial yet: wait until one has ended")
    options = description["TrainingJobDefinition"].get("StaticHyperParameters", {}) | best["TunedHyperParameters"]
    return {
        name.replace("-", "_"): _value(text) for name, text in options.items() if not name.startswith((TOOLKIT, "_"))
    }


def _value(text: str) -> Option:
    try:
        value: Option = json.loads(text)
    except json.JSONDecodeError:
        value = text
    return value


def with_best(settings: Settings, description: Mapping[str, Any]) -> Settings:
    """The settings with which `train` repeats the best trial."""
    options = settings.train.options | best_options(description)
    train = settings.train.model_copy(update={"options": options, "recipe": ""})
    return settings.model_copy(update={"train": train})
