"""The endpoint over HTTP, as SageMaker calls it: `GET /ping` and `POST /invocations`.

    uvicorn model.app:app --port 8080
    curl --data-binary @bin.jpg -H 'Content-Type: image/jpeg' localhost:8080/invocations

Every answer other than 200 is JSON with a `reason`. 4xx means that the image or the request is at fault, so a retry
cannot help. 5xx means that the server is. COUNTER_ARTIFACT names another artifact folder. COUNTER_CONCURRENCY is the
number of images that run at the same time.
"""

import asyncio
import dataclasses
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .images import MAX_BYTES, RejectedImage
from .predictor import ARTIFACT, Predictor

CONTENT_TYPES = ("image/jpeg", "image/png")
ARTIFACT_VARIABLE = "COUNTER_ARTIFACT"
CONCURRENCY_VARIABLE = "COUNTER_CONCURRENCY"
MAX_WAITING = 40
"""Images that wait or run, for each that may run at a time: about a second of work. More are refused at once, since an
answer that comes after the caller has given up serves nobody."""
MAX_LENGTH_DIGITS = 20  # of a Content-Length; int() raises ValueError for thousands of digits
logger = logging.getLogger(__name__)


class Counter:
    """A loaded network that answers HTTP requests of any server."""

    def __init__(self, artifact: Path | None = None, concurrency: int | None = None) -> None:
        """Load the network of `artifact`. At most `concurrency` images run at the same time, by default one per core.

        Raises model.predictor.BrokenArtifactError if the folder holds no network that can be served.
        """
        self._predictor = Predictor(artifact or Path(os.environ.get(ARTIFACT_VARIABLE, ARTIFACT)))
        workers = concurrency or int(os.environ.get(CONCURRENCY_VARIABLE, os.cpu_count() or 1))
        self._workers = ThreadPoolExecutor(workers, thread_name_prefix="counter")
        self._places = workers * MAX_WAITING

    async def ping(self, _: Request) -> Response:
        """Answer 200 with the model's name. The model is loaded before the server answers anything."""
        return JSONResponse({"model": self._predictor.name})

    async def invoke(self, request: Request) -> Response:
        """Count the objects in the request's image. Every fault becomes an answer; nothing is raised."""
        if not self._places:
            return _refusal(503, "too many images are waiting: send this one again later")
        self._places -= 1
        try:
            _check_content_type(request)
            image = await _read_body(request)
            loop = asyncio.get_running_loop()
            prediction = await loop.run_in_executor(self._workers, self._predictor.predict, image)
        except RejectedImage as rejected:
            return _refusal(413 if rejected.too_large else 400, rejected.reason)
        except HTTPException as error:
            return _refusal(error.status_code, error.detail)
        except ClientDisconnect:
            return _refusal(400, "the caller closed the connection before the image was complete")
        except Exception:
            logger.exception("invocation failed")
            return _refusal(500, "the counter failed on this image: see its log")
        finally:
            self._places += 1
        return JSONResponse(dataclasses.asdict(prediction))


def create_app(artifact: Path | None = None, concurrency: int | None = None) -> Starlette:
    """The application with both routes. It loads the model at once; arguments and errors are those of Counter."""
    counter = Counter(artifact, concurrency)
    routes = [Route("/ping", counter.ping), Route("/invocations", counter.invoke, methods=["POST"])]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_such_route})


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in CONTENT_TYPES:
        raise HTTPException(415, f"Content-Type is {content_type[:100]!r}: send {' or '.join(CONTENT_TYPES)}")


async def _read_body(request: Request) -> bytes:
    """The request's body. Raises HTTPException 413 as soon as it is known to be too large."""
    too_large = HTTPException(413, f"the image has more than {MAX_BYTES:,} bytes: upload a smaller one")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > MAX_LENGTH_DIGITS or int(length) > MAX_BYTES):
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise too_large
    return bytes(body)


def _refusal(status: int, reason: str) -> Response:
    return JSONResponse({"reason": reason}, status)


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    called = f"{request.method[:20]} {request.url.path[:100]}"
    return _refusal(status, f"{called}: there are GET /ping and POST /invocations")


def __getattr__(name: str) -> Starlette:
    """Load the model when a server asks for `model.app:app`, not when this module is imported."""
    if name != "app":
        raise AttributeError(name)
    return create_app()
