"""The way from an upload to its check: bucket, events, queues."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from local.stack.deployed_stack import Stack
from local.stack.doctor.values import Answer, Place, failed, ok, warning
from local.stack.queues import depth

WINDOW = timedelta(minutes=15)
PATIENCE_S = {"InboxQueue": 900, "AlertsQueue": 300}
"""As long as OldestMessageAlarm and OldestAlertAlarm wait."""


def versioning(place: Place) -> Iterator[Answer]:
    """whether the inbox keeps versions, which make the same file a new check"""
    status = place.cloud.s3().get_bucket_versioning(Bucket=place.stack.inbox_bucket).get("Status")
    if status == "Enabled":
        yield warning(
            "the inbox keeps versions, so the same file uploaded again is a new check",
            "suspend versioning, unless you want that",
        )
    else:
        yield ok("the inbox keeps no versions")


def notifications(place: Place) -> Iterator[Answer]:
    """whether the events of the inbox, and of UploadsBucket, reach the queue"""
    stack = place.stack
    told = _notifications(stack, stack.inbox_bucket).get("QueueConfigurations", [])
    queue = stack.outputs["InboxQueueUrl"].rsplit("/", 1)[-1]
    if any(one["QueueArn"].endswith(f":{queue}") and "s3:ObjectCreated:*" in one["Events"] for one in told):
        yield ok("the inbox notifies its queue of every upload")
    else:
        yield failed(
            "the inbox does not notify its queue, so no upload is checked",
            "set them as template.yaml has them; then `bincheck backfill` checks what was missed",
        )
    if uploads := stack.outputs.get("UploadsBucketName"):
        yield _uploads_events(stack, uploads)


def _uploads_events(stack: Stack, bucket: str) -> Answer:
    told = _notifications(stack, bucket)
    missed = f"then `bincheck backfill s3://{bucket}` checks what was missed"
    if topic := stack.parameters.get("UploadsTopicArn"):
        queue = stack.outputs["InboxQueueUrl"].rsplit("/", 1)[-1]
        if all(one["TopicArn"] != topic for one in told.get("TopicConfigurations", [])):
            return failed(f"{bucket} does not notify {topic}", f"turn its notifications on, {missed}")
        pages = stack.cloud.sns().get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        if not any(one["Endpoint"].endswith(f":{queue}") for page in pages for one in page["Subscriptions"]):
            return failed(f"the queue is not subscribed to {topic}", f"subscribe it (docs/deploy.md), {missed}")
        return ok(f"{bucket} notifies {topic}, to which the queue is subscribed")
    if "EventBridgeConfiguration" not in told:
        return failed(f"{bucket} does not send its events to EventBridge", f"turn that on (docs/deploy.md), {missed}")
    return ok(f"{bucket} sends its events to EventBridge")


def _notifications(stack: Stack, bucket: str) -> Any:
    return stack.cloud.s3().get_bucket_notification_configuration(Bucket=bucket)


def waiting_messages(place: Place) -> Iterator[Answer]:
    """how many messages wait in each queue, and the age of the oldest"""
    stack = place.stack
    urls = {"InboxQueue": stack.inbox_queue_url, "BackfillQueue": stack.backfill_queue_url}
    for name, url in (urls | {"AlertsQueue": stack.alerts_queue_url}).items():
        age_s = _oldest_s(place, url.rsplit("/", 1)[-1])
        found = f"{name}: {depth(stack, url)} messages, the oldest of the last 15 minutes waited {age_s:.0f} s"
        if age_s > PATIENCE_S.get(name, float("inf")):
            yield failed(found, "docs/operations.md: OldestMessageAlarm and OldestAlertAlarm")
        else:
            yield ok(found)


def _oldest_s(place: Place, queue: str) -> float:
    """The age in seconds of the oldest message within the last quarter of an hour; 0 without a measurement."""
    points = place.cloud.cloudwatch().get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": queue}],
        StartTime=place.moment - WINDOW,
        EndTime=place.moment,
        Period=300,
        Statistics=["Maximum"],
    )
    return max((point["Maximum"] for point in points["Datapoints"]), default=0.0)


def dead_letters(place: Place) -> Iterator[Answer]:
    """how many messages failed five times"""
    number = depth(place.stack, place.stack.dead_letters_url)
    if number:
        yield failed(
            f"{number} messages failed five times",
            "`bincheck dead-letters` lists the reasons; fix the cause, then `--redrive`",
        )
    else:
        yield ok("there are none")
