"""Sign-in at a Cognito user pool: OpenID Connect's authorization code flow with PKCE, on Cognito's hosted pages."""

import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
import urllib3
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from review.access import MEMBER, read_form, sign_in, sign_out

SIGN_IN_LIFE_S = 600
"""How long somebody may take on the hosted pages."""
CLOCK_SKEW_S = 30
ADDRESS_LIMIT = 1_500
"""Characters of an address that is opened again after the sign-in; the cookie has room for 4,096 bytes."""
PENDING = "pending"
CLAIMS = ("iss", "aud", "exp", "iat", "nonce", "token_use", "email", "sub")
MEMBER_CHECKED_S = 60.0
"""How long a process relies on what the pool has said of a user: a removed one is out after this."""
MEMBERS_KEPT = 1_000
logger = logging.getLogger(__name__)
_TIMEOUT = urllib3.Timeout(connect=2, read=5)


@dataclass(frozen=True)
class UserPool:
    """A user pool, the application's client of it, and the addresses that its discovery document names."""

    client_id: str
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    end_session_endpoint: str
    jwks_uri: str

    @classmethod
    def discover(cls, pool_url: str, client_id: str, http: urllib3.PoolManager) -> "UserPool":
        """The pool at an address.

        Raises:
            ConnectionError: the address answers no discovery document.
        """
        document = _ask(http, "GET", f"{pool_url}/.well-known/openid-configuration")
        names = ("issuer", "authorization_endpoint", "token_endpoint", "end_session_endpoint", "jwks_uri")
        if not document.keys() >= set(names):
            raise ConnectionError(f"{pool_url} names no sign-in")
        return cls(client_id, **{name: document[name] for name in names})


class Members:
    """The users of a pool, through boto3's client `cognito`."""

    def __init__(self, cognito: Any, pool_id: str) -> None:
        self._cognito, self._pool_id = cognito, pool_id
        self._known: dict[str, tuple[float, bool]] = {}

    def includes(self, user: str) -> bool:
        """Whether the user with this `sub` is in the pool, and enabled. AWS errors pass unchanged."""
        until, known = self._known.get(user, (0.0, False))
        now = time.monotonic()
        if now < until:
            return known
        try:
            enabled: bool = self._cognito.admin_get_user(UserPoolId=self._pool_id, Username=user)["Enabled"]
        except self._cognito.exceptions.UserNotFoundException:
            enabled = False
        if len(self._known) >= MEMBERS_KEPT:
            self._known.clear()
        self._known[user] = (now + MEMBER_CHECKED_S, enabled)
        return enabled


class RefusedSignIn(Exception):
    """A sign-in does not prove who somebody is; the message says why, for the log."""


class CognitoAccess:
    """Reviewers are the users of a pool. `url` is the address of the page, without a slash at its end."""

    def __init__(
        self, pool: UserPool, url: str, http: urllib3.PoolManager, keys: jwt.PyJWKClient, members: Members
    ) -> None:
        self._pool, self._url, self._http, self._keys, self._members = pool, url, http, keys, members

    @property
    def _callback(self) -> str:
        return f"{self._url}/signed-in"

    def routes(self) -> list[Route]:
        return [Route("/signed-in", self._signed_in), Route("/sign-out", self._sign_out, methods=["POST"])]

    def invite(self, request: Request) -> Response:
        """Send the browser to the hosted pages, and back to the requested address afterwards."""
        if request.method == "POST":  # a form is not sent again after a sign-in
            raise HTTPException(
                401, "Your session has ended, and nothing was changed: open the queue to sign in again."
            )
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        request.session.clear()
        request.session[PENDING] = {
            "state": state, "nonce": nonce, "verifier": verifier, "begun": int(time.time()), "then": _address(request),
        }  # fmt: skip
        query = {
            "response_type": "code",
            "client_id": self._pool.client_id,
            "redirect_uri": self._callback,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
        }
        return RedirectResponse(f"{self._pool.authorization_endpoint}?{urlencode(query)}", 303)

    def admits(self, request: Request) -> bool:
        """Whether the user of a session is still in the pool, as of MEMBER_CHECKED_S ago."""
        member: str = request.session.get(MEMBER, "")
        return bool(member) and self._members.includes(member)

    async def _signed_in(self, request: Request) -> Response:
        pending = request.session.pop(PENDING, None)  # one attempt, whatever comes of it
        query = request.query_params
        if not pending or not _same(query.get("state", ""), pending["state"]) or not _recent(pending["begun"]):
            raise HTTPException(403, "This sign-in was begun elsewhere or too long ago: open the queue to sign in.")
        try:
            if "code" not in query:
                raise RefusedSignIn(f"the hosted pages say {query.get('error', 'nothing')!r}")
            token = await run_in_threadpool(self._exchange, query["code"], pending["verifier"])
            claims = await run_in_threadpool(self._verify, token, pending["nonce"])
        except RefusedSignIn as error:
            logger.warning("sign-in refused: %s", error)
            raise HTTPException(403, "The sign-in was refused: open the queue to sign in again.") from error
        except (ConnectionError, jwt.PyJWKClientConnectionError) as error:
            logger.exception("Cognito does not answer")
            raise HTTPException(503, "Cognito does not answer: open the queue to sign in again.") from error
        sign_in(request, claims["email"], claims["sub"])
        return RedirectResponse(pending["then"], 303)

    async def _sign_out(self, request: Request) -> Response:
        """End this session and Cognito's. The page's policy lets no form lead to another origin, a refresh may."""
        await read_form(request)
        sign_out(request)
        query = urlencode({"client_id": self._pool.client_id, "logout_uri": f"{self._url}/"})
        return PlainTextResponse(
            "Signing out.", headers={"refresh": f"0; url={self._pool.end_session_endpoint}?{query}"}
        )

    def _exchange(self, code: str, verifier: str) -> str:
        """The ID token for an authorization code.

        Raises:
            RefusedSignIn: the pool does not know the code, or has seen it before.
            ConnectionError: the pool does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "client_id": self._pool.client_id,
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        answer = _ask(self._http, "POST", self._pool.token_endpoint, form)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise RefusedSignIn(f"the code buys no ID token: {answer.get('error', 'no reason given')}")
        return token

    def _verify(self, token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an ID token that this pool made for this client and this sign-in.

        Raises:
            RefusedSignIn: it is not such a token.
        """
        try:
            key = self._keys.get_signing_key_from_jwt(token)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._pool.client_id,
                issuer=self._pool.issuer,
                leeway=CLOCK_SKEW_S,
                options={"require": list(CLAIMS)},
            )
        except jwt.PyJWKClientConnectionError:
            raise
        except jwt.PyJWTError as error:
            raise RefusedSignIn(f"the ID token does not hold: {error}") from error
        if not _same(claims["nonce"], nonce):
            raise RefusedSignIn("the ID token is of another sign-in")
        if claims["token_use"] != "id":  # noqa: S105  (no password)
            raise RefusedSignIn("the token is no ID token")
        if not all(isinstance(claims[name], str) and claims[name] for name in ("email", "sub")):
            raise RefusedSignIn("the ID token names nobody")
        return claims


def challenge(verifier: str) -> str:
    """The S256 challenge of a code verifier (RFC 7636, section 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())


def _recent(begun: int) -> bool:
    return 0 <= time.time() - begun < SIGN_IN_LIFE_S


def _address(request: Request) -> str:
    """What was asked for, as an address on this host."""
    address = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return address if len(address) <= ADDRESS_LIMIT and not address.startswith("//") else "/"


def _ask(http: urllib3.PoolManager, method: str, url: str, form: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The JSON object that an address answers, be it an error in OAuth's sense.

    Raises:
        ConnectionError: it answers none.
    """
    headers = {"content-type": "application/x-www-form-urlencoded"} if form else {}
    try:
        answer = http.request(
            method, url, body=urlencode(form) if form else None, headers=headers, timeout=_TIMEOUT, redirect=False
        )
        body = answer.json()
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise ConnectionError(f"{urlsplit(url).hostname} gives no JSON: {error}") from error
    if answer.status >= 500 or not isinstance(body, dict):
        raise ConnectionError(f"{urlsplit(url).hostname} answers {answer.status}")
    return body
