"""Lists and archives dead letters: the messages that failed five times."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from inventory.bins import locate
from inventory.check_items import read_alert
from inventory.errors import RejectedUpload
from inventory.uploads import UnreadableEvent, read_message
from local.stack.deployed_stack import Stack
from local.stack.queues import delete, receive, release

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

UNKNOWN = "not known: the Checker or the Alerter crashed or timed out; see its log"


@dataclass(frozen=True)
class DeadLetter:
    """A message that failed five times: uploads that could not be checked, or an alert that could not be sent.

    `keys` are the objects that it names, `bins` the bins. `attempts` is its receive count at the last failure.
    `failed_at` is ISO 8601 in UTC; None where no failure was recorded.
    """

    message_id: str
    bins: tuple[str, ...]
    keys: tuple[str, ...]
    reason: str
    attempts: int
    sent_at: datetime
    failed_at: str | None
    body: str

    def as_dict(self) -> dict[str, object]:
        """The fields that `--json` prints; only the archive has the body."""
        return {
            "message_id": self.message_id,
            "bins": self.bins,
            "keys": self.keys,
            "reason": self.reason,
            "attempts": self.attempts,
            "sent_at": self.sent_at.isoformat(timespec="seconds"),
            "failed_at": self.failed_at,
        }


def list_dead_letters(stack: Stack) -> list[DeadLetter]:
    """All dead letters, the oldest first. They stay in the queue, and are visible to other consumers afterwards."""
    held: dict[str, MessageTypeDef] = {}
    try:
        while messages := receive(stack, stack.dead_letters_url):
            new = messages[0]["MessageId"] not in held
            held |= {message["MessageId"]: message for message in messages}
            if not new:  # there are so many that the first ones are visible again
                break
    finally:
        release(stack, stack.dead_letters_url, list(held.values()))
    return sorted((_read(stack, message) for message in held.values()), key=lambda letter: letter.sent_at)


def drop(stack: Stack, archive: Path) -> Iterator[int]:
    """Append all dead letters to a file, one JSON object with its `body` per line, and delete them.

    They are deleted after the file is synced to the disk. If the process is killed in between, some are archived twice
    and none is lost. Yields the size of each batch.
    """
    while messages := receive(stack, stack.dead_letters_url):
        letters = [_read(stack, message) for message in messages]
        with archive.open("a", encoding="utf-8") as file:
            file.writelines(f"{json.dumps({**letter.as_dict(), 'body': letter.body})}\n" for letter in letters)
            file.flush()
            os.fsync(file.fileno())
        delete(stack, stack.dead_letters_url, messages)
        yield len(messages)


def _read(stack: Stack, message: "MessageTypeDef") -> DeadLetter:
    body, attributes = message["Body"], message["Attributes"]
    bins, keys, unreadable = _bins_and_keys(body)
    failure = stack.failures.find(body)
    return DeadLetter(
        message_id=message["MessageId"],
        bins=bins,
        keys=keys,
        reason=failure.reason if failure else unreadable or UNKNOWN,
        attempts=failure.attempts if failure else int(attributes["ApproximateReceiveCount"]),
        sent_at=datetime.fromtimestamp(int(attributes["SentTimestamp"]) / 1000, UTC),
        failed_at=failure.failed_at if failure else None,
        body=body,
    )


def _bins_and_keys(body: str) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    """The bins and keys of a message, from its alert or its uploads, and the reason if it cannot be read."""
    with suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return (str(read_alert(body).check.bin),), (), None
    try:
        keys = tuple(event.key for event in read_message(body))
    except UnreadableEvent as error:
        return (), (), str(error)
    return tuple(map(_bin, keys)), keys, None


def _bin(key: str) -> str:
    try:
        return locate(key)[0].name
    except RejectedUpload:
        return key
