"""The SDK's pipelines, which need a default region of boto3's where the rest of the SDK takes a session."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

import boto3

__all__ = [
    "CacheConfig",
    "ConditionStep",
    "ModelBuilder",
    "ModelStep",
    "Pipeline",
    "ProcessingStep",
    "TrainingStep",
    "TransformStep",
    "TuningStep",
    "default_region",
]


@contextmanager
def default_region(region: str) -> Iterator[None]:
    """Set boto3's default region meanwhile.

    The import of pipelines, and every processing and transform step, creates a client that needs one and is never used.
    """
    session, environment = boto3.DEFAULT_SESSION, dict(os.environ)
    os.environ["AWS_DEFAULT_REGION"] = region
    boto3.setup_default_session()
    try:
        yield
    finally:
        boto3.DEFAULT_SESSION = session
        os.environ.clear()
        os.environ.update(environment)


# The import shows the information of all loggers unless a handler is there.
_warnings = logging.StreamHandler()
_warnings.setLevel(logging.WARNING)
logging.basicConfig(handlers=[_warnings])

with default_region("us-east-1"):
    from sagemaker.mlops.workflow.condition_step import ConditionStep
    from sagemaker.mlops.workflow.model_step import ModelStep
    from sagemaker.mlops.workflow.pipeline import Pipeline
    from sagemaker.mlops.workflow.steps import CacheConfig, ProcessingStep, TrainingStep, TransformStep, TuningStep
    from sagemaker.serve.model_builder import ModelBuilder

logging.getLogger("sagemaker.core.workflow.utilities").setLevel(logging.ERROR)  # it warns of each name that it omits
