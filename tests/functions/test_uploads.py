import json
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.uploads import OtherEvent, Removal, UnreadableEvent, Upload, read_message, read_notification
from local.stack import backfill
from tests.builders import eventbridge_event, notification, sns_message, upload
from tests.keys import KEYS

S3_EVENTS = {
    Upload: (
        *("ObjectCreated:Put", "ObjectCreated:Post", "ObjectCreated:Copy", "ObjectCreated:CompleteMultipartUpload"),
        "ObjectRestore:Completed",
    ),
    Removal: (
        *("ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated"),
        *("LifecycleExpiration:Delete", "LifecycleExpiration:DeleteMarkerCreated"),
    ),
    OtherEvent: (
        *("ObjectRestore:Post", "ObjectRestore:Delete", "ReducedRedundancyLostObject", "LifecycleTransition"),
        *("IntelligentTiering", "ObjectTagging:Put", "ObjectTagging:Delete", "ObjectAcl:Put"),
        *("Replication:OperationFailedReplication", "Replication:OperationMissedThreshold"),
        *("Replication:OperationReplicatedAfterThreshold", "Replication:OperationNotTracked"),
        "SomethingNew:In2030",
    ),
}
"""All event types of the S3 User Guide, by what they mean here."""
REASONS = ("PutObject", "POST Object", "CopyObject", "CompleteMultipartUpload")
DELETIONS = product(("DeleteObject", "Lifecycle Expiration"), ("Permanently Deleted", "Delete Marker Created"))
EVENTBRIDGE_EVENTS = {
    Upload: (
        *(("Object Created", {"reason": reason}) for reason in REASONS),
        ("Object Restore Completed", {"restore-expiry-time": "2026-03-02T00:00:00Z"}),
    ),
    Removal: tuple(("Object Deleted", {"reason": reason, "deletion-type": type}) for reason, type in DELETIONS),
    OtherEvent: tuple(
        (f"Object {name}", {})
        for name in (
            *("Restore Initiated", "Restore Expired", "Storage Class Changed", "Access Tier Changed"),
            *("ACL Updated", "Tags Added", "Tags Deleted", "Seen in 2030"),
        )
    ),
}
"""All detail types of the S3 User Guide, with the reasons of those that have several."""
WRAPPINGS = {
    "bare or raw": lambda told: told,
    "SNS": sns_message,
    "SNS that invokes": lambda told: {"Records": [{"EventSource": "aws:sns", "Sns": sns_message(told)}]},
}
SENT = upload("K\u00f6ln +1/bin-images/50%25 \u00e9.jpg", b"x")
NOTICES = [
    *((kind, name, notification(SENT, name=name)) for kind, names in S3_EVENTS.items() for name in names),
    *((kind, name, notification(SENT, name=f"s3:{name}")) for kind, names in S3_EVENTS.items() for name in names),
    *(
        (kind, name, eventbridge_event(SENT, name, **detail))
        for kind, told in EVENTBRIDGE_EVENTS.items()
        for name, detail in told
    ),
]


def meant(kind, name):
    return {Upload: SENT, Removal: Removal(SENT.bucket, SENT.key), OtherEvent: OtherEvent(name, SENT.key)}[kind]


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_every_event_of_s3_is_understood_on_every_way(wrapping):
    for kind, name, told in NOTICES:
        assert read_message(json.dumps(WRAPPINGS[wrapping](told))) == [meant(kind, name)], name


@pytest.mark.parametrize("wrapping", WRAPPINGS)
def test_the_records_of_one_notification_may_mean_different_things(wrapping):
    told = [(kind, names[0]) for kind, names in S3_EVENTS.items()]
    records = [record for _, name in told for record in notification(SENT, name=name)["Records"]]
    assert read_notification(WRAPPINGS[wrapping]({"Records": records})) == [meant(*each) for each in told]


def test_sns_may_invoke_with_several_messages():
    told = [{"Sns": sns_message(each)} for each in (notification(SENT), eventbridge_event(SENT))]
    assert read_notification({"Records": told}) == [SENT, SENT]


@given(
    key=KEYS.filter(lambda key: not key.endswith("/")),
    wrapping=st.sampled_from(sorted(WRAPPINGS)),
    name=st.sampled_from(["Created", "Deleted"]),
)
def test_any_key_comes_back_as_it_is_stored(key, wrapping, name):
    sent = replace(SENT, key=key)
    by_s3 = {"Created": "ObjectCreated:Put", "Deleted": "ObjectRemoved:Delete"}[name]
    for told in (notification(sent, name=by_s3), eventbridge_event(sent, f"Object {name}")):
        (event,) = read_message(json.dumps(WRAPPINGS[wrapping](told)))
        assert event == (sent if name == "Created" else Removal(sent.bucket, key))


def test_a_deletion_needs_neither_etag_nor_size():
    told, event = notification(SENT, name="ObjectRemoved:Delete"), eventbridge_event(SENT, "Object Deleted")
    for stored in (told["Records"][0]["s3"]["object"], event["detail"]["object"]):
        for name in ("eTag", "etag", "size"):
            stored.pop(name, None)
    assert read_notification(told) == read_notification(event) == [Removal(SENT.bucket, SENT.key)]


def test_eventbridge_names_versions_too():
    told = eventbridge_event(SENT)
    told["detail"]["object"]["version-id"] = "v7"
    assert read_notification(told)[0].version == "v7"


def test_a_message_of_a_backfill_is_an_upload():
    (read,) = read_message(backfill.message(SENT, recheck=True))
    assert (read.key, read.recheck) == (SENT.key, True)


@pytest.mark.parametrize("type", ["SubscriptionConfirmation", "UnsubscribeConfirmation"])
def test_a_message_of_sns_about_a_subscription_is_no_event_and_says_what_to_do(type):
    with pytest.raises(UnreadableEvent, match=f"{type} for arn:aws:sns:.*SubscribeURL"):
        read_message(json.dumps(sns_message("You have chosen to subscribe", type)))


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
    test_event, folder = (
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "inbox"},
        upload("bin-images/", b""),
    )
    told = test_event, notification(folder), eventbridge_event(folder), eventbridge_event(folder, "Object Deleted")
    for each, wrap in product(told, WRAPPINGS.values()):
        assert read_notification(wrap(each)) == []


@pytest.mark.parametrize(
    "body",
    [
        *("", "not json", "[]", "3", "9" * 4301, "[" * 100_000, "NaN"),
        *('{"Records": 3}', '{"Records": {}}', '{"Records": [{"s3": {}}]}', '{"Records": [null]}'),
        '{"Records": [{"eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": {}}]}',
        '{"Records": [{"eventName": 3, "s3": {"bucket": {"name": "b"}, "object": {"key": "k", "eTag": "e"}}}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": "k", "eTag": "e"}}}]}',
        '{"Records": [{"Sns": {}}]}',
        '{"Records": [{"Sns": 3}, {"s3": {}}]}',
        '{"source": "aws.s3"}',
        '{"source": "aws.s3", "detail-type": "Object Created", "detail": 3}',
        '{"source": "aws.s3", "detail-type": 3, "detail": {"object": {}}}',
        '{"source": "aws.ec2", "detail-type": "Object Created", "detail": {}}',
        *('{"TopicArn": 1}', '{"TopicArn": 1, "Type": "Notification"}'),
        *('{"TopicArn": 1, "Type": "Notification", "Message": 3}', '{"TopicArn": 1, "Type": {}}'),
        json.dumps(sns_message(sns_message({}))),
    ],
    ids=lambda body: body[:40],
)
def test_what_is_no_notification_is_refused_with_one_error(body):
    with pytest.raises(UnreadableEvent):
        read_message(body)
    with pytest.raises(UnreadableEvent):
        read_message(json.dumps({"Type": "Notification", "TopicArn": "t", "Message": body}))


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
    sent = upload("bin-images/1.jpg", b"x")
    by_s3, by_eventbridge = notification(sent), eventbridge_event(sent)
    by_s3["Records"][0]["s3"]["object"] |= told
    names = {"eTag": "etag", "versionId": "version-id"}
    by_eventbridge["detail"]["object"] |= {names.get(name, name): value for name, value in told.items()}
    for event in (by_s3, by_eventbridge):
        with pytest.raises(UnreadableEvent):
            read_message(json.dumps(event))


@pytest.mark.parametrize("bucket", ["", "a/../b", "arn:aws:s3:us-east-1:1:accesspoint/p", None, "b" * 256])
def test_what_is_no_name_of_a_bucket_is_refused(bucket):
    sent = replace(SENT, bucket=bucket)
    for event in (notification(sent), eventbridge_event(sent), eventbridge_event(sent, "Object Deleted")):
        with pytest.raises(UnreadableEvent):
            read_message(json.dumps(event))
