"""A site of the embedded cloud for each whole-flow test."""

from contextlib import contextmanager

import pytest

from local.subscription import subscribed
from tests.flow.warehouse import Warehouse


@pytest.fixture
def warehouse(stack, endpoint, request):
    site = request.node.name.removeprefix("test_").replace("_", "-").replace("[", "-").rstrip("]")
    with subscribed(stack, {"site": [site]}) as alerts:
        warehouse = Warehouse(site, stack, endpoint, alerts)
        yield warehouse
        endpoint.delay_s, endpoint.failing = 0.0, False


@pytest.fixture
def impatient_queue(stack):
    """A message that fails comes back after two seconds, not after six minutes."""
    with _queue_attribute(stack, "VisibilityTimeout", "2"):
        yield


@contextmanager
def _queue_attribute(stack, name, value):
    sqs = stack.cloud.sqs()
    url = stack.inbox_queue_url
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: value})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=before)
