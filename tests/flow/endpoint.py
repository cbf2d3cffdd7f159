"""The real endpoint server with a container that counts as told, and that can be broken."""

import asyncio
import hashlib
import socket
import threading

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from local.embedded.cloud import ENDPOINT
from local.embedded.sagemaker_runtime import Endpoint, create_app
from model.app import create_app as create_model
from tests.builders import LABELS, PRIOR, prediction

MODEL = prediction(0).model


class ScriptableEndpoint:
    """Counts the images that it was told about as told, in the name of `model`; all others go to the model.

    `delay_s` and `failing` break it, `down` and `up` take the whole server off its port and back.
    """

    def __init__(self) -> None:
        self.delay_s = 0.0
        self.failing = False
        self.model = MODEL
        self.calls = 0
        self._counts: dict[str, int] = {}
        self._port = 0
        self.up()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def tell(self, image: bytes, count: int) -> bytes:
        """Have an image counted as so many."""
        self._counts[hashlib.sha256(image).hexdigest()] = count
        return image

    def up(self) -> None:
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        app = create_app(Endpoint(ENDPOINT, self._container()))
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listener]}, daemon=True)
        self._thread.start()

    def down(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def _container(self) -> Starlette:
        model = create_model()

        async def invocations(request: Request) -> Response:
            self.calls += 1
            await asyncio.sleep(self.delay_s)
            if self.failing:
                return PlainTextResponse("out of memory", 500)
            told = self._counts.get(hashlib.sha256(await request.body()).hexdigest())
            if told is None:
                return await _forward(model, request)
            said = prediction(min(told, len(LABELS) - 1), certainty=0.99)
            return JSONResponse(
                {
                    "count": said.count,
                    "labels": LABELS,
                    "probabilities": said.probabilities,
                    "prior": PRIOR,
                    "model": self.model,
                }
            )

        return Starlette(
            routes=[Route("/invocations", invocations, methods=["POST"])], lifespan=model.router.lifespan_context
        )


async def _forward(app: Starlette, request: Request) -> Response:
    import httpx

    body = await request.body()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://model", timeout=60) as client:
        answer = await client.post(
            "/invocations", content=body, headers={"Content-Type": request.headers["content-type"]}
        )
    return Response(answer.content, answer.status_code, dict(answer.headers))
