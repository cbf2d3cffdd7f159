"""Runs steps that must not stop each other, and raises at the end if any failed."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from inventory.alert_text import one_line
from inventory.errors import RetryLater
from inventory.observability import logger


class IndependentSteps:
    """The steps of one invocation. A step that fails is logged, and the next one runs."""

    def __init__(self) -> None:
        self.faults: list[Exception] = []

    @contextmanager
    def step(self, failure: str, **fields: Any) -> Iterator[None]:
        """Run the body. If it raises, log the sentence `failure` with the `fields`."""
        try:
            yield
        except Exception as fault:
            logger.exception(failure, **fields)
            self.faults.append(fault)

    def raise_failed(self, what: str) -> None:
        """Call it last.

        Raises:
            RetryLater: a step failed. The message counts `what`.
        """
        if self.faults:
            raise RetryLater(f"{len(self.faults)} {what}: {one_line(self.faults[0])}") from self.faults[0]
