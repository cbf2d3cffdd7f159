"""Waiters for what runs in SageMaker: boto3's own, and those that it lacks, in the same form."""

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError, WaiterError
from botocore.waiter import WaiterModel, create_waiter_with_client

POLL_S = 15
MAX_POLLS = 30 * 24 * 3600 // POLL_S
"""SageMaker ends every job within 30 days."""


def _ends_at(operation: str, path: str, success: tuple[str, ...], failure: tuple[str, ...]) -> dict[str, Any]:
    states = dict.fromkeys(success, "success") | dict.fromkeys(failure, "failure")
    acceptors = [
        {"matcher": "path", "argument": path, "expected": status, "state": state} for status, state in states.items()
    ]
    return {"operation": operation, "delay": POLL_S, "maxAttempts": MAX_POLLS, "acceptors": acceptors}


OWN_WAITERS: Mapping[str, Mapping[str, Any]] = {
    "tuning_job_ended": _ends_at(
        "DescribeHyperParameterTuningJob", "HyperParameterTuningJobStatus", ("Completed", "Stopped"), ("Failed",)
    ),
    "pipeline_execution_ended": _ends_at(
        "DescribePipelineExecution", "PipelineExecutionStatus", ("Succeeded", "Stopped"), ("Failed",)
    ),
    # boto3's endpoint_in_service would wait on for an endpoint whose rollback failed.
    "endpoint_update_ended": _ends_at(
        "DescribeEndpoint", "EndpointStatus", ("InService",), ("Failed", "OutOfService", "UpdateRollbackFailed")
    ),
}


def wait(
    client: Any, waiter: str, operation: str, show: Callable[[Mapping[str, Any]], None], **parameters: str
) -> dict[str, Any]:
    """Poll `operation` with a waiter of that name until it ends, in success or failure; returns the last description.

    `show` receives every description. Raises ClientError when AWS refuses the call.
    """
    last: dict[str, Any] = {}

    def note(parsed: Mapping[str, Any], **_: Any) -> None:
        if "Error" not in parsed:
            last.update(parsed)
            show(parsed)

    client.meta.events.register(f"after-call.sagemaker.{operation}", note)
    try:
        _waiter(client, waiter).wait(**parameters, WaiterConfig={"Delay": POLL_S, "MaxAttempts": MAX_POLLS})
    except WaiterError as error:
        if "Error" in error.last_response:
            raise ClientError(error.last_response, operation) from error
    return last


def _waiter(client: Any, name: str) -> Any:
    if name in OWN_WAITERS:
        return create_waiter_with_client(name, WaiterModel({"version": 2, "waiters": dict(OWN_WAITERS)}), client)
    return client.get_waiter(name)
