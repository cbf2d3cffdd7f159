"""Counts the objects in an image. Callers invoke it directly or through the function's URL."""

import base64
import json
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from inventory import clients
from inventory.counting import count_objects
from inventory.errors import RejectedUpload, RetryLater
from inventory.inbox import IMAGE_LIMIT_BYTES
from inventory.observability import logger, measured_endpoint_call, metrics
from inventory.settings import CounterSettings

config = CounterSettings.from_environment()
runtime = clients.sagemaker_runtime()


@logger.inject_lambda_context
@metrics.log_metrics
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Return the prediction for `{"image": <base64>}`, or raise. For a request to the URL, return an HTTP answer."""
    if "requestContext" not in event:
        return count(_decoded(event.get("image")), context.aws_request_id)
    try:
        body = event.get("body") or ""
        image = _decoded(body) if event.get("isBase64Encoded") else body.encode()
        return _http(200, count(image, context.aws_request_id))
    except RejectedUpload as rejection:
        return _http(400, {"reason": str(rejection)})
    except RetryLater as fault:
        logger.warning("endpoint failed", reason=str(fault))
        return _http(503, {"reason": str(fault)})


def count(image: bytes, request_id: str) -> dict[str, Any]:
    """Count the objects in a JPEG or PNG image.

    Raises:
        RejectedUpload: the image is too large, or the model cannot read it.
        RetryLater: the endpoint failed.
    """
    if len(image) > IMAGE_LIMIT_BYTES:
        raise RejectedUpload(f"the image has {len(image):,} bytes: send at most {IMAGE_LIMIT_BYTES:,}")
    with measured_endpoint_call():
        prediction = count_objects(runtime, config.endpoint, image, request_id)
    logger.info("counted", count=prediction.count, model=prediction.model)
    return asdict(prediction)


def _decoded(encoded: object) -> bytes:
    if not isinstance(encoded, str) or not encoded:
        raise RejectedUpload('there is no image: send {"image": "<base64 of a JPEG or PNG>"}')
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise RejectedUpload(f"the image is not base64 ({error}): encode the bytes of the file") from error


def _http(status: int, answer: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(answer)}
