"""The SDK's pipelines, imported without a region: the import creates a client that needs one and is never used."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import boto3

__all__ = [
    "CacheConfig",
    "ConditionStep",
    "ModelStep",
    "Pipeline",
    "ProcessingStep",
    "TrainingStep",
    "TransformStep",
    "TuningStep",
]


@contextmanager
def _any_region() -> Iterator[None]:
    before = boto3.DEFAULT_SESSION
    boto3.setup_default_session(region_name="us-east-1")
    try:
        yield
    finally:
        boto3.DEFAULT_SESSION = before


with _any_region():
    from sagemaker.core.local.local_session import LocalSagemakerClient
    from sagemaker.mlops.workflow import steps
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.model_step import ModelStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TransformStep, TuningStep

steps.LocalSagemakerClient = lambda: LocalSagemakerClient  # created for the name of a method, and it needs a region too
logging.getLogger("sagemaker.core.workflow.utilities").setLevel(logging.ERROR)  # it logs each name left out
