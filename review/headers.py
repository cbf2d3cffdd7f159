"""What every answer bears: the headers that keep a browser from loading, framing and remembering what it should not."""

import logging

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATIC = "/static/"
YEAR_S = 31_536_000
logger = logging.getLogger(__name__)


class SecurityHeaders:
    """Nothing but this application's own files and the bucket's images is loaded, and no other page frames it.

    It is the outermost part of the application, so that a fault bears the headers too.
    """

    def __init__(self, app: ASGIApp, images: str, *, https: bool) -> None:
        self._app = app
        self._headers = {
            "content-security-policy": (
                f"default-src 'none'; img-src 'self' {images}; style-src 'self'; script-src 'self'; "
                "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
            ),
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(), geolocation=()",
        }
        if https:
            self._headers["strict-transport-security"] = "max-age=63072000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                is_file = scope["path"].startswith(STATIC) and message["status"] in (200, 304)
                # The address of a file changes with its content.
                headers["cache-control"] = f"max-age={YEAR_S}, immutable" if is_file else "no-store"
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception:
            if begun:
                raise
            logger.exception("a request failed")
            await PlainTextResponse("Something failed here.\n", 500)(scope, receive, send_with_headers)
