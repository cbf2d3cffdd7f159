"""Operations on queues: their depth, sending and receiving messages, and the redrive of dead letters."""

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from local.errors import CommandFailed
from local.stack.deployed_stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef, SendMessageBatchRequestEntryTypeDef

BATCH = 10
"""The maximum number of messages in one request."""
COUNTS = "ApproximateNumberOfMessages"
"""The common prefix of the attributes that count visible, hidden and delayed messages."""
VISIBILITY_TIMEOUT_S = 120
"""How long a received message is hidden from other consumers. Moving a message takes milliseconds."""
NO_SUCH_ACTION = ("InvalidAction", "UnknownOperationException")
"""Error codes of a service without message move tasks, like the embedded cloud."""
POLL_S = 1.0
SEND_ATTEMPTS = 3


class QueueFailed(CommandFailed):
    """A queue rejected a request. The message names the queue. No message is lost."""


def send(stack: Stack, queue_url: str, bodies: Sequence[str]) -> None:
    """Send up to ten messages.

    Raises:
        QueueFailed: the queue rejects some of them at every attempt.
    """
    entries: list[SendMessageBatchRequestEntryTypeDef] = [
        {"Id": str(number), "MessageBody": body} for number, body in enumerate(bodies)
    ]
    for _ in range(SEND_ATTEMPTS):
        sent = stack.cloud.sqs().send_message_batch(QueueUrl=queue_url, Entries=entries)
        refused = {one["Id"]: one for one in sent.get("Failed", [])}
        if not refused:
            return
        entries = [entry for entry in entries if entry["Id"] in refused]
    reasons = {one.get("Message") or one["Code"] for one in refused.values()}
    raise QueueFailed(f"{len(refused)} messages were rejected by {queue_url}: {', '.join(sorted(reasons))}")


def receive(stack: Stack, queue_url: str, visibility_timeout_s: int = VISIBILITY_TIMEOUT_S) -> "list[MessageTypeDef]":
    """Receive up to ten messages. They stay in the queue, hidden from other consumers for `visibility_timeout_s`."""
    return (
        stack.cloud.sqs()
        .receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=BATCH,
            VisibilityTimeout=visibility_timeout_s,
            WaitTimeSeconds=1,
            AttributeNames=["All"],
        )
        .get("Messages", [])
    )


def release(stack: Stack, queue_url: str, messages: "Sequence[MessageTypeDef]") -> None:
    """Make received messages visible again, in batches."""
    for first in range(0, len(messages), BATCH):
        stack.cloud.sqs().change_message_visibility_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": 0}
                for number, message in enumerate(messages[first : first + BATCH])
            ],
        )


def delete(stack: Stack, queue_url: str, messages: "Sequence[MessageTypeDef]") -> None:
    """Delete up to ten messages that were received from a queue."""
    if messages:
        stack.cloud.sqs().delete_message_batch(
            QueueUrl=queue_url,
            Entries=[
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ],
        )


def depth(stack: Stack, queue_url: str) -> int:
    """The approximate number of messages in a queue, including hidden and delayed ones."""
    attributes = stack.cloud.sqs().get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    return sum(int(count) for name, count in attributes.items() if name.startswith(COUNTS))


def redrive(stack: Stack) -> Iterator[int]:
    """Move all dead letters back to their source queues. Yield at intervals how many more were moved.

    SQS moves them. The embedded cloud cannot, so there this function sends and deletes each message.

    Raises:
        QueueFailed: the move ended early. The other dead letters are still in their queue.
    """
    sqs = stack.cloud.sqs()
    attributes = sqs.get_queue_attributes(QueueUrl=stack.dead_letters_url, AttributeNames=["QueueArn"])["Attributes"]
    try:
        sqs.start_message_move_task(SourceArn=attributes["QueueArn"])
    except ClientError as error:
        if error.response["Error"]["Code"] not in NO_SUCH_ACTION:
            raise
        yield from _send_back(stack)
    else:
        yield from _follow(stack, attributes["QueueArn"])


def _follow(stack: Stack, dead_letters_arn: str) -> Iterator[int]:
    """Yield the progress of SQS's move task until it ends."""
    reported = 0
    while True:
        (task,) = stack.cloud.sqs().list_message_move_tasks(SourceArn=dead_letters_arn, MaxResults=1)["Results"]
        moved = task.get("ApproximateNumberOfMessagesMoved", 0)
        yield moved - reported
        reported = moved
        status = task["Status"]
        if status == "COMPLETED":
            return
        if status in ("FAILED", "CANCELLED"):
            reason = task.get("FailureReason") or "somebody cancelled it"
            raise QueueFailed(f"the redrive ended after {moved} dead letters ({reason}): the others are still there")
        time.sleep(POLL_S)


def _send_back(stack: Stack) -> Iterator[int]:
    """Send each dead letter to its source queue, then delete it. A kill in between duplicates a message, which is
    harmless, and loses none."""
    while messages := receive(stack, stack.dead_letters_url):
        for message in messages:
            send(stack, _source(stack, message), [message["Body"]])
            delete(stack, stack.dead_letters_url, [message])
            yield 1


def _source(stack: Stack, message: "MessageTypeDef") -> str:
    """The address of a dead letter's source queue; the inbox queue if the message names none."""
    name = message.get("Attributes", {}).get("DeadLetterQueueSourceArn", "").rsplit(":", 1)[-1]
    return stack.cloud.sqs().get_queue_url(QueueName=name)["QueueUrl"] if name else stack.inbox_queue_url
