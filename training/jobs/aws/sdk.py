"""The only private member of the SageMaker SDK that jobs use, checked on the version that tests/jobs/test_sdk.py names.

`HyperparameterTuner` of 3.27.0 copies instance, network and spot settings of its trainer to the trials, but neither the
key of the volumes nor the encryption between instances, and it has no public hook for them.
"""

from sagemaker.core.shapes import HyperParameterTrainingJobDefinition
from sagemaker.train.tuner import HyperparameterTuner

CHECKED_VERSION = "3.27.0"


class Tuner(HyperparameterTuner):  # type: ignore[misc]  # the SDK is not typed
    """The SDK's tuner, whose trials are encrypted as the trainer says."""

    def _build_training_job_definition(self, inputs: object) -> HyperParameterTrainingJobDefinition:
        definition = super()._build_training_job_definition(inputs)
        compute, networking = self.model_trainer.compute, self.model_trainer.networking
        definition.resource_config.volume_kms_key_id = compute.volume_kms_key_id
        definition.enable_inter_container_traffic_encryption = networking.enable_inter_container_traffic_encryption
        return definition
