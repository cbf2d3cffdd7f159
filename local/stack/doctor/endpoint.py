"""The endpoint: whether it is in service, and whether its model answers as the Checker expects."""

from collections.abc import Iterator
from pathlib import Path

from botocore.exceptions import ClientError

from inventory.counting import count_objects
from inventory.errors import RejectedUpload, RetryLater
from local.stack.doctor.account import NO_SUCH_ENDPOINT
from local.stack.doctor.values import Answer, Place, failed, ok, warning

RENDERED = Path(__file__).resolve().parents[3] / "samples" / "bin-images" / "r014.jpg"
RENDERED_COUNT = 2
"""A rendered bin, and how many objects it shows."""
DEPLOY = "deploy a model: python -m training.jobs deploy (docs/deploy.md, The endpoint)"


def endpoint_status(place: Place) -> Iterator[Answer]:
    """whether the endpoint of EndpointName exists and is in service"""
    try:
        endpoint = place.cloud.sagemaker().describe_endpoint(EndpointName=place.endpoint)
    except ClientError as error:
        if NO_SUCH_ENDPOINT not in str(error):
            raise
        yield failed(f"there is no endpoint {place.endpoint}", f"{DEPLOY}, or give the name of another as EndpointName")
        return
    status = endpoint["EndpointStatus"]
    if status == "InService":
        yield ok(f"{place.endpoint} is in service")
    elif status in ("Creating", "Updating", "SystemUpdating", "RollingBack"):
        yield warning(f"{place.endpoint} is {status}", "wait until it is InService")
    else:
        yield failed(
            f"{place.endpoint} is {status}: {endpoint.get('FailureReason', 'SageMaker gives no reason')}", DEPLOY
        )


def model_contract(place: Place) -> Iterator[Answer]:
    """one call with a rendered image: whether the answer is one that the Checker understands"""
    try:
        answer = count_objects(place.cloud.sagemaker_runtime(), place.endpoint, RENDERED.read_bytes(), "doctor")
    except (RetryLater, RejectedUpload) as fault:
        yield failed(
            str(fault),
            "its log group /aws/sagemaker/Endpoints/… has the reason; if a new model is in service: rollback",
        )
    else:
        yield ok(f"{answer.model} counts {answer.labels[answer.count]} of {RENDERED_COUNT} objects in a rendered image")
