"""Publishes alerts to SNS: JSON for programs, a sentence for email, attributes for filter policies."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inventory.check import Alert

if TYPE_CHECKING:
    from mypy_boto3_sns import SNSClient

SUBJECT_LIMIT = 100
BODY = (
    "check_id",
    "bin",
    "kind",
    "expected",
    "predicted",
    "difference",
    "suspicion",
    "severity",
    "probabilities",
    "expected_volume_in3",
    "predicted_volume_in3",
    "image",
    "metadata",
    "model",
    "checked_at",
    "reason",
    "resolves",
    "alert_id",
    "revision",
)


class Alerts:
    """The topic that alerts are published to."""

    def __init__(self, sns: "SNSClient", topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    def publish(self, alert: Alert) -> None:
        """Send an alert. A second copy has the same `alert_id`, so subscribers can ignore it."""
        text = sentence(alert)
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=subject(text),
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(body(alert)), "email": text}),
            MessageAttributes=attributes(alert),
        )


def body(alert: Alert) -> dict[str, Any]:
    """The JSON body. Fields that do not apply to this kind of alert are null."""
    values = {name: getattr(alert.check, name, None) for name in BODY}
    return {**values, "kind": alert.kind, "alert_id": alert.alert_id, "revision": alert.revision}


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
        **{name: {"DataType": "String", "StringValue": text} for name, text in texts.items() if text},
        **{name: {"DataType": "Number", "StringValue": f"{n:.6g}"} for name, n in numbers.items() if n is not None},
    }


def sentence(alert: Alert) -> str:
    """The text of the email."""
    check = alert.check
    if alert.kind == "rejected":
        return f"Bin {check.bin} could not be checked: {check.reason}"
    if alert.kind == "unpaired":
        came, missing = ("image", "metadata") if check.image else ("metadata", "image")
        return (
            f"Bin {check.bin}: its {came} came at {check.checked_at} and its {missing} never did. "
            f"Upload the {missing}, or remove {check.image or check.metadata}."
        )
    if alert.kind == "resolved":
        return (
            f"Bin {check.bin} is in order again: the image shows {check.predicted} and the record says "
            f"{check.expected}. Image: {check.image}"
        )
    return (
        f"Bin {check.bin}: the image shows {check.predicted} and the record says {check.expected}, "
        f"{abs(check.difference or 0)} {check.direction}. "
        f"Chance that the record is wrong: {check.suspicion or 0:.0%} ({check.severity} severity). "
        f"Image: {check.image}"
    )


def subject(text: str) -> str:
    """A subject that SNS accepts: printable ASCII, shorter than SUBJECT_LIMIT."""
    words = " ".join(f"bincheck: {text}".split()).encode("ascii", "replace").decode()
    plain = "".join(letter if letter.isprintable() else "?" for letter in words)  # SNS rejects control characters
    return plain if len(plain) < SUBJECT_LIMIT else f"{plain[: SUBJECT_LIMIT - 4]}..."
