"""The page in Chromium, served by `bincheck review` from the embedded cloud."""

import itertools
import json
import statistics
from contextlib import ExitStack
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.flow.warehouse import Warehouse, wait_until
from tests.review.chromium import EXECUTABLE, chromium, review_command

pytestmark = [
    pytest.mark.xdist_group("deploying"),
    pytest.mark.skipif(EXECUTABLE is None, reason="no Chromium is installed: apt-get install chromium"),
]
PHONE = {"width": 375, "height": 740}
DESKTOP = {"width": 1280, "height": 800}
HOSTILE = "<img src=x onerror=alert(1)>\u202e'\"" + "&amp;long" * 12
_sites = itertools.count()


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def site(stack, endpoint):
    """A site of the inbox for the test alone."""
    return Warehouse(f"page{next(_sites)}", stack, endpoint, None)


@pytest.fixture(scope="module")
def addresses(cloud, stack):
    """Where two reviewers review, once each has used the token."""
    with ExitStack() as running:
        yield {name: running.enter_context(review_command(cloud.folder, name)) for name in ("ann", "bob")}


@pytest.fixture(scope="module")
def sessions(browser, addresses):
    """The cookies of the two reviewers."""
    sessions = {}
    for name, address in addresses.items():
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        assert page.title() == "Queue · bincheck"
        sessions[name] = context.storage_state()
        context.close()
    return sessions


@pytest.fixture
def open_page(browser, addresses, sessions):
    """Opens a page in a context of its own; at the end, none has run others' script or broken the page's policy."""
    with ExitStack() as opened:
        faults = []

        def open_page(path="/", reviewer="ann", **options):
            context = browser.new_context(
                **{"viewport": DESKTOP, "storage_state": sessions[reviewer], "base_url": base_of(addresses[reviewer])}
                | options
            )
            opened.callback(context.close)
            page = context.new_page()
            page.on("dialog", lambda dialog: faults.append(dialog.message) or dialog.dismiss())
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.on("console", lambda entry: faults.append(entry.text) if "Content Security" in entry.text else None)
            page.goto(path)
            return page

        yield open_page
        assert faults == []


def base_of(address):
    return address.partition("/sign-in")[0]


def drop(site, *ids, shown=3, recorded=5, record=None):
    """Bins with a check each."""
    for id in ids:
        site.photograph(id, site.image_of(shown))
        site.report(id, record or recorded)
    wait_until(lambda: all(status(site, id) == "mismatch" for id in ids), "each bin is checked")


def status(site, id):
    checks = site.checks(id)
    return checks[-1].status if checks else None


def bin_of(page):
    return parse_qs(urlsplit(page.url).query)["bin"][0].rpartition("/")[2]


def start(page):
    page.get_by_role("link", name="Start reviewing").click()
    page.wait_for_url("**/bin?*")


def found(site, id):
    (check,) = site.checks(id)
    return [(each.actual, each.note) for each in site.stack.checks.list_findings(check.subject, check.check)]


def press(page, *keys):
    """Press keys, and wait for the page that follows."""
    with page.expect_navigation():
        for key in keys:
            page.keyboard.press(key)
            page.wait_for_timeout(0)


def test_ten_bins_are_reviewed_by_keys_and_by_mouse(open_page, site):
    ids = [f"bin{number}" for number in range(10)]
    drop(site, *ids)
    page, expected = open_page(f"/?site={site.site}"), {}
    assert page.locator("h1").inner_text() == "10 to review"
    press(page, "Enter")
    answers = [
        (lambda: press(page, "r"), (5, "")),
        (lambda: press(page, "4"), (4, "")),
        (lambda: press(page, "0"), (0, "")),
        (lambda: press(page, "c"), (None, "")),
        (lambda: press(page, "o", "1", "2", "Enter"), (12, "")),
        (lambda: press(page, "n", "r", "7", "Enter", "9"), (9, "r7")),
        (lambda: page.get_by_role("button", name="The record is right").click(), (5, "")),
        (lambda: page.get_by_role("button", name="6", exact=True).click(), (6, "")),
        (lambda: page.get_by_role("button", name="Cannot tell").click(), (None, "")),
        (lambda: number_by_mouse(page, "33"), (33, "")),
    ]
    for answer, value in answers:
        bin = bin_of(page)
        expected[bin] = [value]
        assert page.locator("figure img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 64
        answer()
        page.wait_for_function("bin => !location.search.includes(bin)", arg=f"%2F{bin}&")
    assert page.get_by_text("All is reviewed.").is_visible()
    assert {id: found(site, id) for id in ids} == expected
    last = bin
    press(page, "u")
    assert (bin_of(page), found(site, last)) == (last, [])
    press(page, "3")
    assert found(site, last) == [(3, "")]


def number_by_mouse(page, number):
    page.get_by_label("Another number").fill(number)
    page.get_by_role("button", name="Set").click()


def test_a_held_key_answers_one_bin_and_help_and_zoom_are_a_key_away(open_page, site):
    drop(site, "a", "b")
    page = open_page(f"/?site={site.site}")
    start(page)
    first = bin_of(page)
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    page.keyboard.press("4")
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("z")
    page.locator("figure.zoomed").wait_for()
    page.locator("#keys-on").dispatch_event("keydown", {"key": "z"})  # it keeps the focus until the next frame
    page.locator("figure:not(.zoomed)").wait_for()
    with page.expect_navigation():
        page.keyboard.down("4")
    page.keyboard.down("4")  # without an up between: what the system sends while a key is held
    page.wait_for_timeout(200)
    page.keyboard.up("4")
    second = bin_of(page)
    page.keyboard.down("Control")
    page.keyboard.press("4")
    page.keyboard.up("Control")
    assert (found(site, first), found(site, second)) == ([(4, "")], [])


def test_keys_can_be_turned_off(open_page, site):
    drop(site, "a")
    page = open_page(f"/?site={site.site}")
    start(page)
    page.keyboard.press("?")
    page.get_by_label("React to these keys").uncheck()
    page.get_by_role("button", name="Close").click()
    page.keyboard.press("4")
    page.reload()
    page.keyboard.press("4")
    page.wait_for_timeout(300)
    assert found(site, "a") == []


def test_enter_on_a_link_follows_the_link(open_page, site):
    drop(site, "a", "b")
    page = open_page(f"/?site={site.site}")
    page.get_by_role("link", name=f"{site.site}/b").focus()
    press(page, "Enter")
    assert bin_of(page) == "b"


def test_the_queue_is_filtered_by_its_form(open_page, site):
    drop(site, "missing")
    drop(site, "extra", recorded=1)
    page = open_page("/")
    page.get_by_label("Site").fill(site.site)
    page.get_by_label("Direction").select_option("extra")
    with page.expect_navigation():
        page.get_by_role("button", name="Filter").click()
    assert page.locator("tbody th").all_inner_texts() == [f"{site.site}/extra"]
    start(page)
    assert bin_of(page) == "extra"


def test_two_reviewers_at_once_get_each_bin_once(open_page, site):
    ids = [f"bin{number}" for number in range(6)]
    drop(site, *ids)
    pages = [open_page(f"/?site={site.site}", reviewer) for reviewer in ("ann", "bob")]
    for page in pages:
        start(page)
    seen = []
    for _ in range(3):
        for page in pages:
            seen.append(bin_of(page))
            press(page, "4")
    assert sorted(seen) == ids
    assert all(found(site, id) == [(4, "")] for id in ids)


def test_a_hostile_bin_is_text_and_can_be_answered(open_page, site):
    item = {"name": f"<script>alert(1)</script>{HOSTILE}", "quantity": "<b>5</b>"}
    drop(site, HOSTILE, record=json.dumps({"EXPECTED_QUANTITY": 5, "BIN_FCSKU_DATA": {"a": item}}).encode())
    page = open_page(f"/?site={site.site}", viewport=PHONE)
    assert width(page) == PHONE["width"]
    start(page)
    assert "<img src=x onerror=alert(1)>" in page.locator("h1").inner_text()
    assert "\u202e" not in page.locator("body").inner_text()
    assert "<script>alert(1)</script>" in page.locator("table").first.inner_text()
    assert width(page) == PHONE["width"]
    page.get_by_label("Note").fill("<script>alert(2)</script>")
    page.get_by_role("button", name="4", exact=True).click()
    page.get_by_role("button", name="Undo").wait_for()
    assert found(site, HOSTILE) == [(4, "<script>alert(2)</script>")]


def test_a_deleted_image_is_a_sentence(open_page, site):
    drop(site, "a")
    s3 = site.stack.cloud.s3()
    s3.delete_object(Bucket=site.stack.inbox_bucket, Key=f"{site.site}/bin-images/a.jpg")
    page = open_page(f"/?site={site.site}")
    page.get_by_text("image gone").wait_for()
    start(page)
    assert page.get_by_text("The image is not in its bucket any more").is_visible()
    press(page, "c")
    assert found(site, "a") == [(None, "")]


def width(page):
    return page.evaluate("document.documentElement.scrollWidth")


def test_a_phone_scrolls_down_only(open_page, site):
    drop(site, "a", "b")
    page = open_page(f"/?site={site.site}", viewport=PHONE, has_touch=True, is_mobile=True)
    for path in (f"/?site={site.site}", "/list/rejected", "/list/unpaired", "/list/unclear", "/figures", "/nowhere"):
        page.goto(path)
        assert width(page) == PHONE["width"], path
    page.goto(f"/?site={site.site}")
    page.get_by_role("link", name="Start reviewing").tap()
    page.wait_for_url("**/bin?*")
    assert width(page) == PHONE["width"]
    boxes = [button.bounding_box() for button in page.locator("form.answers button:not(.default)").all()]
    assert all(box["height"] >= 44 and box["width"] >= 44 for box in boxes)


def test_it_works_without_javascript(open_page, site):
    drop(site, "a", "b", "c")
    page, seen = open_page(f"/?site={site.site}", java_script_enabled=False), []
    start(page)
    seen.append(bin_of(page))
    page.get_by_label("Another number").fill("11")
    press(page, "Enter")
    seen.append(bin_of(page))
    page.get_by_role("button", name="The record is right").click()
    seen.append(bin_of(page))
    page.get_by_role("button", name="Undo").click()
    assert bin_of(page) == seen[1]
    page.get_by_label("Note").fill("a note")
    press(page, "Enter")
    assert page.get_by_role("heading", name="Say a whole number").is_visible()
    assert [found(site, id) for id in seen] == [[(11, "")], [], []]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_serious_fault(open_page, site, scheme, viewport):
    drop(site, "a", "b")
    site.photograph("a", site.image_of(2))
    wait_until(lambda: len(site.checks("a")) == 2, "the second image is checked")
    page = open_page(f"/?site={site.site}", viewport=viewport, color_scheme=scheme, bypass_csp=True)
    start(page)
    press(page, "4")
    paths = [urlsplit(page.url)._replace(scheme="", netloc="").geturl(), f"/?site={site.site}", "/figures"]
    paths += ["/list/rejected", "/list/unclear", "/nowhere"]
    for path in paths:
        page.goto(path)
        assert grave_faults(page) == [], path
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    assert grave_faults(page) == []


def grave_faults(page):
    from axe_playwright_python.sync_playwright import Axe

    faults = Axe().run(page).response["violations"]
    return [(fault["id"], fault["help"]) for fault in faults if fault["impact"] in ("serious", "critical")]


def test_a_response_waits_for_no_acknowledgement(addresses, sessions):
    with httpx.Client(base_url=base_of(addresses["ann"])) as client:
        waits = [client.get("/nowhere").elapsed.total_seconds() for _ in range(9)]
    assert statistics.median(waits) < 0.03  # Nagle's algorithm holds every response back for 0.04 s


def test_signing_out_shuts_the_page(browser, cloud, stack):
    with review_command(cloud.folder, "carol") as address:
        context = browser.new_context()
        page = context.new_page()
        page.goto(address)
        page.get_by_role("button", name="Sign out").click()
        page.goto(base_of(address))
        assert "Open the address" in page.locator("body").inner_text()
        page.goto(address)
        assert "has been used" in page.locator("body").inner_text()
        context.close()
