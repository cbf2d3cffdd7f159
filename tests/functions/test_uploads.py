import json

import pytest

from inventory.uploads import UnreadableEvent, read_message, read_notification
from tests.builders import notification, upload


def test_an_upload_comes_back_from_its_event():
    sent = upload("s1/bin-images/523.jpg", b"x")
    assert read_message(json.dumps(notification(sent))) == [sent]


def test_keys_are_decoded_exactly_once():
    sent = upload("Köln +1/bin-images/50%25 é.jpg", b"x")
    assert read_notification(notification(sent))[0].key == "Köln +1/bin-images/50%25 é.jpg"


def test_a_version_id_is_preferred_to_the_etag():
    event = notification(upload("metadata/1.json", b"x"))
    event["Records"][0]["s3"]["object"]["versionId"] = "v7"
    assert read_notification(event)[0].version == "v7"


def test_shorter_sequencers_compare_as_if_padded_with_zeros():
    event = notification(upload("a", b"x"), upload("a", b"y"))
    event["Records"][0]["s3"]["object"]["sequencer"] = "0055AED6DCD90281E5"
    event["Records"][1]["s3"]["object"]["sequencer"] = "0055aed6dcd90281e50A"
    older, newer = read_notification(event)
    assert older.sequencer < newer.sequencer


def test_the_test_event_and_folder_markers_report_no_upload():
    assert read_notification({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inbox"}) == []
    assert read_notification(notification(upload("bin-images/", b""))) == []


@pytest.mark.parametrize(
    "body",
    [
        *("", "not json", "[]", "3", "9" * 4301, "[" * 100_000, "NaN"),
        *('{"Records": 3}', '{"Records": {}}', '{"Records": [{"s3": {}}]}', '{"Records": [null]}'),
    ],
    ids=lambda body: body[:40],
)
def test_what_is_no_notification_is_refused_with_one_error(body):
    with pytest.raises(UnreadableEvent):
        read_message(body)


@pytest.mark.parametrize(
    "told",
    [
        {"key": ""},
        {"key": 7},
        {"key": "bin-images/\ud800.jpg"},
        {"key": "x" * 1025},
        {"versionId": ["v7"]},
        {"versionId": "v" * 512},
        {"eTag": '""'},
        {"eTag": 1e999},
        {"sequencer": "none"},
        {"sequencer": "0" * 65},
        {"sequencer": 10**400},
    ],
    ids=lambda told: f"{told}"[:40],
)
def test_what_s3_cannot_have_said_of_an_object_is_refused(told):
    event = notification(upload("bin-images/1.jpg", b"x"))
    event["Records"][0]["s3"]["object"] |= told
    with pytest.raises(UnreadableEvent):
        read_message(json.dumps(event))


@pytest.mark.parametrize("bucket", ["", "a/../b", "arn:aws:s3:us-east-1:1:accesspoint/p", None, "b" * 256])
def test_what_is_no_name_of_a_bucket_is_refused(bucket):
    event = notification(upload("bin-images/1.jpg", b"x"))
    event["Records"][0]["s3"]["bucket"]["name"] = bucket
    with pytest.raises(UnreadableEvent):
        read_message(json.dumps(event))
