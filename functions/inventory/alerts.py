"""Alerts to whoever subscribed: JSON for programs, a sentence for people, attributes for filter policies."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from inventory.checks import Check

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
)


class Alerts:
    """The topic that alerts are published to."""

    def __init__(self, sns: "SNSClient", topic_arn: str) -> None:
        self._sns = sns
        self._topic_arn = topic_arn

    def publish(self, check: Check) -> None:
        """Send the alert of a check. Sending it again is harmless: subscribers see the same `check_id`."""
        said = sentence(check)
        self._sns.publish(
            TopicArn=self._topic_arn,
            Subject=subject(said),
            MessageStructure="json",
            Message=json.dumps({"default": json.dumps(body(check)), "email": said}),
            MessageAttributes=attributes(check),
        )


def body(check: Check) -> dict[str, Any]:
    """What a program reads; fields that the kind of alert does not know are null."""
    values = {name: getattr(check, name, None) for name in BODY}
    return {**values, "kind": check.alert_kind}


def attributes(check: Check) -> dict[str, Any]:
    """What a subscriber can filter on; attributes that do not apply (and an empty site) are absent.

    Those of a resolved matter are the ones that it was alerted with, so that it reaches the same subscribers.
    """
    told = check.resolves or asdict(check)
    texts = {"kind": check.alert_kind, "site": check.site} | {
        name: told.get(name) for name in ("severity", "direction")
    }
    numbers = {name: told.get(name) for name in ("difference", "suspicion")}
    return {
        **{name: {"DataType": "String", "StringValue": text} for name, text in texts.items() if text},
        **{name: {"DataType": "Number", "StringValue": f"{n:.6g}"} for name, n in numbers.items() if n is not None},
    }


def sentence(check: Check) -> str:
    """What a person reads in an email."""
    if check.status == "rejected":
        return f"Bin {check.bin} could not be checked: {check.reason}"
    if check.status == "waiting":
        came, missing = ("picture", "metadata") if check.image else ("metadata", "picture")
        return (
            f"Bin {check.bin}: its {came} came at {check.checked_at} and its {missing} never did. "
            f"Upload the {missing}, or remove {check.image or check.metadata}."
        )
    if check.status == "match":
        return (
            f"Bin {check.bin} is in order again: the picture shows {check.predicted} and the record says "
            f"{check.expected}. Picture: {check.image}"
        )
    return (
        f"Bin {check.bin}: the picture shows {check.predicted} and the record says {check.expected}, "
        f"{abs(check.difference or 0)} {check.direction}. "
        f"Chance that the record is wrong: {check.suspicion or 0:.0%} ({check.severity} severity). "
        f"Picture: {check.image}"
    )


def subject(said: str) -> str:
    """The subject of a message as SNS takes it: printable ASCII, shorter than SUBJECT_LIMIT."""
    words = " ".join(f"bincheck: {said}".split()).encode("ascii", "replace").decode()
    plain = "".join(letter if letter.isprintable() else "?" for letter in words)  # SNS refuses control characters
    return plain if len(plain) < SUBJECT_LIMIT else f"{plain[: SUBJECT_LIMIT - 4]}..."
