"""The ASGI application: which address shows what, and the headers that every answer bears."""

import secrets
from collections.abc import Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inventory.check import Check
from inventory.errors import CannotWithdraw
from inventory.metadata import EXPECTED_QUANTITY_LIMIT
from inventory.review_queue import COUNTED, Cursor
from review.access import SESSION_LIFE_S, Access, csrf_token, read_form, reviewer_of
from review.desk import Desk
from review.figures import figures
from review.filters import DIRECTIONS, SEVERITY_NAMES, SINCE, filters_query, read_filters
from review.words import age, bars, measured_volume, plain, reason, seen

FOLDER = Path(__file__).parent
NOTE_LIMIT = 1_000
Handler = Callable[[Request], Awaitable[Response] | Response]


def create_app(desk: Desk, access: Access, hosts: list[str], images: str, *, secret: str, https: bool) -> Starlette:
    """The page of a desk, for whoever `access` lets in.

    `hosts` are the names that it answers under, `images` is the origin of the images' addresses, `secret` signs the
    sessions, and `https` says whether browsers reach it by HTTPS.
    """
    pages = _Pages(desk, access)
    return Starlette(
        routes=[
            Route("/", pages.guarded(pages.queue)),
            Route("/list/{name}", pages.guarded(pages.other_list)),
            Route("/next", pages.guarded(pages.next)),
            Route("/ahead", pages.guarded(pages.ahead)),
            Route("/bin", pages.guarded(pages.bin)),
            Route("/answer", pages.guarded(pages.answer), methods=["POST"]),
            Route("/take-back", pages.guarded(pages.take_back), methods=["POST"]),
            Route("/figures", pages.guarded(pages.figures)),
            *access.routes(),
            Mount("/static", StaticFiles(directory=FOLDER / "static")),
        ],
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
            Middleware(_SecurityHeaders, images=images, https=https),
            Middleware(
                SessionMiddleware,
                secret_key=secret,
                session_cookie="__Host-bincheck" if https else f"bincheck-{secrets.token_hex(4)}",
                max_age=SESSION_LIFE_S,
                same_site="lax",
                https_only=https,
            ),
        ],
        exception_handlers={HTTPException: pages.fault},
    )


class _SecurityHeaders:
    """Nothing but this application's own files and the bucket's images is loaded, and no other page frames it."""

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
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if not scope["path"].startswith("/static/"):
                    headers["cache-control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)


class _Pages:
    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk, self._access = desk, access
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=select_autoescape(), undefined=StrictUndefined
        )
        self._templates.filters |= {"plain": plain, "age": lambda moment: age(moment, desk.now())}
        self._templates.globals |= {
            "address": address,
            "severities": SEVERITY_NAMES,
            "directions": DIRECTIONS,
            "seen": seen,
        }
        self._templates.globals |= {"spans": SINCE, "counted": COUNTED}

    def guarded(self, handler: Handler) -> Handler:
        """The handler for whoever is signed in, and an invitation for everybody else."""

        @wraps(handler)
        async def guarded(request: Request) -> Response:
            if reviewer_of(request) is None:
                return self._access.invite(request)
            answer = handler(request) if request.method == "POST" else await run_in_threadpool(handler, request)
            return await answer if isinstance(answer, Awaitable) else answer

        return guarded

    def queue(self, request: Request) -> Response:
        query = request.query_params
        filters = read_filters(query, self._desk.now())
        try:
            after = Cursor.decode(query.get("after", ""))
        except ValueError as error:
            raise HTTPException(400, "This address names no page of the queue.") from error
        page = self._desk.page(filters, after)
        rows = [(check, self._desk.image_url(check)) for check in page.checks]
        left = self._desk.queue.count(filters, self._desk.now())
        more = page.after.encode() if page.after else None
        return self._page(request, "queue.html", rows=rows, left=left, more=more, tab="queue")

    def other_list(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in ("rejected", "unpaired", "unclear"):
            raise HTTPException(404, "There is no such list.")
        filters = read_filters(request.query_params, self._desk.now())
        rows = [(check, self._desk.image_url(check)) for check in self._desk.listed(name, filters.since)]
        return self._page(request, "list.html", rows=rows, tab=name)

    def next(self, request: Request) -> Response:
        query = request.query_params
        filters = read_filters(query, self._desk.now())
        check = self._desk.next_check(filters, reviewer_of(request) or "", query.get("skip", ""))
        if check is None:
            return RedirectResponse(f"/?{filters_query(query)}", 303)
        return RedirectResponse(address(check, filters_query(query)), 303)

    def ahead(self, request: Request) -> Response:
        """The image that comes next, so that the browser has it before it is asked for."""
        query = request.query_params
        check = self._desk.peek(read_filters(query, self._desk.now()), query.get("skip", ""))
        url = self._desk.image_url(check) if check else None
        return RedirectResponse(url, 302) if url else Response(status_code=204)

    def bin(self, request: Request) -> Response:
        query = request.query_params
        view = self._desk.view(self._check(query.get("bin", ""), query.get("check", "")))
        return self._page(
            request,
            "bin.html",
            view=view,
            check=view.check,
            bars=bars(view.check),
            reason=reason(view.check),
            volume=measured_volume(view.check),
            tab="queue",
        )

    async def answer(self, request: Request) -> Response:
        form = await read_form(request)
        check = await run_in_threadpool(self._check, form.get("bin", ""), form.get("check", ""))
        actual = _actual(form, check)
        reviewer = reviewer_of(request) or ""
        await run_in_threadpool(self._desk.answer, check, actual, reviewer, form.get("note", "")[:NOTE_LIMIT])
        request.session["answered"] = [check.bin, check.check, actual]
        return RedirectResponse(f"/next?{filters_query(form)}&skip={check.check_id}", 303)

    async def take_back(self, request: Request) -> Response:
        form = await read_form(request)
        check = await run_in_threadpool(self._check, form.get("bin", ""), form.get("check", ""))
        try:
            await run_in_threadpool(self._desk.take_back, check, reviewer_of(request) or "")
        except CannotWithdraw as error:
            raise HTTPException(409, f"{error}.") from error
        request.session.pop("answered", None)
        return RedirectResponse(address(check, filters_query(form)), 303)

    def figures(self, request: Request) -> Response:
        return self._page(request, "figures.html", figures=figures(self._desk), tab="figures")

    def fault(self, request: Request, error: Exception) -> Response:
        """What went wrong, in one sentence."""
        status, message = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
        return self._page(request, "fault.html", status, code=status, message=message, tab="")

    def _check(self, bin: str, check: str) -> Check:
        found = self._desk.find(bin, check) if bin and check else None
        if found is None:
            raise HTTPException(404, "There is no such check: it may have expired, or the address is incomplete.")
        return found

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        values |= {
            "csrf": csrf_token(request),
            "reviewer": reviewer_of(request),
            "query": dict(request.query_params),
            "filters": filters_query(request.query_params),
            "answered": request.session.get("answered"),
        }
        return HTMLResponse(self._templates.get_template(template).render(values), status)


def address(check: Check, filters: str = "") -> str:
    """The page of a check."""
    query = urlencode({"bin": check.bin, "check": check.check}, quote_via=quote)
    return f"/bin?{query}{f'&{filters}' if filters else ''}"


def _actual(form: dict[str, str], check: Check) -> int | None:
    """What a form answers: None where the image does not show it."""
    answer = form.get("actual") if form.get("answer", "number") == "number" else form["answer"]
    if answer == "unclear":
        return None
    if answer == "right" and check.expected is not None:
        return check.expected
    if answer and answer.isascii() and answer.isdecimal() and len(answer) <= 6:
        actual = int(answer)
        if actual <= EXPECTED_QUANTITY_LIMIT:
            return actual
    raise HTTPException(400, f"Say a whole number from 0 to {EXPECTED_QUANTITY_LIMIT:,}: go back and answer again.")
