"""deploy/permissions.yaml: enough for what the commands and the template do, and no more."""

import json
import re
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace

import botocore.session
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from inventory.check_items import BACKFILLS
from inventory.claims import Claims
from inventory.links import NO_LINKS
from inventory.review_queue import ReviewQueue
from local.cli import resolve as resolve_command
from local.cli.main import app
from local.stack.smoke import SITE
from review.desk import Desk
from tests.builders import BUCKET, image_of, left_by_version_0_1, metadata
from tests.functions.conftest import account, warehouse  # noqa: F401  (fixtures)
from tests.template import ACCOUNT, resource, template

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PERMISSIONS = template("deploy/permissions.yaml")["Resources"]
NOTHING_SMALLER = {
    "application-autoscaling:DescribeScalableTargets",
    "cognito-idp:CreateUserPool",
    "cognito-idp:DescribeUserPoolDomain",
    "cloudformation:ValidateTemplate",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "lambda:CreateEventSourceMapping",
    "lambda:DeleteEventSourceMapping",
    "lambda:GetAccountSettings",
    "lambda:ListEventSourceMappings",
    "lambda:UpdateEventSourceMapping",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListEndpoints",
    "sagemaker:ListModelPackageGroups",
    "sagemaker:ListModels",
    "sagemaker:ListPipelines",
    "s3:ListAllMyBuckets",
    "servicequotas:ListServiceQuotas",
    "secretsmanager:GetRandomPassword",
} | {
    f"logs:{action}"
    for action in (
        "CreateLogDelivery", "DeleteLogDelivery", "DescribeResourcePolicies", "GetLogDelivery", "ListLogDeliveries",
        "PutResourcePolicy", "UpdateLogDelivery",
    )
}  # fmt: skip
"""Actions that the Service Authorization Reference lets a policy name "*" only as the resource of, or that a condition
narrows instead."""
MAKES = {
    "AWS::ApiGatewayV2::Api": "apigateway:POST",
    "AWS::ApiGatewayV2::Integration": "apigateway:POST",
    "AWS::ApiGatewayV2::Route": "apigateway:POST",
    "AWS::ApiGatewayV2::Stage": "apigateway:POST",
    "AWS::CloudWatch::Alarm": "cloudwatch:PutMetricAlarm",
    "AWS::CloudWatch::Dashboard": "cloudwatch:PutDashboard",
    "AWS::Cognito::UserPool": "cognito-idp:CreateUserPool",
    "AWS::Cognito::UserPoolClient": "cognito-idp:CreateUserPoolClient",
    "AWS::Cognito::UserPoolDomain": "cognito-idp:CreateUserPoolDomain",
    "AWS::DynamoDB::Table": "dynamodb:CreateTable",
    "AWS::Events::Rule": "events:PutRule",
    "AWS::IAM::Role": "iam:CreateRole",
    "AWS::Lambda::Permission": "lambda:AddPermission",
    "AWS::Logs::LogGroup": "logs:CreateLogGroup",
    "AWS::S3::Bucket": "s3:CreateBucket",
    "AWS::S3::BucketPolicy": "s3:PutBucketPolicy",
    "AWS::SecretsManager::Secret": "secretsmanager:CreateSecret",
    "AWS::SNS::Subscription": "sns:Subscribe",
    "AWS::SNS::Topic": "sns:CreateTopic",
    "AWS::SNS::TopicPolicy": "sns:SetTopicAttributes",
    "AWS::SQS::Queue": "sqs:CreateQueue",
    "AWS::SQS::QueuePolicy": "sqs:SetQueueAttributes",
    "AWS::Serverless::Function": "lambda:CreateFunction",
}


def listed(value):
    return value if isinstance(value, list) else [value]


def policies(name):
    properties = PERMISSIONS[name]["Properties"]
    return [one["PolicyDocument"] for one in properties.get("Policies", [properties])]


def statements(name):
    """Those of all policies, conditional ones included."""
    found = [statement for policy in policies(name) for statement in policy["Statement"]]
    return [statement["If"][1] if "If" in statement else statement for statement in found]


def actions(name):
    allowed = (statement for statement in statements(name) if statement["Effect"] == "Allow")
    return {action for statement in allowed for action in listed(statement["Action"])}


def test_who_deploys_cannot_widen_the_roles_made_here():
    (denied,) = [statement for statement in statements("DeploymentRole") if statement["Effect"] == "Deny"]
    assert denied["Resource"]["Sub"].endswith(":role/${AWS::StackName}-*")
    widening = {"iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:PassRole"}
    assert set(denied["Action"]) == widening <= actions("DeploymentRole")
    assert "iam:AttachRolePolicy" not in actions("DeploymentRole")


@pytest.mark.parametrize("name", PERMISSIONS)
def test_everything_is_named(name):
    for statement in statements(name):
        assert "*" not in "".join(listed(statement["Action"])), statement["Sid"]
        if "*" in listed(statement["Resource"]):
            assert set(listed(statement["Action"])) <= NOTHING_SMALLER, statement["Sid"]


@pytest.mark.parametrize("name", PERMISSIONS)
def test_alarms_are_described_by_whoever_may_describe_all(name):
    """CloudWatch refuses the call for `alarm:*`, also if it names alarms."""
    for statement in statements(name):
        if "cloudwatch:DescribeAlarms" in listed(statement["Action"]):
            assert [resource["Sub"].rpartition(":alarm:")[2] for resource in listed(statement["Resource"])] == ["*"]


SERVICE_LINKED = {
    "ExecutionRole": {"sagemaker.application-autoscaling.amazonaws.com"},
    "JobsPolicy": {"sagemaker.application-autoscaling.amazonaws.com"},
    "DeploymentRole": {"ops.apigateway.amazonaws.com"},
}
"""The services that make a role of their own for their first resource in an account, as AWS documents it."""


@pytest.mark.parametrize("name", PERMISSIONS)
def test_a_new_account_gets_the_roles_that_services_make_for_themselves_and_no_other(name):
    made = [one for one in statements(name) if "iam:CreateServiceLinkedRole" in listed(one["Action"])]
    services = {one["Condition"]["StringEquals"]["iam:AWSServiceName"] for one in made}
    assert services == SERVICE_LINKED.get(name, set())
    for one in made:
        assert f":role/aws-service-role/{one['Condition']['StringEquals']['iam:AWSServiceName']}/" in str(
            one["Resource"]
        )


@pytest.mark.parametrize("name", PERMISSIONS)
def test_a_role_is_passed_to_the_services_that_need_it_only(name):
    for statement in statements(name):
        if statement["Effect"] == "Allow" and "iam:PassRole" in listed(statement["Action"]):
            assert statement["Action"] == "iam:PassRole"
            assert statement["Condition"]["StringEquals"]["iam:PassedToService"]
            assert "*" not in listed(statement["Resource"])


THIS_ACCOUNT = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


@pytest.mark.parametrize(
    ("role", "service", "condition"),
    [
        ("ExecutionRole", "sagemaker.amazonaws.com", THIS_ACCOUNT),
        # AWS documents the key for CloudFormation's extensions, not for the service role of a stack.
        ("DeploymentRole", "cloudformation.amazonaws.com", None),
    ],
)
def test_a_role_trusts_one_service_under_the_condition_that_aws_documents_for_it(role, service, condition):
    (trust,) = PERMISSIONS[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": service}
    assert trust.get("Condition") == condition


def test_whoever_deploys_can_make_each_resource_of_the_template_and_hand_its_role_on():
    types = {resource["Type"] for resource in template()["Resources"].values()}
    assert {MAKES[type] for type in types} <= actions("DeploymentRole")
    assert {"lambda:CreateEventSourceMapping", "lambda:CreateFunctionUrlConfig", "iam:PassRole"} <= actions(
        "DeploymentRole"
    )


def test_sam_delete_may_remove_its_packages():
    """As samcli 1.170 does: `lib/package/s3_uploader` names the calls. `tests/test_sam_delete.py` has the others."""
    packages, smoke = (one for one in statements("ApplicationPolicy") if "s3:DeleteObject" in listed(one["Action"]))
    assert packages["Resource"]["Sub"].endswith(":::aws-sam-cli-managed-default-*")
    assert smoke["Resource"]["Sub"].endswith(f"/{SITE}/*")
    assert {"cloudformation:DeleteStack", "cloudformation:GetTemplate", "s3:DeleteObject"} <= actions(
        "ApplicationPolicy"
    )


def test_dead_letters_and_backfills_are_within_the_rights_of_whoever_gives_the_commands():
    messages = {"SendMessage", "ReceiveMessage", "ChangeMessageVisibility", "DeleteMessage", "StartMessageMoveTask"}
    assert {f"sqs:{action}" for action in messages | {"ListMessageMoveTasks"}} <= actions("ApplicationPolicy")
    keep, smoke = (one for one in statements("ApplicationPolicy") if "dynamodb:DeleteItem" in listed(one["Action"]))
    assert smoke["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{SITE}/*"]}}
    assert set(keep["Action"]) == {"dynamodb:PutItem", "dynamodb:DeleteItem"}
    assert keep["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [BACKFILLS]}}


def test_whoever_gives_the_commands_may_change_no_queue_but_those_of_watch():
    changing = {f"sqs:{action}" for action in ("CreateQueue", "DeleteQueue", "PurgeQueue", "SetQueueAttributes", "*")}
    (granted,) = (one for one in statements("ApplicationPolicy") if changing & set(listed(one["Action"])))
    (resource,) = listed(granted["Resource"])
    assert ":${Stack}-watch-*" in str(resource)


@contextmanager
def noted(warehouse):  # noqa: F811
    """Which actions on the table are taken within the block, and on which attributes."""
    made, touched = set(), set()

    def note(params, model, **_):
        writes = [write for transaction in params.get("TransactItems", ()) for write in transaction.items()]
        for name, request in writes or [(model.name.removesuffix("Item"), params)]:
            made.add(f"dynamodb:{name if name == 'Query' else f'{name}Item'}")
            if name in ("Put", "Update"):
                condition = request.get("ConditionExpression", "#").split()[0]
                names = {*request.get("ExpressionAttributeNames", {}).values(), condition}
                touched.update(request.get("Item", ()), request.get("Key", ()), filter(str.isidentifier, names))

    events = warehouse.table.meta.client.meta.events
    events.register("before-parameter-build.dynamodb", note)
    try:
        yield made, touched
    finally:
        events.unregister("before-parameter-build.dynamodb", note)


def drop_bins(warehouse):  # noqa: F811
    """A bin in each state that a finding may meet."""
    for id, expected in (("agrees", 3), ("differs", 5), ("came-anew", 5)):
        warehouse.drop(f"bin-images/{id}.jpg", image_of(3))
        warehouse.drop(f"metadata/{id}.json", metadata(expected))
    warehouse.s3.delete_object(Bucket=BUCKET, Key="bin-images/came-anew.jpg")
    warehouse.drop("metadata/came-anew.json", metadata(4))
    assert warehouse.state("came-anew").lone
    for expected in (5, 4, 5):
        warehouse.drop("bin-images/came-back.jpg", image_of(3))
        warehouse.drop("metadata/came-back.json", metadata(expected))
    assert warehouse.state("came-back").newest
    warehouse.drop("notes.txt", b"")
    for item in left_by_version_0_1("older", BUCKET):
        warehouse.table.put_item(Item=item)


BINS = ("agrees", "differs", "came-anew", "came-back", "notes.txt", "older")


def test_who_records_a_finding_may_write_what_that_touches_and_nothing_else(warehouse, monkeypatch):  # noqa: F811
    monkeypatch.setattr(
        resolve_command, "resolve_stack", lambda _: SimpleNamespace(checks=warehouse.store, links=NO_LINKS)
    )
    drop_bins(warehouse)
    with noted(warehouse) as (made, touched):
        for bin in BINS:
            for finding in (["--actual", "3"], ["--withdraw"]):
                said = CliRunner().invoke(app, ["resolve", bin, *finding])
                assert said.exit_code == 0, said.output
    assert made == {f"dynamodb:{action}" for action in ("GetItem", "Query", "PutItem", "UpdateItem")}
    assert made <= actions("ApplicationPolicy")
    (record,) = [one for one in statements("ApplicationPolicy") if "dynamodb:UpdateItem" in listed(one["Action"])]
    assert set(record["Action"]) == {"dynamodb:PutItem", "dynamodb:UpdateItem"}
    assert set(record["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"]) == touched


def test_the_review_page_may_write_what_its_reviewers_touch(warehouse):  # noqa: F811
    desk = Desk(warehouse.store, ReviewQueue(warehouse.table), Claims(warehouse.table), warehouse.s3, lambda: NOON)
    drop_bins(warehouse)
    with noted(warehouse) as (made, touched):
        for bin in BINS:
            check = [check for check in warehouse.checks(bin) if check.status != "waiting"][-1]
            desk.claims.take(check.subject, "ann", NOON)
            for actual in (3, None):
                answered = desk.answer(check, actual, "ann", "seen twice")
                desk.take_back(check, "ann", answered.reviewed_at)
            desk.claims.release(check.subject, "ann")
    allowed = resource("ReviewRole")["Policies"][0]["PolicyDocument"]["Statement"]
    assert made <= {action for one in allowed for action in listed(one["Action"])}
    (record,) = [one for one in allowed if "dynamodb:UpdateItem" in listed(one["Action"])]
    assert touched <= set(record["Condition"]["ForAllValues:StringEquals"]["dynamodb:Attributes"])


@pytest.mark.parametrize("name", PERMISSIONS)
def test_policies_are_no_larger_than_iam_takes(name):
    longest = 6_144 if PERMISSIONS[name]["Type"] == "AWS::IAM::ManagedPolicy" else 10_240
    filled = {
        "${AWS::Partition}": "aws",
        "${AWS::StackName}": "bincheck-permissions",
        "${AWS::Region}": "ap-northeast-3",
        "${AWS::AccountId}": "111122223333",
        "${Stack}": "bincheck",
        "${Name}": "sagemaker-ap-northeast-3-111122223333",
    }
    size = 0
    for policy in policies(name):
        text = json.dumps(policy, separators=(",", ":"))
        for placeholder, value in filled.items():
            text = text.replace(placeholder, value)
        size += len(text)
    assert size < longest


STACK = re.compile(template("deploy/permissions.yaml")["Parameters"]["Stack"]["AllowedPattern"])
SESSION = botocore.session.get_session()
REGIONS = sorted(
    region
    for partition in SESSION.get_available_partitions()
    for region in SESSION.get_available_regions("s3", partition)
)


@given(name=st.from_regex(STACK, fullmatch=True) | st.from_regex("[a-zA-Z][a-zA-Z0-9-]{,40}", fullmatch=True))
@example("a" * 28)
@example("a" * 29)
@example("bincheck-")
@example("my-aws-bins")
@example("sthree")
@example("amzn-s3-demo-bins")
@example("Bincheck")
def test_a_name_of_a_stack_is_accepted_if_it_makes_names_that_aws_accepts(name):
    bucket, domain = f"{name}-inbox-{ACCOUNT}-{max(REGIONS, key=len)}", f"{name}-{ACCOUNT}"
    accepted = (
        re.fullmatch("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket)
        and not re.match("xn--|sthree-|amzn-s3-demo-", bucket)
        and re.fullmatch("[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", domain)
        and not re.search("aws|amazon|cognito", domain)
    )
    if STACK.fullmatch(name):
        assert accepted
    elif accepted:
        assert "--" in name or name.endswith("-") or name.startswith(("amzn", "sthree"))


def test_a_refused_name_of_a_stack_comes_with_the_reason():
    reason = template("deploy/permissions.yaml")["Parameters"]["Stack"]["ConstraintDescription"]
    assert "28" in reason
    assert "S3" in reason
