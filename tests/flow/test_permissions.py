"""Permissions are enforced, and the Checker needs those that the template gives it."""

import json
import time
from contextlib import contextmanager

import pytest

from tests.flow.warehouse import wait_until

STATEMENTS = ("ReadUploads", "AskTheEndpoint", "RecordChecks")
"""Not "Alert": a topic's default policy lets its own account publish, whatever the caller's role says."""


@contextmanager
def without(stack, statement):
    """Take one statement out of the policies of the Checker's role for a while."""
    iam = stack.cloud.session.client("iam", endpoint_url=stack.cloud.endpoint_url)
    function = stack.cloud.functions().get_function_configuration(FunctionName=stack.outputs["CheckerFunctionName"])
    role = function["Role"].rsplit("/", 1)[-1]
    changed = {}
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        kept = [given for given in document["Statement"] if given.get("Sid") != statement]
        if len(kept) < len(document["Statement"]):
            changed[name] = document
            iam.delete_role_policy(RoleName=role, PolicyName=name)
            if kept:
                put(iam, role, name, {**document, "Statement": kept})
    assert changed, f"no policy of {role} has a statement {statement}"
    yield
    for name, document in changed.items():
        put(iam, role, name, document)


def put(iam, role, name, document):
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


@pytest.mark.parametrize("statement", STATEMENTS)
def test_without_a_permission_nothing_is_told_and_with_it_everything_is(warehouse, impatient_queue, statement):
    started_ms = int(time.time() * 1000)
    with without(warehouse.stack, statement):
        warehouse.photograph("7", warehouse.picture(3))
        warehouse.report("7", 4)
        wait_until(lambda: was_denied(warehouse.stack, started_ms), "the Checker was denied something")
        assert warehouse.alerts(0) == []
    assert warehouse.check("7").status == "mismatch"
    assert warehouse.alerts(1) == [("7", "mismatch")]


def was_denied(stack, since_ms):
    logs = stack.cloud.session.client("logs", endpoint_url=stack.cloud.endpoint_url)
    group = f"/aws/lambda/{stack.outputs['CheckerFunctionName']}"
    events = logs.filter_log_events(logGroupName=group, startTime=since_ms)["events"]
    return any("not authorized to perform" in event["message"] for event in events)
