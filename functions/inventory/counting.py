"""The client of the counting endpoint: takes image bytes, returns the distribution of the count."""

import json
import math
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from inventory.errors import RejectedUpload, RetryLater
from inventory.prediction import Interval, Prediction, is_open

if TYPE_CHECKING:
    from mypy_boto3_sagemaker_runtime import SageMakerRuntimeClient

SIGNATURES = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG\r\n\x1a\n": "image/png"}
IMAGE_FAULT_STATUSES = {400, 413, 415, 422}
"""Status codes with which the model rejects the image, if it gives a reason. Any other failure is the endpoint's and is
retried: a proxy, a container of another project or a wrong address answers with these codes too."""

VOLUME_LIMIT_IN3 = 1e9
"""Larger than any bin, and small enough for DynamoDB's numbers."""

LEAST_VOLUME_ERROR = 1e-6
"""Smaller than any model's error, and large enough that its square does not overflow the verdict."""

REASON_LIMIT = 500
NAME_LIMIT = 200
"""Stored characters of a model's reason and name."""


def count_objects(runtime: "SageMakerRuntimeClient", endpoint: str, image: bytes, inference_id: str) -> Prediction:
    """Ask the endpoint how many objects a JPEG or PNG image shows.

    `inference_id` (up to 64 ASCII characters) names the call in captured data.

    Raises:
        RejectedUpload: the bytes are neither JPEG nor PNG, or the model rejects the image and gives a reason.
        RetryLater: the endpoint is missing, throttled, slow or broken, or its answer is neither a prediction nor a
            rejection with a reason.
    """
    content_type = media_type(image)
    try:
        answer = runtime.invoke_endpoint(
            EndpointName=endpoint,
            ContentType=content_type,
            Accept="application/json",
            Body=image,
            InferenceId=inference_id,
        )
        body = answer["Body"].read()
    except ClientError as error:
        raise _failure(endpoint, error.response) from None  # the error quotes the container's answer
    except BotoCoreError as error:
        raise RetryLater(f"endpoint {endpoint} did not answer: {error}") from error
    return _prediction(endpoint, body)


def media_type(image: bytes) -> str:
    """`image/jpeg` or `image/png`, by the first bytes of the image, whatever its name is.

    Raises:
        RejectedUpload: the image is neither.
    """
    for signature, media in SIGNATURES.items():
        if image.startswith(signature):
            return media
    raise RejectedUpload("the image is neither JPEG nor PNG, whatever its name says: save it as one of them")


def _failure(endpoint: str, response: Any) -> Exception:
    error = response["Error"]
    by_model = error["Code"] == "ModelError" and response.get("OriginalStatusCode") in IMAGE_FAULT_STATUSES
    if by_model and (reason := _reason(response.get("OriginalMessage", ""))):
        return RejectedUpload(f"the image cannot be counted: {reason}")
    if error["Code"] == "ModelError":  # its message quotes the container's answer, which may hold anything
        detail = f"its container answered {response.get('OriginalStatusCode')}, and its own log says why"
    else:
        detail = error.get("Message", "")[:300]
    return RetryLater(f"endpoint {endpoint} failed: {error['Code']}: {detail}")


def _reason(message: str) -> str | None:
    """The reason that the model gives in its answer; None if the answer is not the model's."""
    try:
        reason = json.loads(message)["reason"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(reason, str) or not reason.strip():
        return None
    return reason[:REASON_LIMIT].encode(errors="replace").decode()


def _prediction(endpoint: str, body: bytes) -> Prediction:
    try:
        answer = json.loads(body)
        prediction = Prediction(
            count=answer["count"],
            labels=tuple(answer["labels"]),
            probabilities=tuple(map(float, answer["probabilities"])),
            prior=tuple(map(float, answer["prior"])),
            model=str(answer["model"]),
            volume_in3=_number(answer.get("volume_in3")),
            volume_error=_number(answer.get("volume_error")),
            interval=_interval(answer.get("interval")),
        )
        fault = _fault(prediction)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        fault = type(error).__name__  # not its message, which quotes the answer
    if fault:
        raise RetryLater(
            f"endpoint {endpoint} answered no prediction ({fault}): does it serve the model of this project?"
        )
    return prediction


def _fault(prediction: Prediction) -> str | None:
    """The reason why a prediction is invalid, without quoting it; None if it is valid."""
    expected_labels = [str(number) for number in range(len(prediction.labels))]
    closed_labels = [
        label.removesuffix("+") if label is prediction.labels[-1] else label for label in prediction.labels
    ]
    if not closed_labels or closed_labels != expected_labels:
        return "labels are not 0, 1, 2, …"
    if type(prediction.count) is not int or not 0 <= prediction.count < len(prediction.labels):
        return "count is none of the labels"
    if prediction.interval is not None and not _holds(prediction.interval, prediction):
        return "interval is no range of labels around the count"
    for name, distribution in (("probabilities", prediction.probabilities), ("prior", prediction.prior)):
        if len(distribution) != len(prediction.labels):
            return f"{len(distribution)} {name} for {len(prediction.labels)} labels"
        if not all(0 <= share <= 1 for share in distribution) or not math.isclose(sum(distribution), 1, abs_tol=1e-3):
            return f"{name} are no distribution"
    if not prediction.model.isprintable() or len(prediction.model) > NAME_LIMIT:
        return "model is no name"
    if prediction.volume_in3 is not None and not 0 <= prediction.volume_in3 <= VOLUME_LIMIT_IN3:
        return f"volume_in3 does not lie between 0 and {VOLUME_LIMIT_IN3:g}"
    if prediction.volume_error is not None and not LEAST_VOLUME_ERROR <= prediction.volume_error < math.inf:
        return f"volume_error is less than {LEAST_VOLUME_ERROR:g} or infinite"
    return None


def _holds(interval: Interval, prediction: Prediction) -> bool:
    """Whether an interval lies within the labels, holds the count, and is open only if the last label is."""
    low, high = interval
    last = len(prediction.labels) - 1
    if type(low) is not int or (type(high) is not int and high is not None):
        return False
    ends = is_open(prediction) if high is None else high <= last
    return ends and 0 <= low <= prediction.count <= (last if high is None else high)


def _interval(value: Any) -> Interval | None:
    if value is None:
        return None
    low, high = value
    return low, high


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
