"""The logs of a stack's functions, from CloudWatch Logs."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from local.errors import CommandFailed
from local.stack.deployed_stack import Stack

SUFFIX = "FunctionName"
POLL_S = 2.0
LATE_MS = 60_000
"""An entry may appear so much later than entries of other streams that were logged after it."""


class NoSuchFunction(CommandFailed):
    """The stack has no function of this name. The message names those that it has."""


@dataclass(frozen=True)
class Line:
    """One line of a log."""

    function: str
    logged_at: datetime
    text: str


def function_names(stack: Stack) -> dict[str, str]:
    """The functions of a stack by their names in the template."""
    outputs = stack.outputs.items()
    return {output.removesuffix(SUFFIX): name for output, name in outputs if output.endswith(SUFFIX)}


def read_logs(stack: Stack, function: str | None, since: datetime, *, follow: bool = False) -> Iterator[Line]:
    """The lines of one function or of all since a time, each function's oldest first; with `follow` without end.

    Raises:
        NoSuchFunction: the stack has no such function.
    """
    names = function_names(stack)
    if function is not None:
        if function not in names:
            raise NoSuchFunction(f"there is no function {function!r}: it is one of {', '.join(sorted(names))}")
        names = {function: names[function]}
    since_ms = int(since.timestamp() * 1000)
    last_read: dict[str, dict[tuple[str, int, str], int]] = {shown: {} for shown in names}
    while True:
        for shown, name in names.items():
            before, now = last_read[shown], dict[tuple[str, int, str], int]()
            from_ms = max(before.values(), default=since_ms) - LATE_MS
            for event in _events(stack, name, max(from_ms, since_ms)):
                # The embedded cloud gives its entries no eventId.
                entry = event["logStreamName"], event["timestamp"], event["message"]
                now[entry] = event["timestamp"]
                if entry not in before:
                    logged_at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                    yield Line(shown, logged_at, event["message"].rstrip("\n"))
            last_read[shown] = now or before
        if not follow:
            return
        time.sleep(POLL_S)


def _events(stack: Stack, name: str, from_ms: int) -> Iterator[dict[str, Any]]:
    pages = stack.cloud.logs().get_paginator("filter_log_events")
    try:
        for page in pages.paginate(logGroupName=f"/aws/lambda/{name}", startTime=from_ms):
            yield from page["events"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":  # the function never ran
            raise
