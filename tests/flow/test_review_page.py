"""The review page of the stack: the built function behind the HTTP API, with sign-in on Cognito's hosted pages."""

import re
from html import unescape
from urllib.parse import urlencode, urlsplit

import httpx
import pytest

from local.stack.reviewers import one_time_password

REVIEWER = "ann@example.com"
PASSWORD = "Correct-Horse-9"


class Loopback(httpx.HTTPTransport):
    """Finds every name on this machine, as browsers do with names under localhost."""

    def handle_request(self, request):
        here = request.url.copy_with(host="127.0.0.1")
        return super().handle_request(
            httpx.Request(
                request.method, here, headers=request.headers, stream=request.stream, extensions=request.extensions
            )
        )


class Browser(httpx.Client):
    def __init__(self, url: str) -> None:
        super().__init__(base_url=url, transport=Loopback(), follow_redirects=True, timeout=60)

    def submit(self, page: httpx.Response, path: str, **fields: str) -> httpx.Response:
        """Send the first form of a page that leads to a path, with some fields filled in."""
        forms = re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', page.text, re.DOTALL)
        action, form = next(each for each in forms if urlsplit(each[0]).path == path)
        hidden = {
            name: unescape(value)
            for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
        }
        return self.post(page.url.join(unescape(action)), data=hidden | fields)

    def sign_in(self, email: str, password: str, path: str = "/") -> httpx.Response:
        """What the page at a path becomes for somebody who has signed in on the hosted pages."""
        login = self.get(path)
        assert login.url.path == "/oauth2/authorize", login.text
        page = self.submit(login, "/login", username=email, password=password)
        if "new_password" in page.text:
            page = self.submit(page, "/login", new_password=PASSWORD, confirm_password=PASSWORD)
        return page


@pytest.fixture
def browser(stack):
    return lambda: Browser(stack.outputs["ReviewUrl"])


@pytest.fixture
def mismatch(warehouse):
    warehouse.photograph("7", warehouse.image_of(3))
    warehouse.report("7", 5)
    return warehouse.check("7")


def address(check):
    return f"/bin?{urlencode({'bin': check.bin, 'check': check.check})}"


def test_a_reviewer_signs_in_lists_the_queue_answers_and_signs_out(browser, stack, warehouse, mismatch):
    ann = browser()
    site = f"/?{urlencode({'site': warehouse.site})}"
    queue = ann.sign_in(REVIEWER, one_time_password(stack, REVIEWER), site)
    assert (queue.status_code, queue.url.raw_path.decode()) == (200, site)
    assert mismatch.bin in queue.text
    page = ann.get(address(mismatch))
    assert REVIEWER in page.text
    image = unescape(re.findall(r'<img[^>]*src="(http[^"]+)"', page.text)[0])
    assert f"{urlsplit(image).scheme}://{urlsplit(image).netloc}" in page.headers["content-security-policy"]
    assert httpx.get(image).headers["content-type"] in ("image/jpeg", "binary/octet-stream")
    ann.submit(page, "/answer", answer="number", actual="3", note="three red boxes")
    reviewed = stack.checks.find(mismatch.subject, mismatch.check)
    (finding,) = stack.checks.list_findings(mismatch.subject, mismatch.check)
    assert (reviewed.actual, finding.reviewer, finding.note) == (3, REVIEWER, "three red boxes")
    assert mismatch.bin not in ann.get(site).text.split("<h1>")[1]
    undone = ann.submit(ann.get("/"), "/take-back")
    assert undone.status_code == 200
    assert stack.checks.list_findings(mismatch.subject, mismatch.check) == []
    left = ann.submit(undone, "/sign-out")
    ended = ann.get(left.headers["refresh"].split("url=")[1])
    assert ended.url.path == "/oauth2/authorize", "signed out there, and asked to sign in again here"


@pytest.mark.parametrize("removed", [True, False])
def test_a_session_of_a_user_who_was_removed_or_disabled_shows_and_changes_nothing(browser, stack, mismatch, removed):
    email, dora = f"dora{removed}@example.com", browser()
    dora.follow_redirects = False
    login = dora.get(dora.get(address(mismatch)).headers["location"])
    page = dora.submit(login, "/login", username=email, password=one_time_password(stack, email))
    back = dora.submit(page, "/login", new_password=PASSWORD, confirm_password=PASSWORD).headers["location"]
    assert dora.get(back).headers["location"] == address(mismatch)
    pools, pool = stack.cloud.user_pools(), stack.outputs["ReviewUserPoolId"]
    (pools.admin_delete_user if removed else pools.admin_disable_user)(UserPoolId=pool, Username=email)
    assert urlsplit(dora.get(address(mismatch)).headers["location"]).path == "/oauth2/authorize"
    assert dora.post("/answer", data={"actual": "3"}).status_code == 401


def test_without_a_session_nothing_is_shown_or_changed(browser, stack, mismatch):
    stranger = browser()
    for path in ("/", address(mismatch), "/next", "/figures", "/list/rejected"):
        answer = stranger.get(path)
        assert answer.url.path == "/oauth2/authorize"
        assert mismatch.bin not in answer.text
    refused = stranger.post("/answer", data={"bin": mismatch.bin, "check": mismatch.check, "actual": "3"})
    assert refused.status_code == 401
    assert stack.checks.list_findings(mismatch.subject, mismatch.check) == []


def test_the_hosted_pages_let_in_users_of_the_pool_only(browser, stack):
    password = one_time_password(stack, "bob@example.com")
    for email, tried in (("bob@example.com", "Wrong-Horse-9999"), ("mallory@example.com", password)):
        answer = browser().sign_in(email, tried)
        assert "Incorrect username or password" in answer.text
    pool = stack.outputs["ReviewUserPoolId"]
    stack.cloud.user_pools().admin_delete_user(UserPoolId=pool, Username="bob@example.com")
    assert "Incorrect username or password" in browser().sign_in("bob@example.com", password).text


def test_a_code_is_bought_once_and_by_the_browser_that_began_only(browser, stack):
    ann, thief = browser(), browser()
    ann.follow_redirects = thief.follow_redirects = False
    login = ann.get(ann.get("/").headers["location"])
    page = ann.submit(
        login, "/login", username="carol@example.com", password=one_time_password(stack, "carol@example.com")
    )
    back = ann.submit(page, "/login", new_password=PASSWORD, confirm_password=PASSWORD).headers["location"]
    thief.get("/")
    assert thief.get(back).status_code == 403
    cookies = list(ann.cookies.jar)
    assert ann.get(back).status_code == 303
    assert ann.get(back).status_code == 403
    for cookie in cookies:
        thief.cookies.jar.set_cookie(cookie)
    assert thief.get(back).status_code == 403
    assert thief.get("/").status_code == 303
