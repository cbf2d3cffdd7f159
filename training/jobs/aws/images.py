"""The managed containers that jobs and endpoints run in."""

from sagemaker.core import image_uris

from training.jobs.errors import JobError
from training.jobs.settings import Processing, Train

SERVING = ("ray-serve", "1.4")
"""A documented release. The tag of version 1 moves on by itself."""
GPU_FAMILIES = ("ml.g", "ml.p")


def training_image(region: str, settings: Train | Processing) -> str:
    """The PyTorch training container, for the GPUs or the CPUs of the instance. Raises JobError as `managed_image`."""
    return managed_image("pytorch-amzn2023", region, settings.image, settings.instance_type, "training")


def serving_image(region: str, instance_type: str) -> str:
    """The Ray Serve container, for the GPU or the CPU of the instance. Raises JobError as `managed_image`."""
    framework, version = SERVING
    return managed_image(framework, region, version, instance_type, "inference")


def managed_image(
    framework: str, region: str, version: str, instance_type: str, scope: str, python: str | None = None
) -> str:
    """The address of a container that AWS keeps in each region.

    Raises:
        JobError: AWS has no such container there, as far as the SageMaker SDK knows.
    """
    try:
        return str(
            image_uris.retrieve(
                framework=framework,
                region=region,
                version=version,
                py_version=python,
                instance_type=instance_type,
                image_scope=scope,
            )
        )
    except ValueError as error:
        raise JobError(
            f"AWS has no {framework} container {version} for {instance_type} in {region}: set another `image` in the "
            f"settings file, or another region; docs/deploy.md lists them. {error}"
        ) from error


def on_gpu(instance_type: str) -> bool:
    """Whether instances of the type have a GPU that the containers use."""
    return instance_type.startswith(GPU_FAMILIES)
