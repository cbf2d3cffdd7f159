"""An attacker: without a session, with another's, with a forged one, from another page, and with crafted addresses."""

import base64
import json
import time

import itsdangerous
import pytest
from starlette.testclient import TestClient

from review import access
from review.access import SESSION_LIFE_S, TokenAccess
from review.app import create_app
from review.headers import SecurityHeaders
from tests.builders import BUCKET
from tests.review.conftest import HOST, bin_of

GET_PATHS = ("/", "/list/rejected", "/list/x", "/next", "/ahead", "/bin?bin=7&check=v", "/figures")
POST_PATHS = ("/answer", "/take-back")
HEADERS = ("content-security-policy", "referrer-policy", "x-content-type-options", "cache-control")


@pytest.fixture
def outsider(ann):
    """Somebody who reaches the application of a reviewer who is signed in, without the reviewer's cookie."""
    return TestClient(ann.client.app, base_url=HOST, follow_redirects=False)


def cookie_of(ann):
    (cookie,) = ann.client.cookies.jar
    return cookie


def signed(session, secret="ann"):
    return itsdangerous.TimestampSigner(secret).sign(base64.b64encode(json.dumps(session).encode())).decode()


def session_of(ann):
    return json.loads(base64.b64decode(cookie_of(ann).value.rsplit(".", 2)[0]))


# Without a session


def test_nothing_is_shown_and_nothing_kept_without_a_session(office, ann, outsider):
    check = office.drop("7")
    answers = [outsider.get(path) for path in (*GET_PATHS, f"/bin?bin=7&check={check.check}")]
    answers += [outsider.post(f"{path}?bin=7&check={check.check}", data={"answer": "4"}) for path in POST_PATHS]
    assert {answer.status_code for answer in answers} == {401}
    assert not any("set-cookie" in answer.headers or BUCKET in answer.text for answer in answers)
    assert office.found(check) == []


@pytest.mark.parametrize("token", ["", "x", "%00", "é", "%ED%A0%80", "x" * 5_000])
def test_a_forged_token_opens_nothing(office, outsider, token):
    fresh = TokenAccess("eve")
    app = create_app(office.desk, fresh, ["localhost"], "https://images.test", secret="s", https=False)
    client = TestClient(app, base_url=HOST, follow_redirects=False)
    assert client.get(f"/sign-in?token={token}").status_code == 403
    assert client.get("/sign-in").status_code == 403
    assert client.get(fresh.path).status_code == 303


def test_a_token_opens_once_and_a_look_at_it_does_not_use_it_up(office):
    fresh = TokenAccess("ann")
    app = create_app(office.desk, fresh, ["localhost"], "https://images.test", secret="s", https=False)
    path = fresh.path
    client = TestClient(app, base_url=HOST, follow_redirects=False)
    assert client.head(path).status_code == 403
    assert client.get(path).status_code == 303
    assert TestClient(app, base_url=HOST).get(path).status_code == 403


# Forged and old sessions


def test_a_session_ends_after_twelve_hours(ann, monkeypatch):
    ann.get("/")
    later = time.time() + SESSION_LIFE_S
    monkeypatch.setattr(access.time, "time", lambda: later)
    ann.get("/", status=401)


def test_a_cookie_that_is_signed_anew_does_not_live_longer(office, ann, outsider):
    old = session_of(ann) | {"signed_in_at": int(time.time()) - SESSION_LIFE_S}
    outsider.cookies.set(cookie_of(ann).name, signed(old))
    assert outsider.get("/").status_code == 401


def test_a_forged_or_tampered_cookie_opens_nothing(ann, outsider):
    name, value = cookie_of(ann).name, cookie_of(ann).value
    session = session_of(ann)
    payload, moment, signature = value.rsplit(".", 2)
    other = base64.b64encode(json.dumps(session | {"reviewer": "boss"}).encode()).decode()
    for forged in (
        signed(session, "guessed"),
        signed(session, ""),
        f"{other}.{moment}.{signature}",
        f"{payload}.{moment}.{signature[:-1]}",
        f"{payload}..{signature}",
        payload,
        "null",
        "",
    ):
        outsider.cookies.set(name, forged)
        assert outsider.get("/").status_code == 401
    outsider.cookies.set(name, value)
    assert outsider.get("/").status_code == 200


def test_a_session_of_one_application_opens_no_other(office, ann):
    bob = office.reviewer("bob")
    bob.client.cookies.clear()
    bob.client.cookies.set(cookie_of(office.reviewer("bob")).name, cookie_of(ann).value)
    bob.get("/", status=401)


def test_signing_out_ends_the_session_and_every_copy_of_its_cookie(ann, outsider):
    outsider.cookies.set(cookie_of(ann).name, cookie_of(ann).value)
    ann.press(ann.get("/"), "Sign out")
    assert list(ann.client.cookies.jar) == []
    ann.get("/", status=401)
    assert outsider.get("/").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(office):
    def flags(https):
        fresh = TokenAccess("ann")
        app = create_app(office.desk, fresh, ["localhost"], "https://images.test", secret="s", https=https)
        return TestClient(app, base_url=HOST, follow_redirects=False).get(fresh.path).headers["set-cookie"]

    assert "httponly; samesite=lax" in flags(https=False)
    assert flags(https=True).startswith("__Host-bincheck=")
    assert "path=/;" in flags(https=True)
    assert "secure" in flags(https=True)


# From another page


def test_a_form_without_the_token_of_the_session_changes_nothing(office, ann):
    check = office.drop("7")
    address = f"/answer?bin=7&check={check.check}"
    bob = office.reviewer("bob")
    foreign = bob.get("/").action("Sign out")[1]["csrf"]
    for csrf in (None, "", foreign, "é"):
        form = {"answer": "4"} | ({} if csrf is None else {"csrf": csrf})
        assert ann.client.post(address, data=form).status_code == 403
        assert ann.client.post("/sign-out", data=form).status_code == 403
    assert office.found(check) == []
    ann.get("/")


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", ""])
def test_a_form_of_another_type_changes_nothing(office, ann, kind):
    check = office.drop("7")
    page = ann.get(f"/bin?bin=7&check={check.check}")
    address, form = page.action("4")
    body = "&".join(f"{name}={value}" for name, value in form.items())
    assert ann.client.post(address, content=body, headers={"content-type": kind}).status_code == 415
    assert office.found(check) == []


def test_answers_are_posted_only(office, ann):
    check = office.drop("7")
    for path in (*POST_PATHS, "/sign-out"):
        ann.get(f"{path}?bin=7&check={check.check}&answer=4", status=405)
    assert office.found(check) == []


@pytest.mark.parametrize("body", [b"\xff", b"&" * 60, b"a=1&" * 60, b"x" * 20_000])
def test_what_is_no_form_is_refused(ann, body):
    answer = ann.client.post("/answer", content=body, headers={"content-type": access.FORM_TYPE})
    assert answer.status_code in (400, 403, 413)


@pytest.mark.parametrize("host", ["evil.test", "localhost.evil.test", "169.254.169.254", ""])
def test_another_host_is_refused(ann, host):
    answer = ann.client.get("/", headers={"host": host})
    assert answer.status_code == 400
    assert_headers(answer)


# Crafted addresses


CRAFTED = [
    ("7", "/state"), ("7", "/claim"), ("7", "/review/000000000001"), ("7", ""), ("", "v/v"), ("", ""),
    ("7", "../7"), ("7", "x" * 2_000), ("x" * 3_000, "v/v"), ("é" * 2_000, "v/v"), ("keys/stray.jpg/", "{stray}"),
    ("7/", "{check}"), ("/7/", "{check}"), ("..", "{check}"), ("tallies/", "2026-03-01/x"), ("failures/", "a/b"),
    ("7", "{check}\x00"), ("7\x00", "{check}"), ("\ud800", "{check}"),
]  # fmt: skip


def test_only_checks_are_read_and_reviewed(office, ann):
    check = office.drop("7")
    stray = office.warehouse.drop("stray.jpg", b"x")
    alert = next(item["check"] for item in office.warehouse.store._items_of(check.subject) if "alert" in item["check"])
    csrf = ann.get("/").action("Sign out")[1]["csrf"]
    before = office.warehouse.table.scan()["Items"]
    for bin, name in [*CRAFTED, ("7", alert), ("7", f"/audit/{check.check}")]:
        query = {"bin": bin, "check": name.format(check=check.check, stray=stray.check)}
        query = {each: value.encode("utf-8", "surrogatepass") for each, value in query.items()}
        assert ann.client.get("/bin", params=query).status_code == 404
        for path in POST_PATHS:
            answer = ann.client.post(path, params=query, data={"csrf": csrf, "answer": "4"})
            assert answer.status_code == 404
    assert office.warehouse.table.scan()["Items"] == before


def test_a_rejected_key_without_a_place_is_shown_and_takes_no_answer(office, ann):
    stray = office.warehouse.drop("holiday.jpg", b"x")
    page = ann.press(ann.get("/list/rejected"), "holiday.jpg")
    assert stray.reason in page.text
    assert bin_of(page) == "holiday.jpg"
    csrf = page.action("Sign out")[1]["csrf"]
    query = {"bin": "holiday.jpg", "check": stray.check}
    assert ann.client.post("/answer", params=query, data={"csrf": csrf, "answer": "4"}).status_code == 409


@pytest.mark.parametrize(
    "after", ["x", "AA==", "eyJhIjpbIjEiLCIyIiwieCJdfQ==", "eyJ4I2IiOlsiYSIsImIiLCIxIl19", "%00", "W10="]
)
def test_a_crafted_page_of_the_queue_is_a_sentence_or_the_queue(office, ann, after):
    office.drop("7")
    assert ann.client.get("/", params={"after": after}).status_code in (200, 400)


def cursor(place, *last):
    return base64.urlsafe_b64encode(json.dumps({place: last}).encode()).decode()


@pytest.mark.parametrize("suspicion", ["NaN", "Infinity", "1e999", "0." + "1" * 60, "-1"])
def test_a_crafted_place_in_the_queue_is_no_fault(office, ann, suspicion):
    office.drop("7")
    for last in (("7", "a/b", suspicion), ("x" * 3_000, "a/b", "0.5"), ("", "", "0.5")):
        answer = ann.client.get("/", params={"after": cursor("mismatch#2026-03-01", *last)})
        assert answer.status_code in (200, 400), last


def test_nothing_leads_to_another_site(office, ann):
    check = office.drop("7")
    evil = "https://evil.test"
    for path in (
        f"//evil.test/%2e%2e?bin=7&check={check.check}",
        f"/next?site=&next={evil}&since={evil}",
        f"/next?skip={evil}&bin={evil}",
        f"/ahead?skip={evil}",
        f"/sign-in?token=x&then={evil}",
    ):
        location = ann.client.get(path, follow_redirects=False).headers.get("location", "/")
        assert location.startswith(("/", "https://inbox.s3.amazonaws.com/"))
        assert not location.startswith("//")


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"]
)
def test_only_static_files_are_served(ann, path):
    assert ann.client.get(path).status_code in (401, 404)


# Headers and faults


def assert_headers(answer):
    for name in HEADERS:
        assert name in answer.headers, (answer.url, name)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy


def test_every_answer_bears_the_headers(office, ann, outsider):
    check = office.drop("7")
    paths = (
        *GET_PATHS,
        f"/bin?bin=7&check={check.check}",
        "/nowhere",
        "/static/review.css",
        "/static/none",
        "/sign-in",
    )
    for client in (ann.client, outsider):
        for path in paths:
            assert_headers(client.get(path, follow_redirects=False))
        for path in POST_PATHS:
            assert_headers(client.post(path))


def test_pages_are_kept_by_no_cache_and_files_are(ann):
    assert ann.client.get("/").headers["cache-control"] == "no-store"
    style = next(each for each in ann.get("/").all("link") if each.attributes["rel"] == "stylesheet")
    assert "immutable" in ann.client.get(style.attributes["href"]).headers["cache-control"]
    assert ann.client.get("/static/none").headers["cache-control"] == "no-store"


def test_a_fault_is_a_sentence_without_details_and_is_logged(office, ann, caplog, monkeypatch):
    def fail(*_):
        raise RuntimeError("secret detail")

    for method in ("page", "view", "listed"):
        monkeypatch.setattr(type(office.desk), method, fail)
    check = office.drop("7")
    for path in ("/", "/list/rejected", f"/bin?bin=7&check={check.check}"):
        answer = ann.client.get(path)
        assert (answer.status_code, "secret detail" in answer.text) == (500, False)
        assert "Something failed here" in answer.text
        assert_headers(answer)
    assert caplog.text.count("secret detail") >= 3


def test_a_fault_outside_the_pages_bears_the_headers_too(caplog):
    async def broken(scope, receive, send):
        raise RuntimeError("secret detail")

    answer = TestClient(SecurityHeaders(broken, "https://images.test", https=True)).get("/")
    assert (answer.status_code, answer.text) == (500, "Something failed here.\n")
    assert_headers(answer)
    assert "strict-transport-security" in answer.headers
    assert "secret detail" in caplog.text
