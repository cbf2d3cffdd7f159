"""How long the Checker takes for a batch of ten messages, beside one message after another.

    python -m benchmarks.batch [--rounds 20] [--endpoint-ms 60] [--json]

The real handler and boto3 call a server in another process that answers as S3, DynamoDB and the endpoint do, after a
pause for each. Every message is the second upload of a bin of its own, so it calls the endpoint. The CPU time is that
of the Checker alone: with less than one core, as Lambda gives to small functions, a batch takes at least that time
divided by the share of the core.
"""

import argparse
import asyncio
import contextlib
import importlib
import io
import json
import multiprocessing
import os
import socket
import statistics
import time
from dataclasses import asdict
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.checker_environment import CHECKER_ENVIRONMENT
from tests.builders import JPEG, metadata, notification, prediction, sqs_event, upload

BATCH = 10
STORAGE_MS = {"s3": 20, "dynamodb": 5}
"""Pauses of the servers, in the order of what AWS's services take within a region; assumed, not measured."""

COUNT_AT_ONCE = 3
"""What the endpoint answers."""


def server(port: int, endpoint_ms: float) -> None:
    """S3, DynamoDB and the endpoint. S3 has every image and record; the table is always empty."""

    async def answer(request: Request) -> Response:
        target = request.headers.get("x-amz-target", "")
        service = "endpoint" if "invocations" in request.url.path else "dynamodb" if target else "s3"
        await asyncio.sleep({**STORAGE_MS, "endpoint": endpoint_ms}[service] / 1000)
        if service == "endpoint":
            return Response(json.dumps(asdict(prediction(COUNT_AT_ONCE))), media_type="application/json")
        if service == "dynamodb":
            items = {"Items": [], "Count": 0, "ScannedCount": 0} if target.endswith("Query") else {}
            return Response(json.dumps(items), media_type="application/x-amz-json-1.0")
        now = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        content = metadata(COUNT_AT_ONCE) if request.url.path.endswith(".json") else JPEG
        return Response(content, headers={"ETag": f'"{len(content)}"', "Last-Modified": now})

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT"])])
    uvicorn.run(app, port=port, log_level="error")


def checker(port: int) -> Any:
    """The Checker's module, with its clients directed at the server."""
    address = f"http://127.0.0.1:{port}"
    quiet = {"POWERTOOLS_TRACE_DISABLED": "true", "POWERTOOLS_LOG_LEVEL": "ERROR"}
    os.environ |= CHECKER_ENVIRONMENT | quiet | {"AWS_ENDPOINT_URL": address}
    return importlib.import_module("checker")


def main() -> None:
    """Command line: see the module's docstring."""
    parser = argparse.ArgumentParser(description="Time a batch of the Checker.")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--endpoint-ms", type=float, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = multiprocessing.get_context("spawn").Process(target=server, args=(port, options.endpoint_ms), daemon=True)
    process.start()
    while socket.socket().connect_ex(("127.0.0.1", port)):
        time.sleep(0.1)
    module = checker(port)
    context = SimpleNamespace(
        function_name="checker",
        memory_limit_in_mb=512,
        invoked_function_arn="arn",
        aws_request_id="1",
        get_remaining_time_in_millis=lambda: 60_000,
    )
    messages = [notification(upload(f"metadata/{number}.json", metadata(3))) for number in range(BATCH)]
    ways = {
        "one after another": [sqs_event(message) for message in messages],
        "one batch": [sqs_event(*messages)],
    }
    wall: dict[str, list[float]] = {way: [] for way in ways}
    cpu: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(options.rounds + 1):
        for way, events in ways.items():
            started, used = time.perf_counter(), time.process_time()
            with contextlib.redirect_stdout(io.StringIO()):  # its metrics
                answers = [module.handler(event, context) for event in events]
            if turn:  # the first makes connections
                wall[way].append((time.perf_counter() - started) * 1000)
                cpu[way].append((time.process_time() - used) * 1000)
            if any(answer["batchItemFailures"] for answer in answers):
                raise SystemExit(f"a message failed: {answers}")
    process.terminate()
    before, after = (statistics.median(wall[way]) for way in ways)
    if options.json:
        times = {
            way: {"ms": statistics.median(wall[way]), "lowest": min(wall[way]), "highest": max(wall[way])}
            for way in ways
        }
        print(json.dumps({"ways": times, "ratio": after / before}))
        return
    for way in ways:
        low, *_, high = statistics.quantiles(wall[way], n=10)
        print(
            f"{way:18} {statistics.median(wall[way]):7.0f} ms ({low:.0f} to {high:.0f}), of which the Checker's own "
            f"CPU time {statistics.median(cpu[way]):.0f} ms"
        )
    print(f"a batch of {BATCH} takes {after / before:.2f} of the time")


if __name__ == "__main__":
    main()
