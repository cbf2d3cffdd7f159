"""What reviewers see and do: lists, a bin, the answer, undo; and nobody's text is more than text."""

import io
import json
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inventory.alert_text import visible
from inventory.claims import CLAIM_LIFE
from review.app import NOTE_LIMIT
from review.desk import ITEMS_SHOWN, STRIP_LENGTH, STRIP_READ
from review.words import age, percent, reason
from tests.builders import BUCKET, image_of, metadata
from tests.review.conftest import bin_of

DAY = timedelta(days=1)


def queue_of(page):
    """The bins of the queue's page."""
    return [element.text.strip() for element in page.all("th") if element.attributes.get("scope") == "row"]


# Lists


def test_the_queue_shows_the_most_suspicious_first_and_how_many_are_left(office, ann):
    for bin, recorded in (("near", 4), ("far", 6), ("right", 3), ("middle", 5)):
        office.drop(bin, recorded=recorded)
    page = ann.get("/")
    checks = [office.warehouse.store.find_current(bin) for bin in queue_of(page)]
    assert {check.bin for check in checks} == {"near", "far", "middle"}
    assert [check.suspicion for check in checks] == sorted((check.suspicion for check in checks), reverse=True)
    assert "3 to review" in page.text


def test_the_queue_is_filtered(office, ann):
    severity = office.drop("BOS1/a", recorded=5).severity
    office.warehouse.clock += 3 * DAY
    office.drop("BOS2/b", recorded=2)
    for query, bins in {
        "site=BOS1": {"BOS1/a"},
        "direction=extra": {"BOS2/b"},
        f"direction=missing&severity={severity}": {"BOS1/a"},
        "severity=none-of-ours&since=soon": {"BOS1/a", "BOS2/b"},
        "since=1d": {"BOS2/b"},
        "site=BOS9": set(),
    }.items():
        assert set(queue_of(ann.get(f"/?{query}"))) == bins


def test_filters_stay_from_the_queue_to_the_bins_and_over_an_answer(office, ann):
    for number in range(3):
        office.drop(f"BOS1/{number}")
    office.drop("BOS2/other", recorded=6)
    page = ann.press(ann.get("/?site=BOS1"), "Start reviewing")
    for _ in range(2):
        assert bin_of(page).startswith("BOS1/")
        page = ann.press(page, "The record is right")
    assert "site=BOS1" in page.path


def test_the_pages_of_the_queue_show_each_bin_once(office, ann):
    for number in range(27):
        office.drop(f"bin{number:02d}", recorded=4 + number % 3)
    first = ann.get("/")
    second = ann.press(first, "Next page")
    shown = queue_of(first) + queue_of(second)
    assert (len(queue_of(first)), len(set(shown)), len(shown)) == (25, 27, 27)
    assert not any(link.text == "Next page" for link in second.all("a"))


def test_other_lists_say_what_is_wrong_and_what_to_do(office, ann):
    office.drop("broken", record=b'{"EXPECTED_QUANTITY": "three"}')
    office.warehouse.drop("bin-images/alone.jpg", image_of(3))
    office.warehouse.clock += timedelta(hours=1)
    office.warehouse.watchdog()
    unclear = office.drop("dark")
    ann.press(ann.get(f"/bin?bin=dark&check={unclear.check}"), "Cannot tell")
    assert 'EXPECTED_QUANTITY is "three", not a whole number' in ann.get("/list/rejected").text
    assert "The metadata never came." in ann.get("/list/unpaired").text
    assert queue_of(ann.get("/list/unclear")) == ["dark"]
    ann.get("/list/state", status=404)


def test_a_list_reads_the_newest_only(office):
    for number in range(4):
        office.drop(f"bin{number}", record=b"no JSON")
        office.warehouse.clock += DAY
    since, until = office.warehouse.clock - 7 * DAY, office.warehouse.clock
    assert [check.bin for check in office.warehouse.store.list_newest("rejected", since, until, 2)] == ["bin3", "bin2"]


# A bin


def test_a_bin_shows_record_image_probabilities_and_reason(office, ann):
    check = office.drop("BOS1/7")
    page = ann.get(f"/bin?bin=BOS1/7&check={check.check}")
    assert "The model counts 3: 2 missing. It gives the recorded 5 a chance of 1%." in page.text
    assert "Test item" in page.text
    (image,) = page.all("img")
    assert image.attributes["src"].startswith("https://inbox.s3")
    assert "response-content-type=image%2Fjpeg" in image.attributes["src"]
    assert len(page.all("meter")) == 7
    assert [row.text.split()[0] for row in page.all("tr") if "recorded" in row.attributes.get("class", "")] == [
        "51%recorded"
    ]


def test_a_bin_shows_what_was_recorded_seen_and_found_before(office, ann):
    first = office.drop("7")
    ann.press(ann.get(f"/bin?bin=7&check={first.check}"), "4")
    office.warehouse.clock += DAY
    second = office.warehouse.drop("bin-images/7.jpg", image_of(2))
    page = ann.get(f"/bin?bin=7&check={second.check}")
    assert "1 d ago: recorded 5, seen 3, found 4" in page.text
    assert bin_of(ann.press(page, "1 d ago")) == "7"


def test_a_bin_with_a_long_history_costs_no_more(office, ann):
    client, calls = office.warehouse.table.meta.client, []
    check = office.drop("old")
    table = office.warehouse.table
    template = table.get_item(Key={"bin": "old", "check": check.check})["Item"]

    def page_and_calls():
        calls.clear()
        page = ann.get(f"/bin?bin=old&check={check.check}")
        return page, sorted(calls)

    client.meta.events.register("before-call.dynamodb", lambda model, **_: calls.append(model.name))
    assert page_and_calls()[1] == ["GetItem", "PutItem", "Query"]
    for history in (STRIP_READ, 2 * STRIP_READ):
        with table.batch_writer() as batch:
            for number in range(history):  # of some time before, of names that come before and after
                batch.put_item({**template, "check": f"{number * 0x9E3779B1 % 2**32:08x}/{number:032x}"})
        for number in range(STRIP_LENGTH + 1):
            office.warehouse.clock += DAY
            office.warehouse.drop("metadata/old.json", metadata(history + number))
        page, made = page_and_calls()
        assert made == [*["GetItem"] * (2 + STRIP_LENGTH + 1), "PutItem", *["Query"] * 3]
        strip = [row.text for row in page.all("span") if "ago: recorded" in row.text]
        assert [row.partition(" ago")[0] for row in strip] == ["under 1 min", *(f"{days} d" for days in range(1, 8))]


def test_an_image_that_is_gone_is_a_sentence(office, ann):
    check = office.drop("7")
    office.warehouse.s3.delete_object(Bucket=BUCKET, Key="bin-images/7.jpg")
    page = ann.get(f"/bin?bin=7&check={check.check}")
    assert "The image is not in its bucket any more" in page.text
    assert not page.all("img")
    ann.press(page, "Cannot tell")
    assert office.found(check) == [None]


def test_an_image_that_was_replaced_is_not_shown_as_the_one_that_was_checked(office, ann):
    check = office.drop("7")
    office.warehouse.put("bin-images/7.jpg", image_of(1))
    assert "another was uploaded since" in ann.get(f"/bin?bin=7&check={check.check}").text


def test_a_record_that_cannot_be_read_any_more_is_a_sentence(office):
    check = office.drop("7")
    for record in (b"gone", b"{", b"[]", b'{"BIN_FCSKU_DATA": [1]}', b"[" * 100_000, b"\xff"):
        office.desk = replace(office.desk, s3=SwappedRecord(office.warehouse.s3, record))
        page = office.reviewer().get(f"/bin?bin=7&check={check.check}")
        assert "The record cannot be read any more" in page.text
        assert "The record is right: 5" in page.text


class SwappedRecord:
    """S3, where every metadata file holds these bytes under the version that was checked."""

    def __init__(self, s3, content):
        self._s3, self._content = s3, content

    def __getattr__(self, name):
        return getattr(self._s3, name)

    def get_object(self, **place):
        stored = self._s3.get_object(**place)
        stored["Body"]._raw_stream = io.BytesIO(self._content)
        return stored


def test_items_of_any_shape_are_shown(office, ann):
    items = {
        "a": {"name": "x" * 5_000, "quantity": 10**30, "length": {"value": 10**400, "unit": "IN"}},
        "b": {"quantity": None, "length": {"value": 2, "unit": "IN"}, "width": {"value": "3.14159", "unit": {}}},
        "c": 7,
        "d": {"name": {"deep": [1]}, "length": {"value": float("nan"), "unit": "IN"}},
    }
    check = office.drop("7", record=json.dumps({"EXPECTED_QUANTITY": 5, "BIN_FCSKU_DATA": items}).encode())
    page = ann.get(f"/bin?bin=7&check={check.check}")
    assert "x" * 200 + "…" in page.text
    assert "x" * 201 not in page.text
    assert str(10**30) in page.text


def test_a_megabyte_of_items_is_cut(office, ann):
    items = {str(number): {"name": f"<b>{number}</b>", "quantity": 1} for number in range(20_000)}
    record = json.dumps({"EXPECTED_QUANTITY": 5, "BIN_FCSKU_DATA": items}).encode()
    assert 900_000 < len(record) < 1_048_576
    check = office.drop("7", record=record)
    page = ann.get(f"/bin?bin=7&check={check.check}")
    assert f"and {20_000 - ITEMS_SHOWN:,} more" in page.text
    assert len(page.html) < 50_000


# The answer


@pytest.mark.parametrize(
    ("button", "fields", "actual"),
    [
        ("The record is right", {}, 5),
        ("0", {}, 0),
        ("9", {}, 9),
        ("Set", {"actual": "12"}, 12),
        ("Cannot tell", {}, None),
    ],
)
def test_an_answer_is_kept_with_who_when_and_the_note(office, ann, button, fields, actual):
    check = office.drop("7")
    page = ann.press(ann.get("/"), "Start reviewing")
    ann.press(page, button, note=" behind the box ", **fields)
    (finding,) = office.findings(check)
    assert (finding.actual, finding.reviewer, finding.note) == (actual, "ann", " behind the box ")
    assert finding.reviewed_at.startswith("2026-03-01T12")


def test_what_is_no_count_is_refused_in_a_sentence(office, ann):
    check = office.drop("7")
    page = ann.press(ann.get("/"), "Start reviewing")
    for actual in ("", "-1", "1.5", "three", "100001", "9" * 4_000, "٣", "²"):
        assert "Say a whole number from 0 to 100,000" in ann.press(page, "Set", status=400, actual=actual).text
    assert office.found(check) == []


def test_enter_in_a_field_never_says_that_the_record_is_right(office, ann):
    office.drop("7")
    page = ann.press(ann.get("/"), "Start reviewing")
    form = next(each for each in page.all("form") if "answers" in each.attributes.get("class", ""))
    first = next(each for each in page.all("button") if each.form is form)
    assert (first.attributes["name"], first.attributes["value"]) == ("answer", "number")


def test_the_next_bin_follows_an_answer_and_at_the_end_the_queue_does(office, ann):
    for bin in "abc":
        office.drop(bin)
    page, seen = ann.press(ann.get("/"), "Start reviewing"), []
    while page.path.startswith("/bin"):
        seen.append(bin_of(page))
        page = ann.press(page, "The record is right")
        assert f"Bin {seen[-1]}: 5 found." in page.text
    assert sorted(seen) == ["a", "b", "c"]
    assert "All is reviewed." in page.text


def test_an_answer_is_undone_and_the_bin_shown_again(office, ann):
    checks = {bin: office.drop(bin) for bin in "ab"}
    page = ann.press(ann.get("/"), "Start reviewing")
    bin = bin_of(page)
    undone = ann.press(ann.press(page, "The record is right"), "Undo")
    assert bin_of(undone) == bin
    assert office.found(checks[bin]) == []
    assert "Undo" not in undone.text
    assert "2 to review" in ann.get("/").text


def test_a_review_of_another_day_can_be_taken_back_at_its_bin(office, ann):
    check = office.drop("7")
    ann.press(ann.press(ann.get("/"), "Start reviewing"), "4")
    bob = office.reviewer("bob")
    page = bob.get(f"/bin?bin=7&check={check.check}")
    assert "ann: 4 found" in page.text
    bob.press(page, "Take the last one back")
    assert office.found(check) == []


def test_what_cannot_be_undone_is_a_sentence(office, ann):
    office.drop("7")
    page = ann.press(ann.press(ann.get("/"), "Start reviewing"), "4")
    ann.press(page, "Undo")
    assert "nobody has reviewed this check" in ann.press(page, "Undo", status=409).text


def test_undo_takes_no_other_answer_back_than_the_one_it_names(office, ann):
    check = office.drop("7")
    page = ann.press(ann.press(ann.get("/"), "Start reviewing"), "4")
    bob = office.reviewer("bob")
    office.warehouse.clock += timedelta(seconds=1)
    bob.press(bob.get(f"/bin?bin=7&check={check.check}"), "3")
    assert "reviewed again since" in ann.press(page, "Undo", status=409).text
    assert office.found(check) == [4, 3]


def test_an_answer_is_undone_though_the_bin_was_checked_again(office, ann):
    check = office.drop("7")
    page = ann.press(ann.press(ann.get("/"), "Start reviewing"), "4")
    office.warehouse.drop("metadata/7.json", metadata(4))
    assert "recorded 5" in ann.press(page, "Undo").text
    assert office.found(check) == []
    assert "1 to review" in ann.get("/").text


# The audit


@pytest.mark.parametrize("recorded", [3, 5], ids=["match", "mismatch"])
def test_the_second_look_at_an_audited_check_is_blind(office, ann, recorded):
    """Its page and its row are those of a check that nobody has answered, until people agree."""
    office.drop("7", shown=2, recorded=recorded)
    office.warehouse.workflow = replace(office.warehouse.workflow, audit_share=1.0)
    office.warehouse.clock += DAY
    check = office.warehouse.drop("bin-images/7.jpg", image_of(3))
    bob, address = office.reviewer("bob"), f"/bin?bin=7&check={check.check}"
    before = [bob.get(path) for path in ("/", address)]
    office.desk.claims.release(check.subject, "bob")
    ann.press(ann.get(address), "4", note="two are white")
    office.desk.claims.release(check.subject, "ann")
    assert [[bob.get(path).text, bob.get(path).structure] for path in ("/", address)] == [
        [page.text, page.structure] for page in before
    ]
    bob.press(bob.get(address), "4")
    assert office.found(check) == [4, 4]
    for browser in (ann, office.reviewer("carol")):
        page = browser.get(address)
        assert "ann: 4 found, two are white" in page.text
        assert "bob: 4 found" in page.text
    assert "0 to review" in ann.get("/").text if recorded == 3 else True


def test_no_other_page_of_the_bin_gives_the_first_answer_away(office, ann):
    office.warehouse.workflow = replace(office.warehouse.workflow, audit_share=1.0)
    checks = [office.drop("7", recorded=recorded) for recorded in (5, 6)]
    ann.press(ann.get(f"/bin?bin=7&check={checks[0].check}"), "4")
    bob = office.reviewer("bob")
    assert all("found" not in bob.get(f"/bin?bin=7&check={check.check}").text for check in checks)
    again = ann.press(ann.get("/?since=7d"), "Start reviewing")
    assert "found" not in again.text, "nor does one's own, when it comes again"


def test_a_second_look_is_claimed(office, ann):
    office.warehouse.workflow = replace(office.warehouse.workflow, audit_share=1.0)
    check = office.drop("7", recorded=3)
    address = f"/bin?bin=7&check={check.check}"
    ann.press(ann.get(address), "4")
    office.warehouse.clock += 2 * CLAIM_LIFE
    ann.get(address)
    assert "Somebody else is reviewing this bin" in office.reviewer("bob").get(address).text


def test_skipped_bins_come_again_only_to_whoever_begins_again(office, ann):
    for bin in "abc":
        office.drop(bin)
    page, seen = ann.press(ann.get("/"), "Start reviewing"), []
    while page.path.startswith("/bin"):
        seen.append(bin_of(page))
        page = ann.press(page, "Skip s")
    assert sorted(seen) == ["a", "b", "c"]
    assert "Nothing more is free" in page.text
    assert bin_of(ann.press(page, "Start reviewing")) == seen[0]


def test_the_bin_after_the_next_is_loaded_ahead(office, ann):
    for bin in "ab":
        office.drop(bin)
    page = ann.press(ann.get("/"), "Start reviewing")
    (form,) = (each for each in page.all("form") if "data-ahead" in each.attributes)
    ahead = ann.client.get(form.attributes["data-ahead"], follow_redirects=False)
    following = ann.press(page, "The record is right")
    assert ahead.headers["location"] == following.all("img")[0].attributes["src"]


# Two reviewers


def test_two_reviewers_do_not_get_the_same_bin(office, ann):
    for bin in "abcd":
        office.drop(bin)
    bob, seen = office.reviewer("bob"), []
    pages = {browser: browser.press(browser.get("/"), "Start reviewing") for browser in (ann, bob)}
    for _ in range(2):
        for browser in (ann, bob):
            seen.append(bin_of(pages[browser]))
            pages[browser] = browser.press(pages[browser], "The record is right")
    assert sorted(seen) == ["a", "b", "c", "d"]


def test_a_bin_that_another_reviewer_looks_at_says_so_and_is_free_when_the_claim_lapses(office, ann):
    check = office.drop("7")
    bob, address = office.reviewer("bob"), f"/bin?bin=7&check={check.check}"
    ann.get(address)
    assert "Somebody else is reviewing this bin" in bob.get(address).text
    assert "Nothing more is free" in bob.press(bob.get("/"), "Start reviewing").text
    office.warehouse.clock += CLAIM_LIFE
    assert bin_of(bob.press(bob.get("/"), "Start reviewing")) == "7"


def test_a_skipped_bin_is_free_for_others(office, ann):
    office.drop("7")
    ann.press(ann.press(ann.get("/"), "Start reviewing"), "Skip s")
    bob = office.reviewer("bob")
    assert bin_of(bob.press(bob.get("/"), "Start reviewing")) == "7"


def test_a_second_answer_stands_beside_the_first(office, ann):
    check = office.drop("7")
    address = f"/bin?bin=7&check={check.check}"
    bob = office.reviewer("bob")
    for browser, count in ((ann, "4"), (bob, "3")):
        browser.press(browser.get(address), count)
    assert office.found(check) == [4, 3]


# Figures


def test_the_figures_show_the_reviews_of_alerts_and_of_the_audit(office, ann):
    office.warehouse.workflow = replace(office.warehouse.workflow, audit_share=1.0)
    for bin, recorded, actual in (("a", 5, "3"), ("b", 5, "The record is right"), ("c", 3, "The record is right")):
        check = office.drop(bin, recorded=recorded)
        for browser in (ann, office.reviewer("bob")):
            browser.press(browser.get(f"/bin?bin={bin}&check={check.check}"), actual)
    page = ann.get("/figures")
    rows = {row.text.split("(")[0].strip() for row in page.all("tr")}
    assert "Reviewed at random3" in rows
    assert "Records that are wrong33.3%" in rows
    assert "Model counts right66.7%" in rows
    assert "medium250.0%" in rows
    assert "3 checks reviewed in 30 days, 3 of them today." in page.text


# Limits and hostile text


def test_a_long_note_is_cut_and_a_longer_form_refused(office, ann):
    check = office.drop("7")
    address = f"/bin?bin=7&check={check.check}"
    ann.press(ann.get(address), "4", note="n" * (NOTE_LIMIT + 1))
    assert [len(finding.note) for finding in office.findings(check)] == [NOTE_LIMIT]
    assert "shorten the note" in ann.press(ann.get(address), "4", status=413, note="n" * 20_000).text


HIDDEN = {"Cc", "Cf", "Co", "Zl", "Zp"}
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "</title></textarea><!--",
    "{{ 7*7 }}{% include '/etc/passwd' %}",
    "javascript:alert(1)",
    "\x1b[31m\x1b]8;;http://evil.test\x07",
    "\u202egnp.exe\u2066\u200f\ufeff",
    "&lt;b&gt;&#60;&amp",
    "\r\nSet-Cookie: a=b",
    "a\nb\tc\x00d",
    "é\u0301" * 30,
)
texts = st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(st.characters(exclude_categories=["Cs"]), max_size=20)))
hostile = texts.map("".join).filter(bool)
names = hostile.filter(lambda text: len(text.encode()) <= 40)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=names, item=hostile, note=hostile)
@example("<i onclick=a()>'\"{{1}}", "".join(HOSTILE), "".join(HOSTILE))
@example("\u202e\x1b[31m&lt;\r\n\x00", "javascript:alert(1)", "<!--")
def test_text_of_others_is_text(office, name, item, note):
    if not office.structures:
        office.structures = [page.structure for page in _pages_of(office, "site", "item", "note")]
    for page, structure in zip(_pages_of(office, name.replace("/", "|"), item, note), office.structures, strict=True):
        assert page.structure == structure
        assert not {unicodedata.category(one) for one in page.text.replace("\n", "")} & HIDDEN
        for name in ("href", "src", "action"):
            leads = [element.attributes[name] for element in page.elements if name in element.attributes]
            assert all(link.startswith(("/", "#", "https://inbox.s3.amazonaws.com/")) for link in leads)


def _pages_of(office, name, item, note):
    """Each page that shows a bin of that name, with that item and that note."""
    office.warehouse.clock += 40 * DAY
    moment = office.warehouse.clock.date()
    record = {"EXPECTED_QUANTITY": 5, "BIN_FCSKU_DATA": {item: {"name": item, "quantity": item}}}
    dropped = office.drop(f"{moment}", record=json.dumps(record).encode())
    check = office.rename(dropped, f"{name}/{name} {moment}")
    browser = office.reviewer(name.replace(";", ""))
    queue = browser.get("/")
    shown = browser.press(queue, "Start reviewing")
    answered = browser.press(shown, "4", note=note)
    (finding,) = office.findings(check)
    assert (finding.actual, finding.note, finding.reviewer) == (4, note, name.replace(";", ""))
    query = urlencode({"bin": check.bin, "check": check.check})
    return [queue, shown, answered, browser.get(f"/bin?{query}")]


def test_an_answer_for_a_name_that_fills_a_cookie_is_kept_and_can_be_taken_back(office, ann):
    check = office.rename(office.drop("7"), "\x1b" * 900)
    page = ann.press(ann.press(ann.get("/"), "Start reviewing"), "4")
    assert max(len(cookie.value) for cookie in ann.client.cookies.jar) < 4_000
    assert "Undo" not in page.text
    ann.press(ann.get(f"/bin?{urlencode({'bin': check.bin, 'check': check.check})}"), "Take the last one back")
    assert office.found(check) == []


# Words


@pytest.mark.parametrize(
    ("share", "words"), [(0.0, "0%"), (0.001, "<1%"), (0.006, "1%"), (0.5, "50%"), (0.996, ">99%"), (1.0, "100%")]
)
def test_a_share_that_is_not_nothing_is_not_called_so(share, words):
    assert percent(share) == words


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "under 1 min"), (59, "under 1 min"), (60, "1 min"), (7_300, "2 h"), (200_000, "2 d")]
)
def test_an_age_in_its_largest_unit(seconds, words):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert age((now - timedelta(seconds=seconds)).isoformat(), now) == words


def test_the_open_label_stands_for_its_recorded_count(office):
    assert "gives the recorded 8 a chance of 1%" in reason(office.drop("7", recorded=8))


def test_the_reason_says_where_the_count_takes_the_past_into_account(office):
    check = office.drop("7", recorded=8)
    remembered = reason(replace(check, compared_with="0" * 32))
    assert remembered.startswith(reason(check))
    assert remembered.endswith("how the model erred on this bin before.")


def test_what_shows_nothing_is_shown():
    assert visible("a\u202eb\x1bc") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}c"
