"""What SNS is handed: a subject that it takes, and attributes that say all that there is to filter on."""

from dataclasses import replace

import pytest

from inventory.alerts import SUBJECT_LIMIT, attributes, sentence, subject
from inventory.check import Alert, Check

MISMATCH = Check(
    "1", "", "a/b", "mismatch", "2026-03-01T12:00:00.000+00:00", expected=3, predicted=2, difference=-1,
    direction="missing", suspicion=0.25, severity="medium",
)  # fmt: skip


@pytest.mark.parametrize("length", range(SUBJECT_LIMIT - 14, SUBJECT_LIMIT - 6))
def test_a_subject_is_shorter_than_sns_allows_and_no_shorter_than_it_has_to_be(length):
    said = subject("x" * length)
    whole = f"bincheck: {'x' * length}"
    assert said == whole if len(whole) < SUBJECT_LIMIT else len(said) == SUBJECT_LIMIT - 1 and said.endswith("...")


def test_a_number_that_is_zero_can_be_filtered_on():
    zero = attributes(Alert("mismatch", replace(MISMATCH, difference=0, suspicion=0.0), 1))
    assert (zero["difference"]["StringValue"], zero["suspicion"]["StringValue"]) == ("0", "0")
    unknown = attributes(Alert("rejected", replace(MISMATCH, difference=None, suspicion=None), 1))
    assert not {"difference", "suspicion"} & set(unknown)


def test_an_email_states_both_counts_the_chance_of_a_wrong_record_and_the_image():
    assert sentence(Alert("mismatch", replace(MISMATCH, image="s3://inbox/bin-images/1.jpg"), 1)) == (
        "Bin 1: the image shows 2 and the record says 3, 1 missing. "
        "Chance that the record is wrong: 25% (medium severity). Image: s3://inbox/bin-images/1.jpg"
    )
