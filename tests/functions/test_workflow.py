import math
from dataclasses import replace
from datetime import timedelta

import pytest

from inventory.check_items import is_check
from inventory.check_store import CheckStore
from inventory.errors import RejectedUpload, RetryLater
from inventory.inbox import IMAGE_LIMIT_BYTES
from inventory.metadata import METADATA_LIMIT_BYTES
from inventory.uploads import Removal
from tests.builders import BUCKET, LABELS, distribution, image_of, item, metadata, metadata_of, seen, upload
from tests.functions.conftest import TIMEOUT

IMAGE, RECORD = "BOS1/bin-images/523.jpg", "BOS1/metadata/523.json"


def statuses(warehouse, bin="BOS1/523"):
    return [check.status for check in warehouse.checks(bin)]


def open_checks(warehouse, open_list):
    hour = timedelta(hours=1)
    return [check.bin for check in warehouse.store.list_open(open_list, warehouse.clock - hour, warehouse.clock + hour)]


# Pairing: either part first, twice, together, again later


@pytest.mark.parametrize("order", [(IMAGE, RECORD), (RECORD, IMAGE)])
def test_second_upload_of_a_pair_triggers_the_check(warehouse, order):
    content = {IMAGE: image_of(3), RECORD: metadata(3)}
    assert warehouse.drop(order[0], content[order[0]]).status == "waiting"
    assert warehouse.drop(order[1], content[order[1]]).status == "match"
    assert statuses(warehouse) == ["match"]
    assert warehouse.alerts() == []


def test_both_uploads_at_once_make_one_check(warehouse):
    image, record = warehouse.put(IMAGE, image_of(3)), warehouse.put(RECORD, metadata(5))
    assert warehouse.workflow.process(image).status == "mismatch"
    assert warehouse.workflow.process(record).status == "mismatch"
    assert statuses(warehouse) == ["mismatch"]
    assert len(warehouse.alerts()) == 1


def test_events_and_uploads_that_come_twice_change_nothing(warehouse):
    for key, content in ((IMAGE, image_of(3)), (RECORD, metadata(5))) * 2:
        again = warehouse.put(key, content)
        warehouse.workflow.process(again)
        warehouse.workflow.process(again)
    assert statuses(warehouse) == ["mismatch"]
    assert len(warehouse.alerts()) == 1


def test_a_png_pairs_with_its_metadata(warehouse):
    warehouse.drop("bin-images/7.png", image_of(2))
    assert warehouse.drop("metadata/7.json", metadata(2)).status == "match"


def test_a_missing_part_is_missing_though_s3_cannot_repeat_its_key_in_xml(warehouse):
    assert warehouse.drop("bin-images/\x1b[31m.jpg", image_of(3)).status == "waiting"
    assert warehouse.drop("metadata/\x1b[31m.json", metadata(3)).status == "match"


def test_sites_keep_bins_of_the_same_id_apart(warehouse):
    warehouse.drop("BOS1/bin-images/523.jpg", image_of(3))
    assert warehouse.drop("ATL2/metadata/523.json", metadata(3)).status == "waiting"
    assert warehouse.drop("metadata/523.json", metadata(3)).status == "waiting"


def test_a_replaced_image_and_a_corrected_record_are_checks_of_their_own(warehouse):
    warehouse.drop(IMAGE, image_of(3))
    warehouse.drop(RECORD, metadata(5))
    warehouse.clock += timedelta(minutes=1)
    warehouse.drop(IMAGE, image_of(4))
    warehouse.clock += timedelta(minutes=1)
    warehouse.drop(RECORD, metadata(4))
    assert statuses(warehouse) == ["mismatch", "mismatch", "match"]
    assert [alert["predicted"] for alert in warehouse.alerts()] == [3, 4, 4]


def test_only_the_newest_check_of_a_bin_stays_open(warehouse):
    warehouse.drop(IMAGE, image_of(3))
    warehouse.drop(RECORD, metadata(5))
    assert open_checks(warehouse, "mismatch") == ["BOS1/523"]
    warehouse.drop(RECORD, metadata(3))
    assert open_checks(warehouse, "mismatch") == []
    warehouse.drop(RECORD, metadata(5))
    assert open_checks(warehouse, "mismatch") == ["BOS1/523"]


def test_recorded_and_seen_volume_are_kept_and_alerted(warehouse):
    warehouse.workflow = replace(
        warehouse.workflow, count=lambda *image: replace(seen(*image), volume_in3=90.5, volume_error=0.4)
    )
    warehouse.drop(IMAGE, image_of(3))
    warehouse.drop(RECORD, metadata_of(5, item(5, 2, 3, 4)))
    (check,), (alert,) = warehouse.checks("BOS1/523"), warehouse.alerts()
    assert (check.expected_volume_in3, check.predicted_volume_in3) == (120, 90.5)
    assert (alert["expected_volume_in3"], alert["predicted_volume_in3"]) == (120, 90.5)


def test_an_old_event_that_comes_late_does_not_undo_the_newer_check(warehouse):
    warehouse.drop(RECORD, metadata(4))
    late = warehouse.put(IMAGE, image_of(3))
    warehouse.drop(IMAGE, image_of(4))
    assert warehouse.workflow.process(late).status == "match"
    assert statuses(warehouse) == ["match"]
    assert warehouse.alerts() == []


def test_an_image_replaced_while_it_is_counted_is_not_recorded(warehouse):
    warehouse.drop(RECORD, metadata(4))

    def slow(content, inference_id):
        if content == image_of(3):
            replace(warehouse.workflow, count=seen).process(warehouse.put(IMAGE, image_of(4)))
        return seen(content)

    stalled = replace(warehouse.workflow, count=slow)
    assert stalled.process(warehouse.put(IMAGE, image_of(3))).predicted == 4
    assert statuses(warehouse) == ["match"]
    assert warehouse.alerts() == []


def test_an_upload_whose_event_does_not_fit_the_bucket_is_checked_as_it_lies_there(warehouse):
    warehouse.put(IMAGE, image_of(3))
    warehouse.put(RECORD, metadata(3))
    assert warehouse.workflow.process(upload(IMAGE, b"an invented event")).status == "match"


# What is recorded and said


def test_a_mismatch_is_recorded_and_alerted_with_all_that_a_subscriber_needs(warehouse):
    warehouse.drop(IMAGE, image_of(3))
    check = warehouse.drop(RECORD, metadata(5))
    assert warehouse.store.find(check.subject, check.check) == replace(
        check,
        suspicion=round(check.suspicion, 6),
        probabilities={label: round(share, 4) for label, share in check.probabilities.items()},
        alerted_at="2026-03-01T12:00:00.000+00:00",
    )
    (alert,) = warehouse.alerts()
    attributes = alert.pop("attributes")
    assert alert == {
        "check_id": check.check_id,
        "bin": "BOS1/523",
        "kind": "mismatch",
        "expected": 5,
        "predicted": 3,
        "interval": [3, 3],
        "difference": -2,
        "suspicion": check.suspicion,
        "severity": check.severity,
        "probabilities": dict(check.probabilities),
        "expected_volume_in3": None,
        "predicted_volume_in3": None,
        "image": "s3://inbox/BOS1/bin-images/523.jpg",
        "metadata": "s3://inbox/BOS1/metadata/523.json",
        "model": "test@0",
        "compared_with": None,
        "checked_at": "2026-03-01T12:00:00.000+00:00",
        "reason": None,
        "resolves": None,
        "link": None,
        "alert_id": alert["alert_id"],
        "revision": int(warehouse.clock.timestamp()) + 1,
    }
    assert len(alert["alert_id"]) == 32
    assert attributes == {
        "kind": "mismatch",
        "severity": check.severity,
        "direction": "missing",
        "site": "BOS1",
        "difference": "-2",
        "suspicion": f"{check.suspicion:.6g}",
    }


def test_matches_expire_and_mismatches_stay(warehouse):
    warehouse.drop("bin-images/1.jpg", image_of(3))
    warehouse.drop("metadata/1.json", metadata(3))
    warehouse.drop(IMAGE, image_of(3))
    warehouse.drop(RECORD, metadata(5))
    scanned = warehouse.table.scan()["Items"]
    expiry = {item["bin"]: item.get("expires_at") for item in scanned if is_check(item)}
    assert expiry == {"1": int((warehouse.clock + timedelta(days=90)).timestamp()), "BOS1/523": None}


# What is wrong with an upload


@pytest.mark.parametrize(
    ("image", "record", "reason"),
    [
        (image_of(3), b"{", "metadata/1.json is not JSON"),
        (image_of(3), metadata("three"), 'EXPECTED_QUANTITY is "three"'),
        (b"", metadata(3), "bin-images/1.jpg is empty"),
        (image_of(3), b"", "metadata/1.json is empty"),
        (b"x" * 6_291_457, metadata(3), "6,291,457 bytes and at most 6,291,456"),
        (image_of(3), b" " * 1_048_577, "metadata/1.json has 1,048,577 bytes"),
    ],
    ids=["not-json", "mistyped", "empty-image", "empty-metadata", "image-too-large", "metadata-too-large"],
)
def test_a_bad_upload_is_rejected_with_its_reason_and_alerted_once(warehouse, image, record, reason):
    warehouse.drop("bin-images/1.jpg", image)
    check = warehouse.drop("metadata/1.json", record)
    assert check.status == "rejected"
    assert reason in check.reason
    warehouse.workflow.process(upload("bin-images/1.jpg", image))
    (alert,) = warehouse.alerts()
    assert (alert["kind"], alert["reason"]) == ("rejected", check.reason)
    assert open_checks(warehouse, "rejected") == ["1"]


def test_files_of_exactly_the_limit_are_checked(warehouse):
    whole = image_of(3).ljust(IMAGE_LIMIT_BYTES)
    warehouse.workflow = replace(warehouse.workflow, count=lambda content, _: seen(content.rstrip()))
    warehouse.drop(IMAGE, whole)
    assert warehouse.drop(RECORD, metadata(3).ljust(METADATA_LIMIT_BYTES)).status == "match"


def test_an_image_that_the_model_refuses_is_rejected_but_the_record_is_known(warehouse):
    def refuse(content, inference_id):
        raise RejectedUpload("the image cannot be counted: the JPEG ends too early")

    workflow = replace(warehouse.workflow, count=refuse)
    workflow.process(warehouse.put(IMAGE, image_of(3)))
    check = workflow.process(warehouse.put(RECORD, metadata(3)))
    assert (check.status, check.expected, check.reason) == (
        "rejected",
        3,
        "the image cannot be counted: the JPEG ends too early",
    )


def test_a_key_without_a_place_is_rejected_under_its_own_name(warehouse):
    stray = warehouse.put("notes/read me.txt", b"hello")
    warehouse.workflow.process(stray)
    warehouse.workflow.process(stray)
    assert statuses(warehouse, "notes/read me.txt") == ["rejected"]
    assert len(warehouse.alerts()) == 1


def test_a_name_of_control_characters_is_alerted_under_a_subject_that_sns_takes(warehouse, monkeypatch):
    published = []
    warehouse.drop("\x1b[31m/bin-images/\0\x07.jpg\n", b"")
    monkeypatch.setattr(warehouse.outbox.alerts._sns, "publish", lambda **message: published.append(message))
    warehouse.outbox.send()
    assert published[0]["Subject"].startswith("Bin ?[31m/bin-images/??.jpg?: not checked")
    assert published[0]["Subject"].isprintable()


def test_an_upload_deleted_before_its_check_is_rejected_and_its_partner_waits(warehouse):
    warehouse.drop(RECORD, metadata(3))
    image = warehouse.put(IMAGE, image_of(3))
    warehouse.s3.delete_object(Bucket="inbox", Key=IMAGE)
    assert warehouse.workflow.process(image).status == "rejected"
    assert sorted(statuses(warehouse)) == ["rejected", "waiting"]
    assert open_checks(warehouse, "waiting") == ["BOS1/523"]


def test_deleted_metadata_is_named_as_metadata(warehouse):
    record = warehouse.put(RECORD, metadata(3))
    warehouse.s3.delete_object(Bucket="inbox", Key=RECORD)
    check = warehouse.workflow.process(record)
    assert (check.status, check.image, check.metadata) == ("rejected", None, f"s3://inbox/{RECORD}")


def test_an_upload_deleted_after_its_check_is_not_rejected(warehouse):
    warehouse.drop(RECORD, metadata(3))
    image = warehouse.put(IMAGE, image_of(3))
    warehouse.workflow.process(image)
    warehouse.s3.delete_object(Bucket="inbox", Key=IMAGE)
    assert warehouse.workflow.process(image).status == "match"
    assert warehouse.alerts() == []


def test_a_waiting_upload_that_is_deleted_waits_no_longer(warehouse):
    image = warehouse.put(IMAGE, image_of(3))
    warehouse.workflow.process(image)
    warehouse.s3.delete_object(Bucket="inbox", Key=IMAGE)
    assert warehouse.workflow.process(image).status == "rejected"
    assert statuses(warehouse) == ["rejected"]
    assert open_checks(warehouse, "waiting") == []


def test_an_upload_that_expires_or_is_deleted_ends_its_wait_and_reports_nothing(warehouse):
    warehouse.drop(IMAGE, image_of(3))
    warehouse.s3.delete_object(Bucket=BUCKET, Key=IMAGE)
    assert warehouse.workflow.process(Removal(BUCKET, IMAGE)) is None
    warehouse.clock += TIMEOUT
    assert (warehouse.state("BOS1/523").lone, warehouse.watchdog(), warehouse.alerts()) == (None, [], [])


def test_a_checked_bin_whose_files_expire_one_by_one_keeps_its_answer_and_waits_for_nothing(warehouse):
    for key, content in ((IMAGE, image_of(3)), (RECORD, metadata(5))):
        warehouse.drop(key, content)
    warehouse.alerts()
    for key in (IMAGE, RECORD):
        warehouse.s3.delete_object(Bucket=BUCKET, Key=key)
        warehouse.workflow.process(Removal(BUCKET, key))
        warehouse.clock += TIMEOUT
        assert warehouse.watchdog() == []
    assert statuses(warehouse) == ["mismatch"]
    assert warehouse.alerts() == []


def test_an_upload_that_is_undone_in_a_bucket_with_versions_makes_the_check_before_it_current_again(warehouse):
    warehouse.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    warehouse.drop(IMAGE, image_of(3))
    warehouse.drop(RECORD, metadata(3))
    warehouse.drop(RECORD, metadata(5))
    newest = warehouse.s3.head_object(Bucket=BUCKET, Key=RECORD)["VersionId"]
    warehouse.s3.delete_object(Bucket=BUCKET, Key=RECORD, VersionId=newest)
    assert warehouse.workflow.process(Removal(BUCKET, RECORD)).status == "match"
    assert [alert["kind"] for alert in warehouse.alerts()] == ["mismatch", "resolved"]


def test_a_removed_key_outside_the_layout_is_no_business_of_anybody(warehouse):
    assert warehouse.workflow.process(Removal(BUCKET, "notes.txt")) is None
    assert warehouse.table.scan()["Items"] == []


def test_a_pair_that_is_whole_again_waits_no_longer(warehouse):
    image, record = warehouse.put(IMAGE, image_of(3)), warehouse.put(RECORD, metadata(3))
    warehouse.workflow.process(record)
    warehouse.s3.delete_object(Bucket="inbox", Key=RECORD)
    assert warehouse.workflow.process(image).status == "waiting"
    warehouse.put(RECORD, metadata(3))
    assert warehouse.workflow.process(image).status == "match"
    assert statuses(warehouse) == ["match"]
    assert open_checks(warehouse, "waiting") == []


# Faults in the middle


def test_a_failing_endpoint_leaves_nothing_and_the_retry_makes_the_check(warehouse):
    def down(content, inference_id):
        raise RetryLater("endpoint counter failed")

    warehouse.drop(IMAGE, image_of(3))
    record = warehouse.put(RECORD, metadata(5))
    with pytest.raises(RetryLater):
        replace(warehouse.workflow, count=down).process(record)
    assert statuses(warehouse) == ["waiting"]
    assert warehouse.workflow.process(record).status == "mismatch"
    assert statuses(warehouse) == ["mismatch"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [False, True], ids=["before-the-commit", "after-the-commit"])
def test_a_checker_killed_anywhere_is_healed_by_the_retry(warehouse, monkeypatch, after):
    warehouse.drop(IMAGE, image_of(3))
    record = warehouse.put(RECORD, metadata(5))
    commit = CheckStore.commit

    def dying(*args):
        if after:
            commit(*args)
        raise Killed

    with monkeypatch.context() as broken:
        broken.setattr(CheckStore, "commit", dying)
        with pytest.raises(Killed):
            warehouse.workflow.process(record)
    warehouse.workflow.process(record)
    warehouse.workflow.process(record)
    assert statuses(warehouse) == ["mismatch"]
    assert len(warehouse.alerts()) == 1


# The memory of a bin


@pytest.fixture
def overlooking(warehouse):
    """Has the model overlook two objects of every bin."""

    def count(image, inference_id):
        shown = seen(image).count - 2
        shares = [math.exp(-0.5 * ((label - shown) / 1.2) ** 2) for label in range(len(LABELS))]
        return distribution(*(share / sum(shares) for share in shares))

    warehouse.workflow = replace(warehouse.workflow, count=count)


def update(warehouse, count, recorded=None):
    """Replace both files of the bin. Returns the check of the new pair."""
    warehouse.clock += timedelta(hours=2)
    warehouse.drop(IMAGE, image_of(count))
    return warehouse.drop(RECORD, metadata(count if recorded is None else recorded))


def test_an_error_that_a_person_corrected_is_not_repeated(warehouse, overlooking):
    first = update(warehouse, 4)
    assert (first.status, first.predicted, first.compared_with) == ("mismatch", 2, None)
    warehouse.review(first, 4)
    second = update(warehouse, 5)
    assert (second.status, second.predicted, second.compared_with) == ("match", 4, first.check_id)
    assert second.interval[0] <= 5 <= second.interval[1]
    alone = warehouse.workflow.count(image_of(5), "").probabilities
    assert list(second.probabilities_alone.values()) == pytest.approx(alone, abs=1e-4)
    assert second.probabilities["4"] == max(second.probabilities.values()) > second.probabilities_alone["4"]
    assert "probabilities_alone" not in warehouse.alerts()[-1]
    assert warehouse.store.find(second.subject, second.check) == second


def test_a_confirmed_check_is_found_behind_an_update_that_nobody_confirmed(warehouse, overlooking):
    first = update(warehouse, 4)
    warehouse.review(first, 4)
    update(warehouse, 6, recorded=1)
    assert update(warehouse, 5).compared_with == first.check_id


def test_a_new_image_of_a_record_that_stays_is_remembered(warehouse, overlooking):
    first = update(warehouse, 4)
    warehouse.review(first, 4)
    warehouse.clock += timedelta(hours=2)
    again = warehouse.drop(IMAGE, image_of(4) + b" ")
    assert (again.status, again.compared_with) == ("match", first.check_id)


def test_what_nobody_confirmed_is_not_remembered(warehouse, overlooking):
    update(warehouse, 4)
    second = update(warehouse, 5)
    assert (second.status, second.predicted, second.compared_with) == ("mismatch", 3, None)
    assert warehouse.alerts()[-1]["compared_with"] is None


def test_an_alert_names_the_check_that_its_count_takes_into_account(warehouse, overlooking):
    first = update(warehouse, 4)
    warehouse.review(first, 4)
    wrong = update(warehouse, 5, recorded=1)
    alert = warehouse.alerts()[-1]
    assert (alert["kind"], alert["predicted"], alert["difference"]) == ("mismatch", 4, 3)
    assert alert["compared_with"] == wrong.compared_with == first.check_id


def test_a_recheck_remembers_no_check_of_its_own_contents(warehouse, overlooking):
    check = update(warehouse, 4)
    warehouse.workflow = replace(warehouse.workflow, count=lambda image, _: replace(seen(image), model="test@1"))
    again = warehouse.workflow.process(replace(upload(IMAGE, image_of(4)), recheck=True))
    assert (again.check, again.compared_with) == (f"{check.check}/test@1", None)
