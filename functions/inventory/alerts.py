"""Publishes alerts to SNS: JSON for programs, text for email, attributes for filter policies."""

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inventory.alert_text import Unnamed, body_text, subject
from inventory.check import Alert
from inventory.links import NO_LINKS, Links

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

BODY = (
    "check_id",
    "bin",
    "kind",
    "expected",
    "predicted",
    "interval",
    "difference",
    "suspicion",
    "severity",
    "probabilities",
    "expected_volume_in3",
    "predicted_volume_in3",
    "image",
    "metadata",
    "model",
    "compared_with",
    "checked_at",
    "reason",
    "resolves",
    "alert_id",
    "revision",
)
_REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters that SQS takes in no body and no attribute of a message, so that it would get none from the topic."""
HOURLY = {"hourly": {"DataType": "String", "StringValue": "yes"}}
"""The attribute of at most one rejected or unpaired alert an hour."""


class Alerts:
    """The topic that alerts are published to. `links` makes their links."""

    def __init__(self, sns: "SNSClient", topic_arn: str, links: Links = NO_LINKS) -> None:
        self._sns = sns
        self._topic_arn = topic_arn
        self._links = links

    def publish(self, alert: Alert, unnamed: Unnamed | None = None) -> None:
        """Send an alert. A second copy has the same `alert_id`, so subscribers can ignore it.

        With `unnamed` the alert has the email of this hour about rejected and unpaired uploads, which names them.
        """
        link = self._links.link(alert.check)
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=subject(alert),
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(body(alert, link)), "email": body_text(alert, link, unnamed)}),
            MessageAttributes=attributes(alert) | ({} if unnamed is None else HOURLY),
        )


def body(alert: Alert, link: str | None = None) -> dict[str, Any]:
    """The JSON body. Fields that do not apply to this kind of alert are null. docs/alert.schema.json describes it."""
    values = {name: getattr(alert.check, name, None) for name in BODY}
    own = {"kind": alert.kind, "alert_id": alert.alert_id, "revision": alert.revision, "link": link}
    return {**values, **own}


def attributes(alert: Alert) -> dict[str, Any]:
    """The message attributes for filter policies. Attributes that do not apply, and an empty site, are absent.

    A `resolved` alert has the attributes of the alert that it closes, so it reaches the same subscribers.
    """
    closed = alert.check.resolves or asdict(alert.check)
    texts = {"kind": alert.kind, "site": alert.check.site} | {
        name: closed.get(name) for name in ("severity", "direction")
    }
    numbers = {name: closed.get(name) for name in ("difference", "suspicion")}
    return {
        **{name: text_attribute(text) for name, text in texts.items() if text},
        **{name: {"DataType": "Number", "StringValue": f"{n:.6g}"} for name, n in numbers.items() if n is not None},
    }


def text_attribute(text: str) -> "MessageAttributeValueTypeDef":
    """A message attribute of other people's text. A replacement character stands for each one that SQS refuses."""
    return {"DataType": "String", "StringValue": sendable(text)}


def sendable(text: str) -> str:
    """The text as a message can carry it, and as a filter policy finds it."""
    return _REFUSED.sub("\N{REPLACEMENT CHARACTER}", text)
