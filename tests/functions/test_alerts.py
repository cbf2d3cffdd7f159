"""What SNS is handed: a subject and a body for people, JSON for programs, and attributes to filter on."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.alert_text import REMEMBERED, SUBJECT_LIMIT, ascii_subject, body_text, count_text, subject
from inventory.alerts import attributes, sendable
from inventory.check import Alert, Check
from inventory.links import Links
from review.app import address

MISMATCH = Check(
    "BOS1/523", "BOS1", "a/b", "mismatch", "2026-03-01T12:00:00.000+00:00", expected=3, predicted=2, difference=-1,
    direction="missing", suspicion=0.25, severity="medium", image="s3://inbox/BOS1/bin-images/523.jpg",
    metadata="s3://inbox/BOS1/metadata/523.json", probabilities={"2": 0.7, "3": 0.2, "4": 0.06, "5+": 0.04},
)  # fmt: skip
REJECTED = replace(MISMATCH, status="rejected", reason="BOS1/metadata/523.json is not JSON", probabilities=None)
WAITING = Check("BOS1/523", "BOS1", "a/-", "waiting", MISMATCH.checked_at, severity="medium", image=MISMATCH.image)
MATCH = replace(MISMATCH, status="match", expected=5, predicted=5, probabilities={"5+": 1.0})
ALERTS = {
    "mismatch": Alert("mismatch", MISMATCH, 1),
    "rejected": Alert("rejected", REJECTED, 2),
    "unpaired": Alert("unpaired", WAITING, 3),
    "resolved": Alert("resolved", MATCH, 4),
}
HOSTILE = st.text(
    st.characters(codec="utf-8") | st.sampled_from("\n\r\0\x1b\x85\u2028\u202e\u2066\u200f\ufeff"), max_size=200
)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("mismatch", "Bin BOS1/523: recorded 3, seen 2, suspicion 25%"),
        ("rejected", "Bin BOS1/523: not checked: BOS1/metadata/523.json is not JSON"),
        ("unpaired", "Bin BOS1/523: its metadata is missing"),
        ("resolved", "Bin BOS1/523: in order again, recorded 5, seen 5+"),
    ],
)
def test_a_subject_names_the_bin_and_what_was_recorded_and_seen(kind, expected):
    assert subject(ALERTS[kind]) == expected


@pytest.mark.parametrize(
    ("suspicion", "said"),
    [(0.0, "0%"), (0.001, "under 1%"), (0.006, "1%"), (0.994, "99%"), (0.997, "over 99%"), (1.0, "100%")],
)
def test_a_chance_is_not_called_none_or_certain_unless_it_is(suspicion, said):
    assert subject(Alert("mismatch", replace(MISMATCH, suspicion=suspicion), 1)).endswith(f", suspicion {said}")


def test_a_long_name_leaves_room_for_the_counts_and_the_suspicion():
    said = subject(Alert("mismatch", replace(MISMATCH, bin=f"{'x' * 200}/523"), 1))
    assert len(said) == SUBJECT_LIMIT - 1
    assert said.startswith("Bin ...xxx")
    assert said.endswith("x/523: recorded 3, seen 2, suspicion 25%")


def test_an_email_says_what_how_sure_and_why_what_to_do_and_where():
    link = "https://review.example/bin?bin=BOS1%2F523&check=a%2Fb"
    assert body_text(ALERTS["mismatch"], link).splitlines() == [
        "Bin BOS1/523: the record says 3, the image shows 2: 1 missing.",
        "Chance that the record is wrong: 25% (medium severity).",
        "Why: the model gives 2 a probability of 70%, and the recorded 3 a probability of 20%.",
        "What to do: look at the image, and store what you find: on the review page, or with `bincheck resolve`.",
        "",
        f"Link: {link}",
        "Image: s3://inbox/BOS1/bin-images/523.jpg",
        "Metadata: s3://inbox/BOS1/metadata/523.json",
        f"Check: {MISMATCH.check_id}, 2026-03-01T12:00:00.000+00:00",
    ]


def test_an_email_says_where_the_count_takes_the_past_into_account():
    remembered = replace(MISMATCH, compared_with="0" * 32)
    alone, told = (body_text(Alert("mismatch", check, 1), None).splitlines() for check in (MISMATCH, remembered))
    assert told[3] == REMEMBERED
    assert REMEMBERED not in alone


def test_an_email_compares_the_volumes_where_both_are_known():
    known = replace(MISMATCH, expected_volume_in3=1234.4, predicted_volume_in3=90.5)
    assert "Volume: 90 in³ seen, 1,234 recorded." in body_text(Alert("mismatch", known, 1), None)


@given(kind=st.sampled_from(sorted(ALERTS)), name=HOSTILE.filter(bool), reason=HOSTILE)
def test_no_name_and_no_reason_adds_a_line_or_changes_the_text_around_it(kind, name, reason):
    alert = ALERTS[kind]
    hostile = replace(
        alert, check=replace(alert.check, bin=name, reason=reason, image=f"s3://inbox/{name}.jpg", metadata=None)
    )
    link = Links("https://review.example", "us-east-1").link(hostile.check)
    text = body_text(hostile, link)
    plain = body_text(replace(alert, check=replace(alert.check, metadata=None)), link)
    assert len(text.splitlines()) == text.count("\n") + 1 == len(plain.splitlines())
    assert not {unicodedata.category(one) for one in text.replace("\n", "")} & {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    text.encode()
    said = subject(hostile)
    assert 0 < len(said) < SUBJECT_LIMIT
    assert said.isascii()
    assert said.isprintable()
    assert said.startswith("Bin ")
    assert link.isascii()
    assert link.isprintable()
    assert " " not in link


@pytest.mark.parametrize("length", [SUBJECT_LIMIT - 2, SUBJECT_LIMIT - 1, SUBJECT_LIMIT])
def test_a_subject_is_cut_only_where_it_has_to_be(length):
    said = ascii_subject("x" * length)
    assert said == "x" * length if length < SUBJECT_LIMIT else len(said) == SUBJECT_LIMIT - 1 and said.endswith("...")


def test_a_link_leads_to_the_review_page_of_the_check():
    check = replace(MISMATCH, bin="BOS 1/5&2?3#ü", check="a+b/c=")
    assert Links("https://review.example/", "us-east-1").link(check) == f"https://review.example{address(check)}"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us-east-1", "us-east-1.console.aws.amazon.com"),
        ("cn-north-1", "cn-north-1.console.amazonaws.cn"),
        ("us-gov-west-1", "us-gov-west-1.console.amazonaws-us-gov.com"),
    ],
)
def test_without_a_review_page_a_link_leads_to_the_image_in_the_console(region, host):
    check = replace(MISMATCH, image="s3://inbox/A&B/bin-images/5 2+3#?.jpg")
    assert Links(None, region).link(check) == (
        f"https://{host}/s3/object/inbox?region={region}&prefix=A%26B%2Fbin-images%2F5%202%2B3%23%3F.jpg"
    )


def test_an_upload_that_waits_has_no_review_page():
    assert Links("https://review.example", "us-east-1").link(WAITING).startswith("https://us-east-1.console.")
    assert Links("https://review.example").link(WAITING) is None


def test_a_number_that_is_zero_can_be_filtered_on():
    zero = attributes(Alert("mismatch", replace(MISMATCH, difference=0, suspicion=0.0), 1))
    assert (zero["difference"]["StringValue"], zero["suspicion"]["StringValue"]) == ("0", "0")
    unknown = attributes(Alert("rejected", replace(MISMATCH, difference=None, suspicion=None), 1))
    assert not {"difference", "suspicion"} & set(unknown)


@given(site=HOSTILE.filter(bool))
def test_a_site_is_an_attribute_that_a_queue_takes(site):
    sent = attributes(Alert("mismatch", replace(MISMATCH, site=site), 1))["site"]["StringValue"]
    assert not {one for one in sent if one < " " and one not in "\t\n\r"} | ({"\ufffe", "\uffff"} & set(sent))
    assert len(sent) == len(site)
    assert sent == site or not site.isprintable()
    assert sendable(sent) == sent == sendable(site)


@pytest.mark.parametrize(
    ("predicted", "interval", "text"),
    [
        (None, None, "-"),
        (3, None, "3"),
        (3, (3, 3), "3"),
        (3, (2, 5), "3 (2 to 5)"),
        (3, (2, 3), "3 (2 to 3)"),
        (9, (7, None), "9 (7 or more)"),
        (9, (9, None), "9 (9 or more)"),
        (10, None, "10+"),
        (10, (10, None), "10+"),
        (10, (8, None), "10+ (8 or more)"),
    ],
)
def test_a_count_is_told_with_its_interval_where_that_says_more(predicted, interval, text):
    assert count_text(predicted, {**dict.fromkeys("0123456789", 0.05), "10+": 0.5}, interval) == text
