"""The managed containers that jobs and endpoints run in."""

from sagemaker.core import image_uris

from training.jobs.settings import Processing, Train

SERVING = ("ray-serve", "1")
GPU_FAMILIES = ("ml.g", "ml.p")


def training_image(region: str, settings: Train | Processing) -> str:
    """The PyTorch training container, for the GPUs or the CPUs of the instance."""
    return str(
        image_uris.retrieve(
            framework="pytorch-amzn2023",
            region=region,
            version=settings.image,
            instance_type=settings.instance_type,
            image_scope="training",
        )
    )


def serving_image(region: str, instance_type: str) -> str:
    """The Ray Serve container, for the GPU or the CPU of the instance."""
    framework, version = SERVING
    return str(
        image_uris.retrieve(
            framework=framework, region=region, version=version, instance_type=instance_type, image_scope="inference"
        )
    )


def on_gpu(instance_type: str) -> bool:
    """Whether instances of the type have a GPU that the containers use."""
    return instance_type.startswith(GPU_FAMILIES)
