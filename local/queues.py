"""The inbox queue and its dead letters: how full they are, and how dead letters get another chance."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from local.aws import Stack

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

COUNTS = "ApproximateNumberOfMessages"
"""How the names of the counts of visible, hidden and delayed messages begin."""
HOLD_S = 120
"""How long a taken message stays hidden from others; moving it takes milliseconds."""


def redrive(stack: Stack) -> Iterator[int]:
    """Move all dead letters back to the inbox queue, telling how many after each batch.

    A message is deleted from the dead letters after it was sent on, so a kill in between can double it, which is
    harmless, but not lose it.
    """
    sqs = stack.cloud.sqs()
    while messages := sqs.receive_message(
        QueueUrl=stack.dead_letters_url,
        MaxNumberOfMessages=10,
        VisibilityTimeout=HOLD_S,
        WaitTimeSeconds=1,
    ).get("Messages", []):
        sent = sqs.send_message_batch(
            QueueUrl=stack.inbox_queue_url,
            Entries=[{"Id": str(number), "MessageBody": message["Body"]} for number, message in enumerate(messages)],
        )
        moved: list[MessageTypeDef] = [messages[int(entry["Id"])] for entry in sent["Successful"]]
        delete(stack, stack.dead_letters_url, moved)
        yield len(moved)


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
    """About how many messages a queue holds, those included that are being worked on."""
    attributes = stack.cloud.sqs().get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    return sum(int(count) for name, count in attributes.items() if name.startswith(COUNTS))
