"""The settings of each function. They are read from the environment and validated once, when the process starts."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1")


class SettingsError(Exception):
    """An environment variable is missing or invalid. The message names it."""


@dataclass(frozen=True)
class CheckerSettings:
    """`mismatch_rate` is the share of records that are wrong, `audit_share` of checks in the audit, 0 to 1.
    `slips` are shares of wrong records by true minus recorded count; empty for the assumed ones."""

    endpoint: str
    checks_table: str
    mismatch_rate: float
    audit_share: float
    slips: Mapping[int, float]

    @classmethod
    def from_environment(cls) -> "CheckerSettings":
        """Read the environment, as the classes below do too.

        Raises:
            SettingsError: a variable is missing, not a number, or out of range.
        """
        return cls(
            _text("ENDPOINT_NAME"),
            _text("CHECKS_TABLE"),
            _number("MISMATCH_RATE", minimum=0.0001, maximum=0.5),
            _number("AUDIT_SHARE", minimum=0, maximum=1),
            _slips("SLIPS"),
        )


@dataclass(frozen=True)
class AlerterSettings:
    """`alerts_queue_url` gets alerts that could not be sent. `sent_alerts_table` holds the idempotency records.
    `review_url` is None without a review page, `console_region` without a console, and `chat_topic_arn` without chats.
    """

    mismatch_topic_arn: str
    alerts_queue_url: str
    sent_alerts_table: str
    checks_table: str
    review_url: str | None
    console_region: str | None
    chat_topic_arn: str | None

    @classmethod
    def from_environment(cls) -> "AlerterSettings":
        return cls(
            mismatch_topic_arn=_text("MISMATCH_TOPIC_ARN"),
            alerts_queue_url=_text("ALERTS_QUEUE_URL"),
            sent_alerts_table=_text("SENT_ALERTS_TABLE"),
            checks_table=_text("CHECKS_TABLE"),
            review_url=_optional("REVIEW_URL"),
            console_region=_console_region(),
            chat_topic_arn=_optional("CHAT_TOPIC_ARN"),
        )


@dataclass(frozen=True)
class CounterSettings:
    """The Counter needs the endpoint's name only."""

    endpoint: str

    @classmethod
    def from_environment(cls) -> "CounterSettings":
        return cls(_text("ENDPOINT_NAME"))


@dataclass(frozen=True)
class WatchdogSettings:
    """`pairing_timeout` is how long an upload waits for its partner before an alert. `review_url` is None without a
    review page."""

    checks_table: str
    pairing_timeout: timedelta
    sent_alerts_table: str
    operations_topic_arn: str
    review_url: str | None

    @classmethod
    def from_environment(cls) -> "WatchdogSettings":
        minutes = _number("WAIT_MINUTES", minimum=0, maximum=7 * 24 * 60)
        return cls(
            checks_table=_text("CHECKS_TABLE"),
            pairing_timeout=timedelta(minutes=minutes),
            sent_alerts_table=_text("SENT_ALERTS_TABLE"),
            operations_topic_arn=_text("OPERATIONS_TOPIC_ARN"),
            review_url=_optional("REVIEW_URL"),
        )


@dataclass(frozen=True)
class ReporterSettings:
    """`sent_alerts_table` holds the idempotency records of digests. `digest_topic_arn` is None if the daily digest is
    off, `review_url` without a review page, and `console_region` without a console."""

    checks_table: str
    sent_alerts_table: str
    digest_topic_arn: str | None
    review_url: str | None
    console_region: str | None

    @classmethod
    def from_environment(cls) -> "ReporterSettings":
        return cls(
            checks_table=_text("CHECKS_TABLE"),
            sent_alerts_table=_text("SENT_ALERTS_TABLE"),
            digest_topic_arn=_optional("DIGEST_TOPIC_ARN"),
            review_url=_optional("REVIEW_URL"),
            console_region=_console_region(),
        )


@dataclass(frozen=True)
class ReviewSettings:
    """`url` is the address of the review page, `buckets` are those whose images it shows. `secret_arn` names the secret
    that signs sessions."""

    checks_table: str
    buckets: tuple[str, ...]
    url: str
    user_pool_id: str
    client_id: str
    secret_arn: str

    @classmethod
    def from_environment(cls) -> "ReviewSettings":
        """Raises SettingsError: the address is neither HTTPS nor on the loopback device, or a variable is missing."""
        settings = cls(
            checks_table=_text("CHECKS_TABLE"),
            buckets=tuple(_text("IMAGE_BUCKETS").split()),
            url=_text("REVIEW_URL").rstrip("/"),
            user_pool_id=_text("REVIEW_USER_POOL_ID"),
            client_id=_text("REVIEW_CLIENT_ID"),
            secret_arn=_text("REVIEW_SECRET_ARN"),
        )
        if not settings.https and not (settings.host in LOOPBACK or settings.host.endswith(".localhost")):
            raise SettingsError(f"REVIEW_URL is {settings.url}: sessions travel by HTTPS only, except on this machine")
        return settings

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def https(self) -> bool:
        return urlsplit(self.url).scheme == "https"


def _console_region() -> str | None:
    """The region of the AWS console. An emulator has no console."""
    return None if _optional("AWS_ENDPOINT_URL") else _optional("AWS_REGION")


def _optional(name: str) -> str | None:
    return os.environ.get(name) or None


def _text(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        raise SettingsError(f"{name} is not set: deploy the function from template.yaml, or set it in the environment")
    return value


def _slips(name: str) -> dict[int, float]:
    """Shares by slip, as `-1:0.43,1:0.3`."""
    text = os.environ.get(name, "")
    try:
        pairs = (pair.split(":") for pair in text.split(",") if pair)
        shares = {int(slip): float(share) for slip, share in pairs}
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}: write it as -1:0.43,1:0.3") from error
    if shares and not (0 < sum(shares.values()) <= 1.001 and min(shares.values()) >= 0 and 0 not in shares):
        raise SettingsError(f"{name} is {text!r}: shares of 0 to 1 must add up to 1 at most, and no slip is 0")
    return shares


def _number(name: str, minimum: float, maximum: float) -> float:
    text = _text(name)
    try:
        number = float(text)
    except ValueError as error:
        raise SettingsError(f"{name} is {text!r}: it must be a number") from error
    if not minimum <= number <= maximum:
        raise SettingsError(f"{name} is {text}: it must lie between {minimum:g} and {maximum:g}")
    return number
