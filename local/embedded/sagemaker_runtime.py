"""SageMaker's runtime API on this machine: the project's own model answers `POST /endpoints/{name}/invocations`.

    python -m local.embedded.sagemaker_runtime FOLDER --endpoint bincheck-counter --listen FD

A boto3 `sagemaker-runtime` client whose AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME points here works unchanged: status codes,
error types and messages, headers and limits are those of the real API. This server does not authenticate callers. In
the embedded cloud, `local.embedded.ministack_server` does that before it forwards a call.
"""

import argparse
import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local.embedded.service import hold_record

PAYLOAD_LIMIT_BYTES = 6_291_456
MODEL_TIMEOUT_S = 60.0
"""Both limits are documented for real-time endpoints."""
REGION = "us-east-1"
ACCOUNT = "000000000000"
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
VARIANT = "AllTraffic"
logger = logging.getLogger(__name__)


class Endpoint:
    """One endpoint: a container (a Starlette application with `POST /invocations`) that loads in the background."""

    def __init__(self, name: str, container: Starlette, timeout_s: float = MODEL_TIMEOUT_S) -> None:
        self.name = name
        self.ready = False
        self.failure: str | None = None
        self._container = container
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(container, raise_app_exceptions=False),
            base_url="http://container",
            timeout=None,  # noqa: S113  (invoke() has its own)
        )
        self._timeout_s = timeout_s

    async def serve(self) -> None:
        """Load the container and keep it until cancelled."""
        try:
            async with self._container.router.lifespan_context(self._container):
                self.ready = True
                logger.info("endpoint %s is in service", self.name)
                await asyncio.Event().wait()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            logger.exception("endpoint %s failed to load its model", self.name)
        finally:
            self.ready = False

    async def invoke(self, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """The container's answer with any status. Raises TimeoutError after the time limit."""
        async with asyncio.timeout(self._timeout_s):
            return await self._client.post("/invocations", content=body, headers=headers)

    @property
    def log_stream_arn(self) -> str:
        return f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/aws/sagemaker/Endpoints/{self.name}"


def create_app(*endpoints: Endpoint) -> Starlette:
    """The API for these endpoints. `GET /ping` answers 200 while all of them are in service, else 503."""
    by_name = {endpoint.name: endpoint for endpoint in endpoints}

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for endpoint in endpoints:
                task = asyncio.create_task(endpoint.serve())
                stack.push_async_callback(_end, task)
            yield

    async def ping(_: Request) -> Response:
        states = {
            endpoint.name: endpoint.failure or ("in service" if endpoint.ready else "loading") for endpoint in endpoints
        }
        return JSONResponse(states, 200 if all(endpoint.ready for endpoint in endpoints) else 503)

    async def invoke(request: Request) -> Response:
        request_id = str(uuid.uuid4())
        answer = await _answer(request, by_name.get(request.path_params["name"]), request_id)
        answer.headers["x-amzn-RequestId"] = request_id
        return answer

    routes = [
        Route("/ping", ping),
        Route("/endpoints/{name}/invocations", invoke, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _answer(request: Request, endpoint: Endpoint | None, request_id: str) -> Response:
    if endpoint is None:
        name = request.path_params["name"]
        return _error(400, "ValidationError", f"Endpoint {name} of account {ACCOUNT} not found.")
    body = await _read(request)
    if body is None:
        return _error(400, "ValidationError", f"Request {request_id} has oversize body.")
    if endpoint.failure:
        return _error(400, "ValidationError", f"Endpoint {endpoint.name} is Failed: {endpoint.failure}")
    if not endpoint.ready:
        return _error(429, "ModelNotReadyException", f"Endpoint {endpoint.name} is loading its model, try again.")
    try:
        answer = await endpoint.invoke(body, _forwarded_headers(request))
    except TimeoutError:
        return _model_error(
            endpoint, 0, "Your invocation timed out while waiting for a response from container primary."
        )
    if answer.status_code != httpx.codes.OK:
        return _model_error(endpoint, answer.status_code, answer.text)
    headers = {
        "Content-Type": answer.headers.get("Content-Type", "application/octet-stream"),
        "x-Amzn-Invoked-Production-Variant": VARIANT,
    }
    headers |= {
        name: value
        for name, value in (
            (CUSTOM_ATTRIBUTES, answer.headers.get(CUSTOM_ATTRIBUTES)),
            (INFERENCE_ID, request.headers.get(INFERENCE_ID)),
        )
        if value
    }
    return Response(answer.content, headers=headers)


async def _read(request: Request) -> bytes | None:
    """The request's body; None if it is larger than the API's limit."""
    if int(request.headers.get("content-length", 0)) > PAYLOAD_LIMIT_BYTES:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > PAYLOAD_LIMIT_BYTES:
            return None
    return bytes(body)


def _forwarded_headers(request: Request) -> dict[str, str]:
    names = ("Content-Type", "Accept", CUSTOM_ATTRIBUTES, INFERENCE_ID)
    return {name: request.headers[name] for name in names if name in request.headers}


def _error(status: int, kind: str, message: str, **members: object) -> JSONResponse:
    return JSONResponse({"Message": message, **members}, status, {"x-amzn-ErrorType": kind})


def _model_error(endpoint: Endpoint, status: int, message: str) -> JSONResponse:
    side = "client" if 400 <= status < 500 else "server"
    return _error(
        424,
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{message}". '
        f"See the log of endpoint {endpoint.name} for more information.",
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=endpoint.log_stream_arn,
    )


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def main() -> None:
    """Serve the project's model as one endpoint, on a socket that the parent process listens on."""
    from model.app import app as model

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="state folder of the embedded cloud")
    parser.add_argument("--endpoint", required=True, help="name of the endpoint")
    parser.add_argument("--listen", type=int, required=True, help="file descriptor of a listening socket")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    with hold_record(arguments.folder, "endpoint", arguments.listen):
        uvicorn.run(
            create_app(Endpoint(arguments.endpoint, model)),
            fd=arguments.listen,
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=5,
        )


if __name__ == "__main__":
    main()
