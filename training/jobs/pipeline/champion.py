"""The champion: the model that the endpoint serves now. Imports boto3 only, not the SageMaker SDK."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from inventory.addresses import S3Address
from training.jobs.aws.endpoints import find_endpoint
from training.jobs.endpoint.serving import ARCHIVE, ARTIFACT
from training.jobs.errors import JobError
from training.jobs.steps.archives import unpack


def archive(sagemaker: Any, endpoint: str) -> str | None:
    """s3:// URI of the model.tar.gz that the endpoint serves; None when there is no such endpoint.

    Raises JobError when its model has no archive.
    """
    found = find_endpoint(sagemaker, endpoint)
    if found is None:
        return None
    config = found["EndpointConfigName"]
    (variant, *_) = sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
    served = sagemaker.describe_model(ModelName=variant["ModelName"])
    container = served.get("PrimaryContainer", {})
    if "ModelPackageName" in container:
        package = sagemaker.describe_model_package(ModelPackageName=container["ModelPackageName"])
        (container, *_) = package["InferenceSpecification"]["Containers"]
    if "ModelDataUrl" not in container:
        raise JobError(f"{endpoint} serves {variant['ModelName']}, which has no {ARCHIVE}: `deploy` a counter to it")
    return str(container["ModelDataUrl"])


@contextmanager
def artifact(s3: Any, uri: str) -> Iterator[Path]:
    """A temporary folder with the artifact of the model.tar.gz at `uri`.

    Raises JobError when the archive has no artifact.
    """
    place = S3Address.parse(uri)
    with TemporaryDirectory(prefix="bincheck-champion-") as folder:
        s3.download_file(place.bucket, place.key, str(packed := Path(folder) / ARCHIVE))
        with tarfile.open(packed) as tar:
            unpack(tar, Path(folder))
        if not (found := Path(folder) / ARTIFACT).is_dir():
            raise JobError(f"{uri} holds no {ARTIFACT}: `package` makes an archive of a counter")
        yield found
