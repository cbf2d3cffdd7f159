"""A boto3 session that sends nothing: it validates requests with the API's model, records them and invents answers.

With it, `--dry-run` prints the exact requests without an account or a network.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.model import OperationModel, Shape, StructureShape

ACCOUNT = "111122223333"
REGION = "us-east-1"
READ_PREFIXES = ("Describe", "Get", "List", "Head", "Search", "Simulate")


@dataclass(frozen=True)
class Request:
    """A call that changes something: the service, the operation, and the parameters that boto3 gets."""

    service: str
    operation: str
    parameters: dict[str, Any]


class Stopped(Exception):
    """The next step waits for or reads something that a dry run does not create."""


class DryRun:
    """`session` appends each change to `requests`; it raises Stopped at a read of SageMaker that follows one."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        region = os.environ.get("AWS_DEFAULT_REGION", REGION)
        self.session = boto3.Session(
            aws_access_key_id="dry-run",
            aws_secret_access_key="dry-run",  # noqa: S106
            region_name=region,
        )
        self.session.events.register("before-parameter-build", self._note)
        self.session.events.register("before-call", self._answer)  # type: ignore[arg-type]

    def _note(self, params: dict[str, Any], model: OperationModel, **_: Any) -> None:
        if not model.name.startswith(READ_PREFIXES):
            shown = {name: _printable(value) for name, value in params.items()}
            self.requests.append(Request(model.service_model.service_name, model.name, shown))

    def _answer(self, model: OperationModel, params: dict[str, Any], **_: Any) -> tuple[AWSResponse, dict[str, Any]]:
        made = [request for request in self.requests if request.service == "sagemaker"]
        if model.service_model.service_name == "sagemaker" and model.name.startswith(READ_PREFIXES) and made:
            raise Stopped
        answer = _placeholder(model.output_shape, model.service_model.service_name) if model.output_shape else {}
        answer["ResponseMetadata"] = {"HTTPStatusCode": 200, "HTTPHeaders": {}}
        return AWSResponse(params["url"], 200, HTTPHeaders(), None), answer


def _printable(value: Any) -> Any:
    if isinstance(value, str | int | float | bool | dict | list | None):
        return value
    return f"<{len(value)} bytes>" if isinstance(value, bytes | bytearray) else "<a file>"


def _placeholder(shape: Shape, service: str) -> Any:
    """A minimal answer of this shape."""
    if isinstance(shape, StructureShape):
        wanted = [*shape.required_members, *_usual_members(shape)]
        return {name: _placeholder(shape.members[name], service) for name in dict.fromkeys(wanted)}
    kinds: dict[str, Any] = {"list": [], "map": {}, "boolean": False, "integer": 0, "long": 0, "float": 0.0}
    if shape.type_name == "timestamp":
        return datetime(2026, 1, 1, tzinfo=UTC)
    if shape.type_name == "string":
        arn = f"arn:aws:{service}:{REGION}:{ACCOUNT}:dry-run/dry-run"
        return arn if shape.name.endswith("Arn") else ACCOUNT if "ccount" in shape.name else "dry-run"
    return kinds.get(shape.type_name, "dry-run")


def _usual_members(shape: StructureShape) -> Iterator[str]:
    """Members that services always return although their models do not require them."""
    for name, member in shape.members.items():
        if name == "Account" or name.endswith("Arn") or member.type_name == "list":
            yield name
