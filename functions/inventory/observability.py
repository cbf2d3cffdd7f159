"""The logger and the metrics of all functions. Logs carry fields, never images or payloads.

An entry is one line of JSON in ASCII, whatever other people's text is in it: nothing in it acts on a terminal, looks
like the end of a line, or cannot be encoded.
"""

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from inventory.errors import RetryLater

warnings.filterwarnings("ignore", "No application metrics to publish")

logger = Logger(json_serializer=partial(json.dumps, default=str, separators=(",", ":")))


class SharedMetrics(Metrics):
    """Metrics that threads may add to. Powertools itself would lose values: it reads a metric, then writes it."""

    _lock = Lock()

    def add_metric(self, *args: Any, **kwargs: Any) -> None:
        with self._lock:
            super().add_metric(*args, **kwargs)


metrics = SharedMetrics()


@contextmanager
def measured_endpoint_call() -> Iterator[None]:
    """Publish the latency of the endpoint, and its error if it fails. A rejected image is no error of the endpoint."""
    start = time.perf_counter()
    try:
        yield
    except RetryLater:
        metrics.add_metric("EndpointErrors", MetricUnit.Count, 1)
        raise
    finally:
        metrics.add_metric("EndpointLatency", MetricUnit.Milliseconds, (time.perf_counter() - start) * 1000)
