"""The functions: whether they can run, what invokes them, and what they last complained of."""

import json
from collections.abc import Iterator
from datetime import timedelta

from botocore.exceptions import ClientError

from local.stack.doctor.values import Answer, Place, failed, ok, warning
from local.stack.logs import function_names

COMPLAINTS = ("ERROR", "Task timed out", "Runtime exited")
"""Words of the log lines that say that a function failed."""
WINDOW = timedelta(hours=24)
MOST_LINES = 1000
REASON_LIMIT = 200
QUEUES = ("InboxQueueUrl", "BackfillQueueUrl", "AlertsQueueUrl")


def functions(place: Place) -> Iterator[Answer]:
    """whether each function is active, and its last update succeeded"""
    faulty = 0
    names = function_names(place.stack)
    for shown, name in names.items():
        deployed = place.cloud.functions().get_function_configuration(FunctionName=name)
        state, update = deployed.get("State", "Active"), deployed.get("LastUpdateStatus", "Successful")
        if (state, update) == ("Active", "Successful") or (state, update) == ("Inactive", "Successful"):
            continue
        faulty += 1
        reason = deployed.get("StateReason") or deployed.get("LastUpdateStatusReason") or "Lambda gives no reason"
        remedy = "deploy again; wait a minute if it is Pending or InProgress"
        yield failed(f"{shown} is {state}, its last update {update}: {reason}", remedy)
    if not faulty:
        yield ok(f"all {len(names)} can run")


def triggers(place: Place) -> Iterator[Answer]:
    """whether the queues and the table's stream invoke their functions"""
    outputs = place.stack.outputs
    wanted = {f":{outputs[name].rsplit('/', 1)[-1]}": name.removesuffix("Url") for name in QUEUES if name in outputs}
    wanted[f":table/{outputs['ChecksTableName']}/stream/"] = "the stream of the ChecksTable"
    enabled: list[str] = []
    for name in (outputs["CheckerFunctionName"], outputs["AlerterFunctionName"]):
        pages = place.cloud.functions().get_paginator("list_event_source_mappings").paginate(FunctionName=name)
        mappings = (mapping for page in pages for mapping in page["EventSourceMappings"])
        enabled += [mapping["EventSourceArn"] for mapping in mappings if mapping["State"] in ("Enabled", "Updating")]
    silent = [what for part, what in wanted.items() if not any(part in f"{arn}" for arn in enabled)]
    if silent:
        yield failed(
            f"nothing takes from {', '.join(silent)}",
            "enable the trigger: aws lambda list-event-source-mappings, then update-event-source-mapping --enabled",
        )
    else:
        yield ok(f"all {len(wanted)} are enabled")


def last_errors(place: Place) -> Iterator[Answer]:
    """the errors in each function's log within 24 hours"""
    start_ms = int((place.moment - WINDOW).timestamp() * 1000)
    pattern = " ".join(f'?"{words}"' for words in COMPLAINTS)
    quiet = True
    for shown, name in function_names(place.stack).items():
        pages = place.cloud.logs().get_paginator("filter_log_events")
        found = pages.paginate(
            logGroupName=f"/aws/lambda/{name}",
            startTime=start_ms,
            filterPattern=pattern,
            PaginationConfig={"MaxItems": MOST_LINES},
        )
        try:
            lines = [event["message"] for page in found for event in page["events"]]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceNotFoundException":  # the function never ran
                raise
            continue
        complaints = [line for line in lines if any(words in line for words in COMPLAINTS)]
        if complaints:
            quiet = False
            yield warning(
                f"{shown} logged {len(complaints)} errors in 24 hours, at last: {_reason(complaints[-1])}",
                f"`bincheck logs {shown} --since 24h` shows them",
            )
    if quiet:
        yield ok("none in 24 hours")


def _reason(line: str) -> str:
    """What a line says, without its other fields if it is JSON."""
    try:
        said = json.loads(line)
        return f"{said['message']} {said.get('exception_name', '')}".strip()[:REASON_LIMIT]
    except (ValueError, KeyError, TypeError, AttributeError):
        return line.strip()[:REASON_LIMIT]
