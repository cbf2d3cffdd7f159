"""Every call of the code has its grant, and every grant its call: roles of functions, and policies of the commands."""

from importlib.util import find_spec
from pathlib import Path

import pytest
from botocore import xform_name

from tests.aws_calls import actions
from tests.template import template

OF_EVERY_FUNCTION = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
OF_QUEUES = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
OF_STREAMS = {"dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream", "dynamodb:ListStreams"}
"""What Lambda does under the role of a function: for each, for each that a queue invokes, and that a stream does."""
OF_POWERTOOLS = {"dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"}
"""What its persistence layer does. It reads no item: a refused write brings the item along."""
OF_S3 = {"kms:Decrypt"}
"""What S3 does of objects under a key, with the rights of whoever reads them."""
HANDLERS = {
    "Checker": OF_QUEUES | OF_S3,
    "Counter": set(),
    "Alerter": OF_QUEUES | OF_STREAMS | OF_POWERTOOLS,
    "Watchdog": OF_S3,
    "Reporter": OF_POWERTOOLS,
    "Review": OF_S3,
}
"""What is done under the role of each function by other code than ours."""

SAM = {
    f"cloudformation:{action}"
    for action in (
        "CreateStack", "DeleteStack", "CreateChangeSet", "DescribeChangeSet", "ExecuteChangeSet", "DeleteChangeSet",
        "DescribeStackEvents", "DescribeStackResources", "GetTemplateSummary", "TagResource", "ValidateTemplate",
    )
} | {
    f"s3:{action}"
    for action in (
        "CreateBucket", "GetBucketLocation", "PutBucketPublicAccessBlock", "PutBucketTagging", "PutBucketPolicy",
        "GetBucketPolicy", "PutBucketVersioning", "PutEncryptionConfiguration",
    )
} | {"iam:PassRole"}  # fmt: skip
"""What `sam deploy` and `sam delete` do, and CloudFormation with their rights as it makes sam's bucket."""
PEOPLE = {"lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "sns:SetSubscriptionAttributes"}
"""What the pages have people do themselves: call Counter and Reporter, and filter what a channel gets."""

SDK = "".join(
    (Path(next(iter(find_spec("sagemaker").submodule_search_locations))) / "core" / name).read_text()
    for name in ("resources.py", "helper/session_helper.py")
)
JOBS = {
    "cloudwatch:DescribeAlarms": "SageMaker, as it updates an endpoint that alarms watch",
    "cloudwatch:TagResource": "PutMetricAlarm with tags",
    "iam:CreateServiceLinkedRole": "RegisterScalableTarget, for the first target of an account",
    "iam:PassRole": "each request that names aws.role",
    "s3:GetBucketLocation": "the SDK's resource of a bucket",
    "s3:ListAllMyBuckets": "the SDK, as it looks for the default bucket",
    "sagemaker:ListEndpointConfigs": "training/jobs/endpoint/deployment.py, which deletes by kind",
    "sagemaker:ListModels": "likewise",
    "sagemaker:ListPipelineExecutions": "the SDK's pages of executions",
    "sagemaker:ListTrainingJobsForHyperParameterTuningJob": "the SDK's analytics of a tuning job",
}
"""Actions of JobsPolicy that neither our code nor the SDK's resources name, and who takes them."""


def granted(name, source="template.yaml"):
    """The actions that a role or a policy allows, under any parameters."""
    properties = template(source)["Resources"][name]["Properties"]
    found = set()

    def add(node):
        if isinstance(node, list):
            for each in node:
                add(each)
        elif isinstance(node, dict):
            if node.get("Effect") == "Allow" and "Resource" in node:
                found.update([node["Action"]] if isinstance(node["Action"], str) else node["Action"])
            for each in node.values():
                add(each)

    add(properties)
    return found


@pytest.mark.parametrize("function", HANDLERS)
def test_a_function_has_a_grant_for_each_call_and_a_call_for_each_grant(function):
    handler = template()["Resources"][function]["Properties"]["Handler"]
    called, allowed = actions([handler.rpartition(".")[0]]), granted(f"{function}Role")
    assert called - allowed == set(), "calls without a grant"
    assert allowed - called - OF_EVERY_FUNCTION - HANDLERS[function] == set(), "grants without a call"
    assert OF_EVERY_FUNCTION | HANDLERS[function] <= allowed


def test_the_commands_have_a_grant_for_each_call_and_a_call_for_each_grant():
    local = r"local\.(embedded|demo|cli\.(up|down|demo|containers|endpoint|count)$)|model|training|samples"
    called, allowed = (
        actions(["local.cli.main"], without=local),
        granted("ApplicationPolicy", "deploy/permissions.yaml"),
    )
    assert called - allowed == set(), "calls without a grant"
    assert allowed - called == SAM | PEOPLE, "grants without a call"


def test_the_jobs_have_a_grant_for_each_call_and_a_call_for_each_grant():
    called = actions(["training.jobs.__main__"], without=r"local|model|training\.(?!jobs)")
    allowed = granted("JobsPolicy", "deploy/permissions.yaml")
    assert called - allowed == set(), "calls without a grant"
    others = {action for action in allowed - called if f".{xform_name(action.split(':')[1])}(" not in SDK}
    assert others == JOBS.keys(), "grants without a call"


def test_what_a_pipeline_does_in_its_last_steps_is_within_its_role():
    without = r"local|model|training\.(?!jobs)|training\.jobs\.steps"
    called = actions(["training.jobs.container.release", "training.jobs.container.compare"], without)
    assert called - granted("ExecutionRole", "deploy/permissions.yaml") == set()


CALLS = {
    "s3 = boto3.client('s3')\ns3.delete_object(Key='x', VersionId='1')": {"s3:DeleteObject", "s3:DeleteObjectVersion"},
    "sqs = boto3.client('sqs')\nfor page in sqs.get_paginator('list_queues').paginate(): pass": {"sqs:ListQueues"},
    "t = boto3.resource('dynamodb').Table('t')\ndef unused():\n    def query(): t.query()\n": {"dynamodb:Query"},
    "c = boto3.client('dynamodb')\nc.transact_write_items(TransactItems=[('Update', {})])": {"dynamodb:UpdateItem"},
    "topic = boto3.client('sns')\nTopic = 1\nimport re\nre.search('publish', '')": set(),
}


@pytest.mark.parametrize("code", CALLS)
def test_calls_are_found(code, tmp_path, monkeypatch):
    (tmp_path / "entry_of_calls.py").write_text(f"import boto3\n{code}\n")
    monkeypatch.setattr("tests.aws_calls.ROOTS", (tmp_path,))
    monkeypatch.setattr(
        "tests.aws_calls.path_of", lambda name: {"entry_of_calls": tmp_path / "entry_of_calls.py"}.get(name)
    )
    assert actions(["entry_of_calls"]) == CALLS[code]
