"""The process of the embedded cloud: ministack, with the additions that it needs to stand in for AWS.

    python -m local.embedded.ministack_server FOLDER --listen FD [--sagemaker-runtime URL]

ministack reads its settings from the environment when it is imported (see `local.embedded.cloud`). This module adds,
each against the pinned version:

- **TLS.** Requests count as TLS requests, as they would be in AWS, because they never leave the loopback interface. So
  the inbox's TLS-only policy works unchanged.
- **SageMaker's runtime API.** Calls are authorized like all others, by signature and policies. Then they are forwarded
  to the endpoint server.
- **Numbers.** A mapping's MaximumConcurrency that is a `!Ref` to a parameter arrives as text, which stops the poller.
  Here it is converted.
- **Alarms.** ministack rejects an alarm over several metrics. Here it is accepted. No alarm is evaluated anyway.
- **Fast starts.** Every process of a function unpacks its package of thousands of files again and never removes it.
  Here a package is unpacked once, and later processes link to it.
- **Checkpoints.** State is saved on a graceful stop only. It is saved in between as well, so that a killed run loses
  seconds.
- **HTTP APIs.** They get an address under MINISTACK_HOST, which is 127.0.0.1 here, and no name ends in an address. Here
  they get one under localhost, where browsers find every name.
- **Streams.** Records of DynamoDB's streams are not saved, but how far they were read is: after a stop as many would be
  passed over. Here the records that are still to be read are saved, in one with the tables.
"""

import argparse
import asyncio
import contextlib
import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
import time
import uuid
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
from hypercorn.asyncio import serve
from hypercorn.config import Config
from ministack import app as ministack
from ministack.core import iam_evaluator, lambda_runtime, persistence
from ministack.core.responses import AccountRegionScopedDict
from ministack.core.router import extract_access_key_id
from ministack.services import dynamodb, lambda_svc
from ministack.services.cloudformation import provisioners
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from local.embedded.sagemaker_runtime import ACCOUNT, REGION
from local.embedded.sam import BUILD
from local.embedded.service import hold_record

CHECKPOINT_INTERVAL_S = 5.0
UNPACKED = BUILD.with_name("unpacked")
PACKAGE_RETENTION_S = 2 * 24 * 3600.0
"""The retention of an unpacked package after its last use. Every change of the functions makes a new package."""
CHECKPOINT_SHARE = 0.05
"""The maximum share of the time for checkpoints. So a large state is saved less often."""
DISCOVERY = "/.well-known/openid-configuration"
"""It names addresses by the scheme of its own request, and browsers open them."""
INVOCATION = re.compile(r"/endpoints/(?P<name>[^/]+)/invocations")
logger = logging.getLogger("bincheck")
_saving = threading.Lock()


class Gateway:
    """ministack's application, with TLS terminated in front of it and SageMaker's runtime API beside it."""

    def __init__(self, cloud: ASGIApp, sagemaker_runtime_url: str | None) -> None:
        self.requests_served = 0
        self._cloud = cloud
        self._endpoints = (
            httpx.AsyncClient(base_url=sagemaker_runtime_url, timeout=90, trust_env=False)
            if sagemaker_runtime_url
            else None
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.requests_served += 1
            if not scope["path"].endswith(DISCOVERY):
                scope = {**scope, "scheme": "https"}
            invocation = INVOCATION.fullmatch(scope["path"])
            if invocation and self._endpoints:
                request = Request(scope, receive)
                response = await _invoke(self._endpoints, invocation["name"], request)
                await response(scope, receive, send)
                return
        await self._cloud(scope, receive, send)


async def _invoke(endpoints: httpx.AsyncClient, name: str, request: Request) -> Response:
    body = await request.body()
    headers = dict(request.headers)
    iam_evaluator.pin_signed_request("POST", request.url.path, {}, request.headers.raw)
    iam_evaluator.pin_signed_body(body)
    iam_evaluator.pin_request_caller(headers, {})
    iam_evaluator.pin_request_origin(request.client.host if request.client else "", secure_transport=True)
    resource = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/{name}"
    action = "sagemaker:InvokeEndpoint"
    refusal = iam_evaluator.enforce(extract_access_key_id(headers), action, "sagemaker", REGION, resource)
    if isinstance(refusal, iam_evaluator.AuthError):
        return _refuse(refusal.code, refusal.message)
    if refusal is not None:
        return _refuse(
            "AccessDeniedException",
            f"User: {refusal.principal_arn} is not authorized to perform: {action} on resource: {resource} "
            f"because no identity-based policy allows the {action} action",
        )
    forwarded = {name: value for name, value in headers.items() if name not in ("host", "connection")}
    try:
        answer = await endpoints.post(request.url.path, content=body, headers=forwarded)
    except httpx.TransportError as error:
        logger.warning("the endpoint server does not answer: %s", error)
        return JSONResponse(
            {"Message": f"the endpoint server does not answer: {error}"},
            503,
            {"x-amzn-ErrorType": "ServiceUnavailable"},
        )
    return Response(answer.content, answer.status_code, dict(answer.headers))


def _refuse(kind: str, message: str) -> Response:
    headers = {"x-amzn-ErrorType": kind, "x-amzn-RequestId": str(uuid.uuid4())}
    return JSONResponse({"message": message}, 403, headers)


def read_concurrency_as_number() -> None:
    """Convert an event source mapping's MaximumConcurrency, which is text if it is a `!Ref` to a parameter."""
    original = lambda_svc._sqs_esm_concurrency

    def with_number(mapping: dict[str, Any], *rest: Any) -> Any:
        scaling = mapping.get("ScalingConfig") or {}
        if isinstance(scaling.get("MaximumConcurrency"), str):
            scaling["MaximumConcurrency"] = int(scaling["MaximumConcurrency"])
        return original(mapping, *rest)

    lambda_svc._sqs_esm_concurrency = with_number


def accept_metric_math_alarms() -> None:
    """Deploy an alarm over several metrics as one over a metric that nobody publishes."""
    original = provisioners._cw_metric_alarm_record

    def of_one_metric(name: str, properties: dict[str, Any]) -> Any:
        known = {**properties}
        if known.pop("Metrics", None):
            known = {"Namespace": "bincheck", "MetricName": name, "Threshold": 0} | known
        return original(name, known)

    provisioners._cw_metric_alarm_record = of_one_metric


def name_apis_under_localhost() -> None:
    """Give an HTTP API an address that browsers find."""
    provisioners._MINISTACK_HOST = "localhost"
    ministack._EXECUTE_API_RE = re.compile(r"^([a-f0-9]{8})\.execute-api\.localhost(?::\d+)?$")


def persist_streams() -> None:
    """Save the unread records of streams together with their tables. After a restart readers start with them."""
    save_tables, load_tables, save_functions = dynamodb.get_state, dynamodb.load_persisted_state, lambda_svc.get_state

    def save_with_streams() -> Any:
        # Tables first. In this order a record can be saved without its change: it is read twice at worst. In the other
        # order a change could be saved without its record, which would be lost.
        return {**save_tables(), "streams": _unread_records()}

    def load_with_streams(state: Any) -> None:
        load_tables(state)
        dynamodb._stream_records.update(state.get("streams", {}))

    dynamodb.get_state, dynamodb.load_persisted_state = save_with_streams, load_with_streams
    lambda_svc.get_state = lambda: {**save_functions(), "dynamodb_stream_positions": {}}


def _unread_records() -> Any:
    """The records of each table's stream that some function has not read yet."""
    mappings = lambda_svc._esms.all_items()
    read_up_to = dict(lambda_svc._dynamodb_stream_positions.all_items())
    unread = {}
    for scope, records in dynamodb._stream_records.all_items():
        stream = (dynamodb._tables.get_scoped(*scope) or {}).get("LatestStreamArn")
        readers = (mapping for mapping, details in mappings if details.get("EventSourceArn") == stream)
        first = min((read_up_to.get(reader, 0) for reader in readers), default=0)
        unread[scope] = records[max(0, first - dynamodb._stream_trimmed.get_scoped(*scope, 0)) :]
    return AccountRegionScopedDict.from_dict(unread)


def unpack_once(folder: Path) -> None:
    """Unpack the packages of functions below a folder, once for all processes of all embedded clouds."""

    class Package(zipfile.ZipFile):
        def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
            content = Path(str(self.filename)).read_bytes()
            unpacked = folder / hashlib.sha256(content).hexdigest()[:16]
            if not unpacked.exists():
                folder.mkdir(parents=True, exist_ok=True)
                _remove_unused(folder)
                staging = Path(tempfile.mkdtemp(dir=folder, prefix="unpacking-"))
                super().extractall(staging, members, pwd)
                with contextlib.suppress(OSError):  # another process was faster
                    staging.rename(unpacked)
            os.utime(unpacked)
            Path(path).rmdir()
            Path(path).symlink_to(unpacked)

    lambda_runtime.zipfile = SimpleNamespace(ZipFile=Package)


def _remove_unused(folder: Path) -> None:
    for package in folder.iterdir():
        if time.time() - package.stat().st_mtime > PACKAGE_RETENTION_S:
            shutil.rmtree(package, ignore_errors=True)


def save() -> None:
    """Save the state, the queues first. So a message whose effects are not saved is delivered again."""
    services = ministack._build_persistence_save_dict()
    with _saving:
        persistence.save_all(dict(sorted(services.items(), key=lambda service: service[0] != "sqs")))


async def checkpoint(gateway: Gateway) -> None:
    """Save the state at intervals, if there were requests since the last time, until cancelled."""
    interval_s, saved_at_request = CHECKPOINT_INTERVAL_S, gateway.requests_served
    while True:
        await asyncio.sleep(interval_s)
        if gateway.requests_served == saved_at_request:
            continue
        started, saved_at_request = time.monotonic(), gateway.requests_served
        await asyncio.to_thread(save)
        interval_s = max(CHECKPOINT_INTERVAL_S, (time.monotonic() - started) / CHECKPOINT_SHARE)


async def _serve(gateway: Gateway, listener: int) -> None:
    config = Config()
    config.bind = [f"fd://{listener}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 2
    saving = asyncio.create_task(checkpoint(gateway))
    try:
        await serve(gateway, config, mode="asgi")  # type: ignore[arg-type]
    finally:
        saving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await saving


def main() -> None:
    """Serve the embedded cloud on a socket that the parent process listens on."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="state folder of the embedded cloud")
    parser.add_argument("--listen", type=int, required=True, help="file descriptor of a listening socket")
    parser.add_argument("--sagemaker-runtime", help="address of the endpoint server")
    arguments = parser.parse_args()
    read_concurrency_as_number()
    accept_metric_math_alarms()
    name_apis_under_localhost()
    persist_streams()
    unpack_once(UNPACKED)
    ministack.save_all = lambda _: save()
    logging.getLogger("persistence").setLevel(logging.WARNING)
    with hold_record(arguments.folder, "cloud", arguments.listen):
        asyncio.run(_serve(Gateway(ministack.app, arguments.sagemaker_runtime), arguments.listen))


if __name__ == "__main__":
    main()
