"""What the template tells the functions, read and checked once when a process starts."""

import os
from dataclasses import dataclass
from datetime import timedelta


class SettingsError(Exception):
    """An environment variable of the function is missing or senseless; the message names it."""


@dataclass(frozen=True)
class Settings:
    """`mismatch_rate` is the share of records that are wrong (between 0 and 1), `pairing_timeout` how long an upload
    waits for its partner before people are told. `digest_topic_arn` is None where nobody wants a daily digest.
    `alerts_queue_url` and `sent_alerts_table` are the Alerter's, and None elsewhere."""

    endpoint: str
    checks_table: str
    mismatch_topic_arn: str
    mismatch_rate: float
    pairing_timeout: timedelta
    digest_topic_arn: str | None
    alerts_queue_url: str | None
    sent_alerts_table: str | None


def from_environment() -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: a variable is missing, no number, or out of range.
    """
    return Settings(
        endpoint=_text("ENDPOINT_NAME"),
        checks_table=_text("CHECKS_TABLE"),
        mismatch_topic_arn=_text("MISMATCH_TOPIC_ARN"),
        mismatch_rate=_number("MISMATCH_RATE", least=0.0001, most=0.5),
        pairing_timeout=timedelta(minutes=_number("WAIT_MINUTES", least=0, most=7 * 24 * 60)),
        digest_topic_arn=os.environ.get("DIGEST_TOPIC_ARN") or None,
        alerts_queue_url=os.environ.get("ALERTS_QUEUE_URL") or None,
        sent_alerts_table=os.environ.get("SENT_ALERTS_TABLE") or None,
    )


def _text(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"{name} is not set: deploy the function from template.yaml, or set it in the environment")
    return value


def _number(name: str, least: float, most: float) -> float:
    text = _text(name)
    try:
        number = float(text)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}: it must be a number") from error
    if not least <= number <= most:
        raise SettingsError(f"{name} is {text}: it must lie between {least:g} and {most:g}")
    return number
