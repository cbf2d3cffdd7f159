"""The logger, the tracer and the metrics of all functions. Logs carry fields, never images or payloads."""

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from inventory.errors import RetryLater

warnings.filterwarnings("ignore", "No application metrics to publish")

logger = Logger()
tracer = Tracer()
metrics = Metrics()


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
