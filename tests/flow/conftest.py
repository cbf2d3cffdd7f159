"""A site of the embedded cloud for each whole-flow test."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from local.stack.subscription import subscribed
from tests.flow.endpoint import MODEL
from tests.flow.warehouse import Warehouse


@pytest.fixture
def warehouse(stack, endpoint, request):
    site = request.node.name.removeprefix("test_").replace("_", "-").replace("[", "-").rstrip("]")
    with subscribed(stack, {"site": [site]}) as alerts:
        warehouse = Warehouse(site, stack, endpoint, alerts)
        yield warehouse
        endpoint.delay_s, endpoint.failing, endpoint.model = 0.0, False, MODEL


@pytest.fixture
def bincheck(cloud):
    """Starts the command on the embedded cloud, as a person would."""

    def start(*arguments, **options):
        environment = os.environ | {"BINCHECK_FOLDER": str(cloud.folder), "COLUMNS": "160", "NO_COLOR": "1"}
        command = [sys.executable, "-m", "local.cli.main", *map(str, arguments)]
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )

    return start


@pytest.fixture
def impatient_queues(stack):
    """A message that fails comes back after two seconds, not after six minutes."""
    with (
        _queue_attribute(stack, stack.inbox_queue_url, "VisibilityTimeout", "2"),
        _queue_attribute(stack, stack.backfill_queue_url, "VisibilityTimeout", "2"),
        _queue_attribute(stack, stack.alerts_queue_url, "VisibilityTimeout", "2"),
    ):
        yield


@contextmanager
def _queue_attribute(stack, url, name, value):
    sqs = stack.cloud.sqs()
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: value})
    yield
    sqs.set_queue_attributes(QueueUrl=url, Attributes=before)
