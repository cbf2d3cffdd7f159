from dataclasses import replace

import pytest
from typer.testing import CliRunner

from inventory.uploads import read_message
from local.cli import backfill as commands
from local.cli.exits import INCOMPLETE
from local.cli.main import app
from local.stack import backfill
from local.stack.backfill import CannotBackfill, Location, enqueue, list_uploads, message
from local.stack.deployed_stack import NotDeployed
from local.stack.queues import QueueFailed, depth
from tests.builders import image_of, metadata, upload


def put(deployed, *keys):
    for key in keys:
        content = metadata(3) if "metadata" in key else image_of(3)
        deployed.cloud.s3().put_object(Bucket="inbox", Key=key, Body=content)


def sent(deployed):
    """The keys of all messages that wait in the backfill queue, which is empty then."""
    sqs, keys = deployed.cloud.sqs(), []
    while messages := sqs.receive_message(QueueUrl=deployed.backfill_queue_url, MaxNumberOfMessages=10).get("Messages"):
        keys += [one.key for each in messages for one in read_message(each["Body"])]
        for each in messages:
            sqs.delete_message(QueueUrl=deployed.backfill_queue_url, ReceiptHandle=each["ReceiptHandle"])
    return sorted(keys)


def run(deployed, address="s3://inbox", **options):
    return list(enqueue(deployed, Location.parse(address, deployed), **options))


@pytest.fixture
def small_pages(monkeypatch):
    monkeypatch.setattr(backfill, "KEYS_A_PAGE", 2)


@pytest.mark.parametrize("recheck", [False, True])
def test_the_checker_reads_a_message_as_the_upload_that_it_is_about(recheck):
    told = upload("Köln +1/bin-images/50%25 é.jpg", b"x")
    (read,) = read_message(message(told, recheck=recheck))
    assert (read.bucket, read.key, read.version, read.recheck) == (told.bucket, told.key, told.version, recheck)
    assert read.sequencer < told.sequencer


def test_each_image_and_each_metadata_file_without_one_is_looked_at(deployed, small_pages):
    put(deployed, "bin-images/1.jpg", "metadata/1.json", "metadata/2.json", "BOS1/bin-images/2.png", "notes.txt")
    pages = run(deployed)
    assert sent(deployed) == ["BOS1/bin-images/2.png", "bin-images/1.jpg", "metadata/2.json"]
    assert sum(page.strays for page in pages) == 1


def test_a_prefix_is_a_folder(deployed):
    put(deployed, "BOS1/bin-images/1.jpg", "BOS10/bin-images/2.jpg")
    run(deployed, "s3://inbox/BOS1")
    assert sent(deployed) == ["BOS1/bin-images/1.jpg"]


def test_an_interrupted_one_goes_on_after_the_last_page_and_a_finished_one_begins_anew(deployed, small_pages):
    put(deployed, *(f"bin-images/{id}.jpg" for id in range(5)), "metadata/0.json")
    interrupted = enqueue(deployed, Location.parse("s3://inbox", deployed))
    next(interrupted)
    interrupted.close()
    assert sent(deployed) == ["bin-images/0.jpg", "bin-images/1.jpg"]
    assert len(run(deployed, recheck=True)) == 3  # another matter, not resumed
    sent(deployed)
    run(deployed)
    assert sent(deployed) == ["bin-images/2.jpg", "bin-images/3.jpg", "bin-images/4.jpg"]
    run(deployed)
    assert len(sent(deployed)) == 5


def test_a_page_that_was_not_put_whole_is_put_again(deployed, small_pages, monkeypatch):
    put(deployed, *(f"bin-images/{id}.jpg" for id in range(4)))

    def refuse(*_):
        raise QueueFailed("the queue is full")

    with monkeypatch.context() as patch:
        patch.setattr(backfill, "send", refuse)
        with pytest.raises(QueueFailed):
            run(deployed)
    run(deployed)
    assert len(sent(deployed)) == 4


def test_a_place_as_long_as_a_key_is_resumed(deployed, small_pages):
    site = "/".join("b" * 240 for _ in range(4))
    put(deployed, *(f"{site}/bin-images/{id}.jpg" for id in range(4)))
    interrupted = enqueue(deployed, Location.parse(f"s3://inbox/{site}", deployed), recheck=True)
    next(interrupted)
    interrupted.close()
    assert len(run(deployed, f"s3://inbox/{site}", recheck=True)) == 1
    marker = backfill.Marker(deployed.table, Location("b" * 63, "k" * 1024), recheck=True)
    marker.put("k" * 1024)
    assert marker.read() == "k" * 1024


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("photos", "not s3://bucket"),
        ("s3://elsewhere/bins", "BackfillBucket=elsewhere"),
        ("s3://inbox", "holds nothing to check"),
    ],
)
def test_what_cannot_be_checked_is_refused_with_the_cure(deployed, address, reason):
    with pytest.raises(CannotBackfill, match=reason):
        list(list_uploads(deployed, Location.parse(address, deployed)))


@pytest.mark.parametrize("output", ["BackfillBucketName", "UploadsBucketName"])
def test_another_bucket_is_checked_once_the_stack_names_it(deployed, output):
    allowed = replace(deployed, outputs={**deployed.outputs, output: "elsewhere"})
    assert str(Location.parse("s3://elsewhere/bins", allowed)) == "s3://elsewhere/bins/"


def test_what_the_queue_refuses_for_a_moment_is_sent_again(deployed, monkeypatch):
    put(deployed, *(f"bin-images/{id}.jpg" for id in range(3)))
    sqs = deployed.cloud.sqs()
    plain, refusals = sqs.send_message_batch, [{"Id": "1", "Code": "ServiceUnavailable", "SenderFault": False}]

    def refusing(**request):
        if not refusals:
            return plain(**request)
        plain(**request | {"Entries": [entry for entry in request["Entries"] if entry["Id"] != "1"]})
        return {"Failed": [refusals.pop()]}

    monkeypatch.setattr(sqs, "send_message_batch", refusing)
    monkeypatch.setattr(type(deployed.cloud), "sqs", lambda _: sqs)
    run(deployed)
    assert depth(deployed, deployed.backfill_queue_url) == 3


# The command


@pytest.fixture
def bincheck(deployed, monkeypatch):
    monkeypatch.setattr(commands, "resolve_stack", lambda _: deployed)
    monkeypatch.setattr(backfill, "POLL_S", 0)
    return lambda *arguments: CliRunner(env={"COLUMNS": "200"}).invoke(app, ["backfill", "s3://inbox", *arguments])


def test_a_dry_run_counts_and_tells_cost_and_time_and_puts_nothing(deployed, bincheck):
    put(deployed, *(f"bin-images/{id}.jpg" for id in range(40)), "notes.txt")
    said = bincheck("--dry-run").output
    assert "40 bins below s3://inbox/; 1 files outside the layout" in said
    assert "0:00:06 (h:mm:ss) with 2 concurrent Checkers" in said
    assert depth(deployed, deployed.backfill_queue_url) == 0


def test_ctrl_c_while_the_cloud_works_leaves_the_rest_to_it(deployed, bincheck, monkeypatch):
    def interrupted(_):
        yield 1
        raise KeyboardInterrupt

    put(deployed, "bin-images/1.jpg")
    monkeypatch.setattr(commands, "follow", interrupted)
    ended = bincheck()
    assert ended.exit_code == INCOMPLETE
    assert "The rest is still checked" in ended.output


def test_what_fails_meanwhile_is_told(deployed, bincheck, monkeypatch):
    def failing(stack):
        stack.cloud.sqs().send_message(QueueUrl=stack.dead_letters_url, MessageBody="{}")
        yield 0

    put(deployed, "bin-images/1.jpg")
    monkeypatch.setattr(commands, "follow", failing)
    ended = bincheck()
    assert ended.exit_code == INCOMPLETE
    assert "1 messages ended in the dead letters" in ended.output


def test_a_stack_of_an_earlier_version_is_named(deployed):
    earlier = replace(deployed, outputs={"InboxBucketName": "inbox"})
    with pytest.raises(NotDeployed, match="no BackfillQueueUrl yet: deploy"):
        _ = earlier.backfill_queue_url
