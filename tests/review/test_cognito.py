"""Whoever signs in proves it: attacks on the sign-in at a user pool, and what becomes of each."""

import json
import time
from types import SimpleNamespace
from urllib.parse import parse_qs, parse_qsl, urlsplit

import jwt
import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.testclient import TestClient

import review.access
import review.cognito
from inventory.settings import ReviewSettings, SettingsError
from review.access import REVIEWER
from review.app import create_app
from review.cognito import MEMBER_CHECKED_S, CognitoAccess, Members, UserPool, challenge

PAGE = "https://review.test"
ISSUER = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_pool"
HOSTED = "https://bincheck.auth.eu-west-1.amazoncognito.com"
POOL = UserPool(
    client_id="client",
    issuer=ISSUER,
    authorization_endpoint=f"{HOSTED}/oauth2/authorize",
    token_endpoint=f"{HOSTED}/oauth2/token",
    end_session_endpoint=f"{HOSTED}/logout",
    jwks_uri=f"{ISSUER}/.well-known/jwks.json",
)
OURS, FOREIGN = (rsa.generate_private_key(65537, 2048) for _ in range(2))


class Keys(jwt.PyJWKClient):
    """The pool's published keys, without a network."""

    def fetch_data(self):
        return {
            "keys": [json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(OURS.public_key())) | {"kid": "1", "use": "sig"}]
        }


class Cognito:
    """The pool at its token endpoint: a code is good once, for its verifier. What its tokens claim can be changed."""

    def __init__(self) -> None:
        self.claims, self.key, self.algorithm, self.kid = {}, OURS, "RS256", "1"
        self.codes = {}
        self.answers = True
        self.users = {"sub of ann@example.com": True}
        self.exceptions = SimpleNamespace(UserNotFoundException=KeyError)

    def admin_get_user(self, UserPoolId, Username):  # noqa: N803
        if not self.answers:
            raise urllib3.exceptions.ConnectTimeoutError
        return {"Enabled": self.users[Username]}

    def log_in(self, address: str, email: str = "ann@example.com") -> str:
        """What somebody does on the hosted pages: where the browser is sent afterwards."""
        query = dict(parse_qsl(urlsplit(address).query))
        code = f"code-{len(self.codes)}"
        self.codes[code] = (query, email)
        return f"{query['redirect_uri']}?code={code}&state={query['state']}"

    def request(self, method, url, body, headers, **_):
        assert (method, url) == ("POST", POOL.token_endpoint)
        if not self.answers:
            raise urllib3.exceptions.ConnectTimeoutError
        form = dict(parse_qsl(body))
        assert form["grant_type"] == "authorization_code"
        query, email = self.codes.pop(form["code"], (None, None))
        verified = query and query["code_challenge"] == challenge(form.get("code_verifier", ""))
        if not verified or form["redirect_uri"] != query["redirect_uri"] or form["client_id"] != POOL.client_id:
            return self._answer(400, {"error": "invalid_grant"})
        return self._answer(200, {"id_token": self.token(query["nonce"], email), "access_token": "a"})

    def token(self, nonce: str, email: str) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": "client", "iat": now, "exp": now + 300, "nonce": nonce, "token_use": "id",
            "email": email, "sub": f"sub of {email}",
        } | self.claims  # fmt: skip
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, self.key, self.algorithm, headers={"kid": self.kid})

    def _answer(self, status, body):
        return SimpleNamespace(status=status, json=lambda: body)


@pytest.fixture
def cognito():
    return Cognito()


@pytest.fixture
def browser(cognito):
    """Makes browsers of an application that has no desk, since nobody gets so far."""
    access = CognitoAccess(POOL, PAGE, cognito, Keys(POOL.jwks_uri), Members(cognito, "pool"))
    app = create_app(None, access, ["review.test"], "https://images.test", secret="of sessions", https=True)
    return lambda: TestClient(app, base_url=PAGE, follow_redirects=False)


INSIDE = "/list/no-such-list"
"""404 to a reviewer; an invitation to anybody else."""


def begin(client, path=INSIDE):
    answer = client.get(path)
    assert answer.status_code == 303
    return answer.headers["location"]


def is_inside(client):
    return client.get(INSIDE).status_code == 404


def test_a_user_of_the_pool_gets_in_and_to_the_address_that_was_asked_for(browser, cognito):
    client = browser()
    back = cognito.log_in(begin(client, "/bin?bin=BOS1/7&check=a/b"))
    answer = client.get(back)
    assert (answer.status_code, answer.headers["location"]) == (303, "/bin?bin=BOS1/7&check=a/b")
    assert is_inside(client)
    assert "ann@example.com" in client.get(INSIDE).text
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-bincheck=")
    assert {part.strip().lower() for part in cookie.split(";")} >= {"path=/", "httponly", "samesite=lax", "secure"}
    assert "domain" not in cookie.lower()


def test_the_hosted_pages_are_asked_for_a_code_with_a_challenge(browser):
    first, second = (dict(parse_qsl(urlsplit(begin(browser())).query)) for _ in range(2))
    assert first["response_type"] == "code"
    assert first["code_challenge_method"] == "S256"
    assert first["redirect_uri"] == f"{PAGE}/signed-in"
    assert first["scope"] == "openid email"
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))


def test_without_a_session_nothing_is_shown_or_changed(browser):
    for path in ("/", "/bin?bin=1&check=a/b", "/next", "/ahead", "/figures", "/list/rejected"):
        assert begin(browser(), path).startswith(POOL.authorization_endpoint)
    for path in ("/answer", "/take-back"):
        answer = browser().post(path, data={"bin": "1", "check": "a/b"})
        assert (answer.status_code, "nothing was changed" in answer.text) == (401, True)
    assert browser().post("/sign-out", data={"csrf": ""}).status_code == 403


def test_a_foreign_address_under_another_host_is_not_opened_after_the_sign_in(browser):
    assert browser().get(f"{PAGE}//evil.test/bin").status_code == 404
    assert browser().get("/", headers={"host": "evil.test"}).status_code == 400


# Attacks on the way back


@pytest.mark.parametrize("state", ["", "guessed", "ünlike"])
def test_a_foreign_state_is_refused_and_ends_the_attempt(browser, cognito, state):
    client = browser()
    back = cognito.log_in(begin(client))
    forged = back.split("&state=")[0] + f"&state={state}"
    assert client.get(forged).status_code == 403
    assert client.get(back).status_code == 403
    assert not is_inside(client)


def test_a_sign_in_that_another_browser_began_is_refused(browser, cognito):
    victim, attacker = browser(), browser()
    begin(victim)
    back = cognito.log_in(begin(attacker), "mallory@example.com")
    assert victim.get(back).status_code == 403
    assert not is_inside(victim)


def test_an_answer_is_good_once(browser, cognito):
    client = browser()
    back = cognito.log_in(begin(client))
    cookies = dict(client.cookies)
    assert client.get(back).status_code == 303
    assert client.get(back).status_code == 403, "the state was used"
    thief = browser()
    thief.cookies.update(cookies)
    assert thief.get(back).status_code == 403, "the code was used, though the thief has the older cookie"
    assert not is_inside(thief)


def test_a_sign_in_that_took_too_long_is_refused(browser, cognito, monkeypatch):
    client = browser()
    back = cognito.log_in(begin(client))
    monkeypatch.setattr(review.cognito, "SIGN_IN_LIFE_S", 0)
    assert client.get(back).status_code == 403


def test_what_the_hosted_pages_refuse_is_refused(browser, cognito):
    client = browser()
    state = dict(parse_qsl(urlsplit(begin(client)).query))["state"]
    assert client.get(f"/signed-in?error=access_denied&state={state}").status_code == 403


def test_a_code_without_its_verifier_buys_nothing(browser, cognito, monkeypatch):
    client = browser()
    back = cognito.log_in(begin(client))
    monkeypatch.setattr(CognitoAccess, "_exchange", lambda self, code, _: original(self, code, ""))
    assert client.get(back).status_code == 403


original = CognitoAccess._exchange


def test_a_pool_that_does_not_answer_is_no_way_in(browser, cognito):
    client = browser()
    back = cognito.log_in(begin(client))
    cognito.answers = False
    assert client.get(back).status_code == 503
    assert not is_inside(client)


# Attacks on the token


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_other"},
        {"aud": "another-client"},
        {"exp": int(time.time()) - 3600},
        {"exp": None},
        {"iat": int(time.time()) + 3600},
        {"nonce": "of an earlier sign-in"},
        {"nonce": None},
        {"token_use": "access"},
        {"token_use": None},
        {"email": None},
        {"email": ""},
        {"email": ["ann@example.com"]},
    ],
    ids="".join,  # the claim: a time would name the test differently in each process
)
def test_a_token_of_another_pool_client_time_sign_in_or_kind_is_refused(browser, cognito, claims):
    client = browser()
    cognito.claims = claims
    assert client.get(cognito.log_in(begin(client))).status_code == 403
    assert not is_inside(client)


@pytest.mark.parametrize(
    "forged",
    [
        {"key": FOREIGN},
        {"key": FOREIGN, "kid": "2"},
        {"key": "", "algorithm": "none"},
        {"key": "a shared secret of 32 characters!", "algorithm": "HS256"},
    ],
    ids=["another key", "unknown key", "no signature", "a shared secret"],
)
def test_a_token_that_the_pool_did_not_sign_is_refused(browser, cognito, forged):
    client = browser()
    vars(cognito).update(forged)
    assert client.get(cognito.log_in(begin(client))).status_code == 403
    assert not is_inside(client)


@pytest.mark.parametrize("answer", [{}, {"id_token": None}, {"id_token": "a.b.c"}, {"id_token": "x" * 100_000}])
def test_a_token_endpoint_that_sells_no_token_is_no_way_in(browser, cognito, answer, monkeypatch):
    client = browser()
    monkeypatch.setattr(cognito, "request", lambda *_, **__: SimpleNamespace(status=200, json=lambda: answer))
    assert client.get(cognito.log_in(begin(client))).status_code == 403


# Attacks on the session


def signed_in(browser, cognito):
    client = browser()
    client.get(cognito.log_in(begin(client)))
    assert is_inside(client)
    return client


def test_a_session_that_was_tampered_with_or_signed_by_another_secret_is_none(browser, cognito):
    session = signed_in(browser, cognito).cookies["__Host-bincheck"]
    payload, *rest = session.split(".")
    other = create_app(
        None,
        CognitoAccess(POOL, PAGE, cognito, Keys(POOL.jwks_uri), Members(cognito, "pool")),
        ["review.test"],
        "",
        secret="another",
        https=True,
    )
    foreign = TestClient(other, base_url=PAGE, follow_redirects=False)
    foreign.get(cognito.log_in(begin(foreign)))
    swapped = payload[:-1] + ("A" if payload[-1] != "A" else "B")
    for cookie in (".".join([swapped, *rest]), payload, "", foreign.cookies["__Host-bincheck"]):
        client = browser()
        client.cookies.set("__Host-bincheck", cookie)
        assert not is_inside(client)


def test_a_sign_in_that_is_only_begun_is_no_session(browser):
    client = browser()
    begin(client)
    assert not is_inside(client)


def test_a_session_ends(browser, cognito, monkeypatch):
    client = signed_in(browser, cognito)
    now = time.time()
    monkeypatch.setattr(review.access, "time", SimpleNamespace(time=lambda: now + review.access.SESSION_LIFE_S + 1))
    assert not is_inside(client)


@pytest.mark.parametrize("change", [{}, {"sub of ann@example.com": False}, {"sub of another ann@example.com": True}])
def test_a_user_who_was_removed_disabled_or_made_anew_is_out_within_a_minute(browser, cognito, monkeypatch, change):
    client = signed_in(browser, cognito)
    token = client.get(INSIDE).text.split('name="csrf" value="')[1].split('"')[0]
    cognito.users = change
    now = time.monotonic()
    monkeypatch.setattr(
        review.cognito, "time", SimpleNamespace(time=time.time, monotonic=lambda: now + MEMBER_CHECKED_S + 1)
    )
    assert client.post("/answer?bin=1&check=a/b", data={"csrf": token, "actual": "1"}).status_code == 401
    assert not is_inside(client)


def test_while_the_pool_does_not_say_who_belongs_to_it_nobody_comes_in(browser, cognito, monkeypatch):
    client = signed_in(browser, cognito)
    cognito.answers, now = False, time.monotonic()
    monkeypatch.setattr(
        review.cognito, "time", SimpleNamespace(time=time.time, monotonic=lambda: now + MEMBER_CHECKED_S + 1)
    )
    assert client.get(INSIDE).status_code == 500


def test_the_pool_is_asked_once_a_minute(browser, cognito):
    client = signed_in(browser, cognito)
    assert is_inside(client)
    cognito.answers = False
    assert is_inside(client)


def test_a_session_without_a_user_is_none(browser, cognito):
    cognito.claims = {"sub": ""}
    client = browser()
    assert client.get(cognito.log_in(begin(client))).status_code == 403
    assert not is_inside(client)


def test_signing_out_ends_the_session_here_and_at_cognito(browser, cognito):
    client = signed_in(browser, cognito)
    assert client.post("/sign-out", data={"csrf": "guessed"}).status_code == 403, "without the token of a form"
    token = client.get(INSIDE).text.split('name="csrf" value="')[1].split('"')[0]
    kept = dict(client.cookies)
    answer = client.post("/sign-out", data={"csrf": token})
    delay, there = answer.headers["refresh"].split("; url=")
    assert (answer.status_code, delay) == (200, "0")
    assert there.startswith(f"{POOL.end_session_endpoint}?")
    assert parse_qs(urlsplit(there).query) == {"client_id": ["client"], "logout_uri": [f"{PAGE}/"]}
    assert not is_inside(client)
    client.cookies.update(kept)
    assert not is_inside(client), "a copy of the cookie is worth nothing where it was signed out"


def test_nobody_signs_in_by_a_field_of_a_form(browser):
    assert browser().post("/answer", data={REVIEWER: "ann"}).status_code == 401


# Settings

VARIABLES = {
    "CHECKS_TABLE": "checks",
    "IMAGE_BUCKETS": "inbox other",
    "REVIEW_URL": f"{PAGE}/",
    "REVIEW_USER_POOL_ID": "eu-west-1_pool",
    "REVIEW_CLIENT_ID": "client",
    "REVIEW_SECRET_ARN": "arn",
}


@pytest.mark.parametrize(
    ("url", "https"), [(PAGE, True), ("http://a.execute-api.localhost:4566", False), ("http://127.0.0.1:1", False)]
)
def test_sessions_travel_by_https_unless_the_page_is_on_this_machine(monkeypatch, url, https):
    for name, value in (VARIABLES | {"REVIEW_URL": url}).items():
        monkeypatch.setenv(name, value)
    settings = ReviewSettings.from_environment()
    assert (settings.https, settings.buckets) == (https, ("inbox", "other"))


@pytest.mark.parametrize(
    "url", ["http://review.test", "http://localhost.evil.test", "http://127.0.0.1.evil.test", "ftp://x"]
)
def test_a_page_elsewhere_without_https_does_not_start(monkeypatch, url):
    for name, value in (VARIABLES | {"REVIEW_URL": url}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match="HTTPS only"):
        ReviewSettings.from_environment()
