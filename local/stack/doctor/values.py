"""What a check is asked about, and what it answers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from local.errors import NotAvailable
from local.stack.aws import Cloud
from local.stack.deployed_stack import Stack

State = Literal["ok", "warning", "failed"]


@dataclass(frozen=True)
class Place:
    """A deployed stack, or where one will be deployed: then `deployed` is None, and the rest are template.yaml's
    defaults. `checkers` is the maximum number of concurrent Checkers, for uploads and backfills together. `moment` is
    now, with a time zone."""

    cloud: Cloud
    moment: datetime
    name: str = "bincheck"
    endpoint: str = "bincheck-counter"
    checkers: int = 4
    deployed: Stack | None = None

    @classmethod
    def of(cls, stack: Stack, moment: datetime) -> "Place":
        given = stack.parameters
        checkers = int(given.get("MaximumConcurrency", 2)) + int(given.get("BackfillConcurrency", 2))
        return cls(stack.cloud, moment, stack.name, given.get("EndpointName", cls.endpoint), checkers, stack)

    @property
    def stack(self) -> Stack:
        """The deployed stack.

        Raises:
            NotAvailable: nothing is deployed yet.
        """
        if self.deployed is None:
            raise NotAvailable(f"there is no stack {self.name!r} yet")
        return self.deployed


@dataclass(frozen=True)
class Answer:
    """The answer of a check: what it `found`, and the `remedy` unless all is well."""

    state: State
    found: str
    remedy: str = ""


def ok(found: str) -> Answer:
    return Answer("ok", found)


def warning(found: str, remedy: str) -> Answer:
    return Answer("warning", found, remedy)


def failed(found: str, remedy: str) -> Answer:
    return Answer("failed", found, remedy)
