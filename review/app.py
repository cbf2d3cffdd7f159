"""The ASGI application: which address shows what."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from botocore.exceptions import ClientError
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from inventory.alert_text import seen, visible
from inventory.check import Check
from inventory.errors import CannotWithdraw, RetryLater
from inventory.metadata import EXPECTED_QUANTITY_LIMIT
from inventory.review_queue import Cursor
from review.access import SESSION_LIFE_S, Access, csrf_token, read_form, reviewer_of
from review.desk import LIST_LENGTH, PASSED_DIGITS, Desk, passed_id
from review.figures import figures
from review.filters import DIRECTIONS, SEVERITY_NAMES, SINCE, filters_query, read_filters
from review.headers import SecurityHeaders
from review.words import age, bars, measured_volume, percent, reason

FOLDER = Path(__file__).parent
NOTE_LIMIT = 1_000
PASSED_KEPT = 40
"""So many of the last checks that a reviewer answered or skipped do not come again."""
ANSWERED_LIMIT = 1_500
"""Characters of an answered check in the session; the cookie has room for 4,096."""
PASSED, ANSWERED = "passed", "answered"
Handler = Callable[[Request], Awaitable[Response] | Response]
logger = logging.getLogger(__name__)


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
            Middleware(SecurityHeaders, images=images, https=https),
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
            Middleware(
                SessionMiddleware,
                secret_key=secret,
                session_cookie="__Host-bincheck" if https else f"bincheck-{sha256(secret.encode()).hexdigest()[:8]}",
                max_age=SESSION_LIFE_S,
                same_site="lax",
                https_only=https,
            ),
        ],
        exception_handlers={HTTPException: pages.fault},
    )


class _Pages:
    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk, self._access = desk, access
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"), autoescape=select_autoescape(), undefined=StrictUndefined
        )
        self._templates.filters |= {
            "plain": visible,
            "percent": percent,
            "age": lambda moment: age(moment, desk.now()),
        }
        self._templates.globals |= {
            "address": address,
            "asset": _assets().__getitem__,
            "severities": SEVERITY_NAMES,
            "directions": DIRECTIONS,
            "spans": SINCE,
            "seen": seen,
            "list_length": LIST_LENGTH,
        }

    def guarded(self, handler: Handler) -> Handler:
        """The handler for whoever is signed in, and an invitation for everybody else."""

        @wraps(handler)
        async def guarded(request: Request) -> Response:
            if reviewer_of(request) is None:
                return self._access.invite(request)
            try:
                if not await run_in_threadpool(self._access.admits, request):
                    return self._access.invite(request)
                answer = handler(request) if request.method == "POST" else await run_in_threadpool(handler, request)
                return await answer if isinstance(answer, Awaitable) else answer
            except HTTPException:
                raise
            except RetryLater:
                return self.fault(request, HTTPException(503, "Others changed this bin at the same moment: try again."))
            except Exception:
                logger.exception("%s failed", request.url.path)
                return self.fault(request, HTTPException(500, "Something failed here, and it is logged: try again."))

        return guarded

    def queue(self, request: Request) -> Response:
        query = request.query_params
        filters = read_filters(query, self._desk.now())
        no_page = HTTPException(400, "This address names no page of the queue.")
        try:
            page = self._desk.page(filters, Cursor.decode(query.get("after", "")))
        except ValueError as error:
            raise no_page from error
        except ClientError as error:  # a cursor that was made up is no key of the index
            if error.response["Error"]["Code"] == "ValidationException" and "after" in query:
                raise no_page from error
            raise
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
        """The bin to review next. Whoever skips one goes on behind it; whoever begins gets those skipped again."""
        query, reviewer = request.query_params, reviewer_of(request) or ""
        if "skip" in query:
            self._desk.release(query.get("bin", ""), reviewer)
            _pass_by(request, query["skip"])
        else:
            request.session.pop(PASSED, None)
        check = self._desk.next_check(read_filters(query, self._desk.now()), reviewer, _passed(request))
        return _to_bin(check, query)

    def ahead(self, request: Request) -> Response:
        """The image that comes next, so that the browser has it before it is asked for."""
        query = request.query_params
        passed = [*_passed(request), query.get("skip", "")]
        check = self._desk.peek(read_filters(query, self._desk.now()), passed)
        url = self._desk.image_url(check) if check else None
        return RedirectResponse(url, 302) if url else Response(status_code=204)

    def bin(self, request: Request) -> Response:
        query = request.query_params
        view = self._desk.view(self._check(query), reviewer_of(request) or "")
        return self._page(
            request,
            "bin.html",
            view=view,
            check=view.check,
            bars=bars(view.check),
            passed_id=passed_id(view.check),
            reason=reason(view.check),
            volume=measured_volume(view.check),
            tab="queue",
            hides_answer=view.blind and (request.session.get(ANSWERED) or {}).get("bin") == view.check.bin,
        )

    async def answer(self, request: Request) -> Response:
        form = await read_form(request)
        query, reviewer = request.query_params, reviewer_of(request) or ""
        check = await run_in_threadpool(self._check, query)
        if check.predicted is None:
            raise HTTPException(409, "This bin was not counted, so there is no count to answer.")
        actual = _actual(form, check)
        passed = [*_passed(request), passed_id(check)]
        # The next bin is looked for meanwhile.
        answered, following = await asyncio.gather(
            run_in_threadpool(self._desk.answer, check, actual, reviewer, form.get("note", "")[:NOTE_LIMIT]),
            run_in_threadpool(self._desk.next_check, read_filters(query, self._desk.now()), reviewer, passed),
        )
        _pass_by(request, passed_id(answered))
        request.session[ANSWERED] = _remembered(answered, filters_query(query))
        return _to_bin(following, query)

    async def take_back(self, request: Request) -> Response:
        form = await read_form(request)
        query = request.query_params
        check = await run_in_threadpool(self._check, query)
        try:
            reviewed_at = form.get("reviewed_at", "")
            await run_in_threadpool(self._desk.take_back, check, reviewer_of(request) or "", reviewed_at)
        except CannotWithdraw as error:
            raise HTTPException(409, f"{error}.") from error
        request.session.pop(ANSWERED, None)
        request.session[PASSED] = [one for one in _passed(request) if one != passed_id(check)]
        return RedirectResponse(address(check, filters_query(query)), 303)

    def figures(self, request: Request) -> Response:
        return self._page(request, "figures.html", figures=figures(self._desk), tab="figures")

    def fault(self, request: Request, error: Exception) -> Response:
        """What went wrong, in one sentence."""
        status, message = (error.status_code, error.detail) if isinstance(error, HTTPException) else (500, "")
        return self._page(request, "fault.html", status, code=status, message=message, tab="")

    def _check(self, query: Mapping[str, str]) -> Check:
        found = self._desk.find(query.get("bin", ""), query.get("check", ""))
        if found is None:
            raise HTTPException(404, "There is no such check: it may have expired, or the address is incomplete.")
        return found

    def _page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        reviewer = reviewer_of(request)
        answered = None if values.pop("hides_answer", not reviewer) else request.session.get(ANSWERED)
        values |= {
            "csrf": csrf_token(request),
            "reviewer": reviewer,
            "query": dict(request.query_params),
            "filters": filters_query(request.query_params),
            "answered": answered,
        }
        return HTMLResponse(self._templates.get_template(template).render(values), status)


def address(check: Check, filters: str = "", path: str = "/bin") -> str:
    """The page of a check, or another path that takes one."""
    query = urlencode({"bin": check.bin, "check": check.check}, quote_via=quote)
    return f"{path}?{query}{f'&{filters}' if filters else ''}"


def _to_bin(check: Check | None, query: Mapping[str, str]) -> Response:
    """To the page of a check, or to the queue where no check is free."""
    filters = filters_query(query)
    return RedirectResponse(address(check, filters) if check else f"/?{filters}&end=1", 303)


def _passed(request: Request) -> list[str]:
    passed: list[str] = request.session.get(PASSED, [])
    return passed


def _pass_by(request: Request, check: str) -> None:
    request.session[PASSED] = [*_passed(request), check[:PASSED_DIGITS]][-PASSED_KEPT:]


def _remembered(check: Check, filters: str) -> dict[str, Any] | None:
    """What the next page says of an answered check, and how to take the answer back; None for a check with a name
    that is too long for a cookie: its own page offers that, too."""
    remembered = {
        "bin": check.bin,
        "actual": check.actual,
        "reviewed_at": check.reviewed_at,
        "take_back": address(check, filters, "/take-back"),
    }
    return remembered if len(json.dumps(remembered)) <= ANSWERED_LIMIT else None


def _assets() -> dict[str, str]:
    """The addresses of the static files by their names. A changed file has another address."""
    files = (FOLDER / "static").iterdir()
    return {file.name: f"/static/{file.name}?v={sha256(file.read_bytes()).hexdigest()[:12]}" for file in files}


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
