"""Receives alerts through a temporary queue that is subscribed to the topic."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from local.stack.deployed_stack import Stack
from local.stack.queues import delete

RETENTION_S = 3600
"""The retention of alerts in a queue that was not removed, e.g. because the command was killed."""

Alert = Mapping[str, Any]
"""The JSON body of an alert."""
FilterPolicy = Mapping[str, Sequence[Any]]
"""The filter policy of an SNS subscription, by message attribute."""


@dataclass(frozen=True)
class Subscription:
    """A subscribed queue."""

    stack: Stack
    queue_url: str

    def receive(self, wait_s: int = 0) -> list[Alert]:
        """Receive and delete up to ten alerts; wait up to 20 seconds for the first."""
        sqs = self.stack.cloud.sqs()
        messages = sqs.receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=wait_s).get(
            "Messages", []
        )
        delete(self.stack, self.queue_url, messages)
        return [json.loads(message["Body"]) for message in messages]


@contextmanager
def subscribed(stack: Stack, wanted: FilterPolicy | None = None) -> Iterator[Subscription]:
    """Subscribe a new queue to all alerts, or to those of a filter policy. Remove both at the end."""
    sqs, sns = stack.cloud.sqs(), stack.cloud.sns()
    topic = stack.mismatch_topic_arn
    name = f"{stack.name}-watch-{uuid.uuid4().hex[:12]}"
    url = sqs.create_queue(QueueName=name, Attributes={"MessageRetentionPeriod": str(RETENTION_S)})["QueueUrl"]
    subscription_arn = None
    try:
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(_only_from(topic, arn))})
        attributes = {"RawMessageDelivery": "true"}
        if wanted:
            attributes["FilterPolicy"] = json.dumps(wanted)
        subscription_arn = sns.subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=attributes, ReturnSubscriptionArn=True
        )["SubscriptionArn"]
        yield Subscription(stack, url)
    finally:
        if subscription_arn:
            sns.unsubscribe(SubscriptionArn=subscription_arn)
        with suppress(sqs.exceptions.QueueDoesNotExist):  # it was removed already
            sqs.delete_queue(QueueUrl=url)


def _only_from(topic_arn: str, queue_arn: str) -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
            }
        ],
    }
