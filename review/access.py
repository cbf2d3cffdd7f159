"""Who may come in, and what every request must prove: session, host, origin and CSRF token."""

import hmac
import secrets
import time
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

SESSION_LIFE_S = 12 * 3600
FORM_LIMIT_BYTES = 16_384
FORM_TYPE = "application/x-www-form-urlencoded"
REVIEWER, MEMBER, SIGNED_IN_AT, CSRF = "reviewer", "member", "signed_in_at", "csrf"

_ended: dict[str, float] = {}
"""The CSRF tokens of sessions that were signed out, and when."""


class Access(Protocol):
    """A way to sign in."""

    def routes(self) -> list[Route]:
        """The pages of signing in and out."""

    def invite(self, request: Request) -> Response:
        """What somebody without a session gets."""

    def admits(self, request: Request) -> bool:
        """Whether the reviewer of a session may still come in."""


def sign_in(request: Request, reviewer: str, member: str = "") -> None:
    """Begin a session of that reviewer. Whatever was in the session before is forgotten.

    `member` identifies the reviewer where sign-ins are managed.
    """
    request.session.clear()
    begun = {REVIEWER: reviewer, MEMBER: member, SIGNED_IN_AT: int(time.time()), CSRF: secrets.token_urlsafe(32)}
    request.session.update(begun)


def reviewer_of(request: Request) -> str | None:
    """Who is signed in; None for a session that has ended."""
    session = request.session
    begun = session.get(SIGNED_IN_AT, 0)
    holds = 0 <= time.time() - begun < SESSION_LIFE_S and session.get(CSRF) not in _ended
    return session.get(REVIEWER) if holds else None


def sign_out(request: Request) -> None:
    """End the session: its cookie opens nothing any more in this process, even where somebody has kept a copy."""
    now = time.time()
    for token in [token for token, ended_at in _ended.items() if now - ended_at > SESSION_LIFE_S]:
        del _ended[token]
    _ended[csrf_token(request)] = now
    request.session.clear()


def csrf_token(request: Request) -> str:
    token: str = request.session.get(CSRF, "")
    return token


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form that this application's own page has sent.

    Raises:
        HTTPException: 403 without the session's CSRF token, 413 beyond FORM_LIMIT_BYTES, 415 and 400 for what is no
            form.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise HTTPException(415, "This is no form that the page sends.")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT_BYTES:
            raise HTTPException(413, "The form is too large: shorten the note.")
    try:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=50))
    except ValueError as error:
        raise HTTPException(400, "This is no form that the page sends.") from error
    expected = csrf_token(request)
    if not expected or not hmac.compare_digest(form.get(CSRF, "").encode(), expected.encode()):
        raise HTTPException(403, "The form is of another session: go back, reload the page, and answer again.")
    return form


class TokenAccess:
    """One reviewer on the machine that serves the page: whoever has the address with the token that is printed once.

    The token works for one sign-in only, so an address that stays in a history or a log opens nothing.
    """

    def __init__(self, reviewer: str) -> None:
        self._reviewer = reviewer
        self._token: str | None = secrets.token_urlsafe(32)

    @property
    def path(self) -> str:
        """The path that signs in, with the token."""
        return f"/sign-in?token={self._token}"

    def routes(self) -> list[Route]:
        return [Route("/sign-in", self._sign_in), Route("/sign-out", self._sign_out, methods=["POST"])]

    def invite(self, request: Request) -> Response:  # noqa: ARG002
        return PlainTextResponse("Open the address that `bincheck review` has printed.\n", 401)

    def admits(self, request: Request) -> bool:  # noqa: ARG002
        return True

    def _sign_in(self, request: Request) -> Response:
        token = request.query_params.get("token", "")
        if (
            request.method != "GET"
            or self._token is None
            or not hmac.compare_digest(token.encode(), self._token.encode())
        ):
            return PlainTextResponse("This address has been used: start `bincheck review` again for another.\n", 403)
        self._token = None
        sign_in(request, self._reviewer)
        return RedirectResponse("/", 303)

    async def _sign_out(self, request: Request) -> Response:
        await read_form(request)
        sign_out(request)
        return PlainTextResponse("Signed out. Start `bincheck review` again to come back.\n")
