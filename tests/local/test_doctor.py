"""What `bincheck doctor` says of a sound stack, of each fault, and of what it may not look at."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner

from inventory.refusals import EXPIRED, UNKNOWN_CREDENTIALS
from local.cli.main import app
from local.stack.aws import Cloud
from local.stack.doctor import account
from local.stack.doctor.alarms import TOPICS
from local.stack.doctor.examination import CHECKS, OTHER_NAMES, Check, examine
from local.stack.doctor.functions import QUEUES
from local.stack.doctor.values import Place
from tests.builders import LABELS, PRIOR, prediction
from tests.template import template
from tests.test_permissions import actions

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ACCOUNT = "123456789012"
MAPPINGS = ("InboxQueue", "BackfillQueue", "AlertsQueue")
DENIED = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
ANSWER = {
    "count": 2, "labels": LABELS, "probabilities": prediction(2).probabilities, "prior": PRIOR, "model": "m@1",
}  # fmt: skip


class House:
    """A sound stack. `answers` has what AWS answers where moto does not, by operation; a test changes one of them."""

    def __init__(self, stack):
        sns = boto3.client("sns")
        topics = {name: sns.create_topic(Name=name)["TopicArn"] for name in ("alerts", "alarms")}
        for topic in topics.values():
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:{ACCOUNT}:somebody")
        self.sns, self.topics, self.s3, self.cloudwatch = sns, topics, boto3.client("s3"), boto3.client("cloudwatch")
        queue = f"arn:aws:sqs:us-east-1:{ACCOUNT}:bincheck-InboxQueue"
        told = {"QueueConfigurations": [{"QueueArn": queue, "Events": ["s3:ObjectCreated:*"]}]}
        self.s3.put_bucket_notification_configuration(Bucket="inbox", NotificationConfiguration=told)
        functions = {f"{name}FunctionName": f"bincheck-{name}" for name in ("Checker", "Alerter")}
        outputs = {"MismatchTopicArn": topics["alerts"], "OperationsTopicArn": topics["alarms"], **functions}
        self.stack = replace(stack, outputs={**stack.outputs, **outputs})
        self.calls = set()
        arns = [f"arn:aws:sqs:us-east-1:{ACCOUNT}:bincheck-{name}" for name in MAPPINGS]
        arns.append(f"arn:aws:dynamodb:us-east-1:{ACCOUNT}:table/checks/stream/now")
        self.answers = {
            "GetAccountSettings": limits(10),
            "ListServiceQuotas": quotas(4),
            "DescribeEndpoint": {"EndpointStatus": "InService", "EndpointConfigName": "c"},
            "DescribeEndpointConfig": variants("ml.c6i.xlarge"),
            "DescribeScalableTargets": {"ScalableTargets": [{"MaxCapacity": 4}]},
            "InvokeEndpoint": ANSWER,
            "ListEventSourceMappings": {
                "EventSourceMappings": [{"EventSourceArn": arn, "State": "Enabled"} for arn in arns]
            },
            "GetFunctionConfiguration": {"State": "Active", "LastUpdateStatus": "Successful"},
            "FilterLogEvents": {"events": []},
            "GetMetricStatistics": {"Datapoints": []},
            "ListStackResources": {
                "StackResourceSummaries": [
                    {
                        "ResourceType": "AWS::CloudWatch::Alarm",
                        "PhysicalResourceId": "bincheck-Rejected-1",
                        "LogicalResourceId": "RejectedAlarm",
                    }
                ]
            },
        }
        self.rings("OK")
        session, clients = stack.cloud.session, {}
        session.events.register("before-parameter-build", self._note)
        session.events.register("before-call", self._answer)
        create = session.client  # which takes half a second for all of them
        session.client = lambda name, **options: clients.get(name) or clients.setdefault(name, create(name, **options))

    def rings(self, state):
        alarm = {"AlarmName": "bincheck-Rejected-1", "ComparisonOperator": "GreaterThanThreshold", "Threshold": 0}
        measured = {"Namespace": "bincheck", "MetricName": "Rejected", "Statistic": "Sum", "Period": 60}
        self.cloudwatch.put_metric_alarm(**alarm, **measured, EvaluationPeriods=1)
        self.cloudwatch.set_alarm_state(AlarmName=alarm["AlarmName"], StateValue=state, StateReason="too many")

    def findings(self):
        return list(examine(Place.of(self.stack, NOW)))

    def troubles(self):
        return [(finding.check, finding.state) for finding in self.findings() if finding.state != "ok"]

    def _note(self, model, **_):
        service = model.service_model.signing_name.replace("monitoring", "cloudwatch")
        self.calls.add(f"{service}:{OTHER_NAMES.get(model.name, model.name)}")

    def _answer(self, model, **_):
        if (answer := self.answers.get(model.name)) is None:
            return None
        if model.name == "InvokeEndpoint" and "Error" not in answer:
            answer = {"Body": SimpleNamespace(read=lambda: json.dumps(self.answers["InvokeEndpoint"]).encode())}
        return SimpleNamespace(status_code=400 if "Error" in answer else 200), answer


def limits(free):
    return {"AccountLimit": {"ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": free}}


def quotas(value):
    return {"Quotas": [{"QuotaName": "ml.c6i.xlarge for endpoint usage", "Value": value}]}


def variants(*kinds):
    """Of an endpoint, by their instance types; None is a serverless one."""
    instances = (
        {"InstanceType": kind, "InitialInstanceCount": 1} if kind else {"ServerlessConfig": {}} for kind in kinds
    )
    return {"ProductionVariants": [{"VariantName": f"v{n}", **each} for n, each in enumerate(instances)]}


def no_endpoint():
    return {"Error": {"Code": "ValidationException", "Message": 'Could not find endpoint "bincheck-counter".'}}


@pytest.fixture
def house(deployed):
    return House(deployed)


def test_all_is_well_with_a_sound_stack(house):
    assert house.troubles() == []
    after = [check.name for check in CHECKS if check.after]
    assert list(dict.fromkeys(finding.check for finding in house.findings())) == after


@pytest.mark.parametrize(
    ("operation", "answer", "troubles"),
    [
        ("GetAccountSettings", limits(9), [("Lambda quota", "warning")]),
        ("ListServiceQuotas", quotas(0), [("SageMaker quota", "failed")]),
        ("ListServiceQuotas", quotas(3), [("SageMaker quota", "warning")]),
        ("ListServiceQuotas", {"Quotas": []}, [("SageMaker quota", "warning")]),
        ("DescribeEndpointConfig", variants("ml.c6i.xlarge", "ml.c6i.xlarge"), [("SageMaker quota", "warning")]),
        ("DescribeEndpointConfig", variants("ml.c6i.xlarge", None), []),
        ("DescribeEndpoint", no_endpoint(), [("endpoint", "failed")]),
        ("DescribeEndpoint", {"EndpointStatus": "Failed", "EndpointConfigName": "c"}, [("endpoint", "failed")]),
        ("DescribeEndpoint", {"EndpointStatus": "Updating", "EndpointConfigName": "c"}, [("endpoint", "warning")]),
        ("InvokeEndpoint", {"Error": {"Code": "ValidationError", "Message": "not found"}}, [("model", "failed")]),
        ("InvokeEndpoint", {**ANSWER, "prior": ()}, [("model", "failed")]),
        ("ListEventSourceMappings", {"EventSourceMappings": []}, [("triggers", "failed")]),
        ("GetFunctionConfiguration", {"State": "Failed", "StateReason": "no role"}, [("functions", "failed")] * 2),
        ("FilterLogEvents", {"events": [{"message": '{"level":"ERROR","message":"!"}'}]}, [("errors", "warning")] * 2),
        ("GetMetricStatistics", {"Datapoints": [{"Maximum": 901.0}]}, [("messages", "failed")] * 2),
    ],
)  # fmt: skip
def test_a_fault_of_what_aws_answers_is_found_and_no_other_check_minds(house, operation, answer, troubles):
    house.answers[operation] = answer
    assert house.troubles() == troubles
    assert all(finding.remedy for finding in house.findings() if finding.state != "ok")


def test_a_trigger_that_is_off_is_named(house):
    for mapping in house.answers["ListEventSourceMappings"]["EventSourceMappings"][:1]:
        mapping["State"] = "Disabled"
    (finding,) = [finding for finding in house.findings() if finding.check == "triggers"]
    assert (finding.state, finding.found) == ("failed", "nothing takes from InboxQueue")


def keep_versions(house):
    house.s3.put_bucket_versioning(Bucket="inbox", VersioningConfiguration={"Status": "Enabled"})


def take_notifications_away(house):
    house.s3.put_bucket_notification_configuration(Bucket="inbox", NotificationConfiguration={})


def bury_a_message(house):
    house.stack.cloud.sqs().send_message(QueueUrl=house.stack.dead_letters_url, MessageBody="x")


def unsubscribe_all(house):
    for one in house.sns.list_subscriptions()["Subscriptions"]:
        house.sns.unsubscribe(SubscriptionArn=one["SubscriptionArn"])


def leave_an_email_unconfirmed(house):
    waiting = {"SubscriptionArn": "PendingConfirmation", "Endpoint": "a@example.com", "Protocol": "email", "Owner": "1"}
    house.answers["ListSubscriptionsByTopic"] = {"Subscriptions": [waiting]}


def let_nobody_hear_chat_messages(house):
    topic = house.sns.create_topic(Name="chat")["TopicArn"]
    house.stack = replace(house.stack, outputs={**house.stack.outputs, "ChatTopicArn": topic})


def use_a_bucket_without_events(house):
    house.s3.create_bucket(Bucket="robots")
    house.stack = replace(house.stack, outputs={**house.stack.outputs, "UploadsBucketName": "robots"})


def use_a_bucket_that_notifies_no_topic(house):
    use_a_bucket_without_events(house)
    house.stack = replace(house.stack, parameters={"UploadsTopicArn": house.topics["alerts"]})


def use_a_topic_without_the_queue(house):
    use_a_bucket_that_notifies_no_topic(house)
    told = {"TopicConfigurations": [{"TopicArn": house.topics["alerts"], "Events": ["s3:ObjectCreated:*"]}]}
    house.answers["GetBucketNotificationConfiguration"] = told | {
        "QueueConfigurations": [{"QueueArn": "q:bincheck-InboxQueue", "Events": ["s3:ObjectCreated:*"]}]
    }


def be_of_an_older_version(house):
    older = {name: value for name, value in house.stack.outputs.items() if name != "AlertsQueueUrl"}
    house.stack = replace(house.stack, outputs=older)


@pytest.mark.parametrize(
    ("do", "troubles"),
    [
        (keep_versions, [("versions", "warning")]),
        (take_notifications_away, [("events", "failed")]),
        (use_a_bucket_without_events, [("events", "failed")]),
        (use_a_bucket_that_notifies_no_topic, [("events", "failed")]),
        (use_a_topic_without_the_queue, [("events", "failed")]),
        (bury_a_message, [("dead letters", "failed")]),
        (unsubscribe_all, [("subscriptions", "warning")] * 2),
        (leave_an_email_unconfirmed, [("subscriptions", "warning")] * 2),
        (let_nobody_hear_chat_messages, [("subscriptions", "warning")]),
        (lambda house: house.rings("ALARM"), [("alarms", "failed")]),
        (lambda house: house.rings("INSUFFICIENT_DATA"), [("alarms", "warning")]),
        (be_of_an_older_version, [("messages", "failed")]),
    ],
)
def test_a_fault_of_the_stack_is_found_and_no_other_check_minds(house, do, troubles):
    do(house)
    assert house.troubles() == troubles


def test_every_topic_and_every_queue_with_a_function_is_looked_at():
    made, outputs = template()["Resources"], template()["Outputs"]
    topics = {name for name, body in made.items() if body["Type"] == "AWS::SNS::Topic"}
    assert {name for name, output in outputs.items() if output["Value"] in [{"Ref": each} for each in topics]} == set(
        TOPICS
    )
    assert len(topics) == len(TOPICS)
    sources = [event["Properties"] for body in made.values() for event in body["Properties"].get("Events", {}).values()]
    queues = {source["Queue"]["GetAtt"].removesuffix(".Arn") for source in sources if "Queue" in source}
    assert {name.removesuffix("Url") for name in QUEUES} == queues == set(MAPPINGS)


def test_a_bucket_that_sends_to_eventbridge_is_sound(house):
    use_a_bucket_without_events(house)
    told = house.s3.get_bucket_notification_configuration(Bucket="inbox") | {"EventBridgeConfiguration": {}}
    house.answers["GetBucketNotificationConfiguration"] = told  # moto forgets EventBridge
    assert house.troubles() == []


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check.after and check.permissions], ids=lambda c: c.name
)
def test_each_call_of_a_check_may_be_denied_and_its_permission_is_named(house, check):
    list(examine(Place.of(house.stack, NOW), [check]))
    called = {call.partition(":")[2]: call for call in house.calls}
    for operation, permission in called.items():
        operation = {name: call for call, name in OTHER_NAMES.items()}.get(operation, operation)
        before = house.answers.get(operation)
        house.answers[operation] = DENIED
        (*_, finding) = examine(Place.of(replace(house.stack), NOW), [check])
        assert finding.state == "failed"
        if operation != "InvokeEndpoint":  # the reason is that of the Checker, which names endpoint and code
            assert f"ask for {permission}:" in finding.remedy
        house.answers[operation] = before


@pytest.mark.parametrize("code", sorted(EXPIRED | UNKNOWN_CREDENTIALS))
def test_who_has_to_sign_in_again_is_not_told_to_ask_for_a_permission(code):
    def look(place):
        raise ClientError({"Error": {"Code": code, "Message": "no"}}, "GetAccountSettings")

    (finding,) = examine(Place(Cloud.embedded("http://127.0.0.1:1"), NOW), [Check("any", look, before=True)])
    assert (finding.state, "sign in again" in finding.remedy, "ask for" in finding.remedy) == ("failed", True, False)


def test_a_check_needs_the_permissions_that_it_says_and_whoever_deploys_has_them(house):
    for check in CHECKS:
        house.calls.clear()
        use_a_bucket_that_notifies_no_topic(house)
        use_a_topic_without_the_queue(house)
        place = Place.of(house.stack, NOW)
        list(check.look(place if check.after else replace(place, deployed=None)))
        assert house.calls - {"sts:GetCallerIdentity"} == set(check.permissions), check.name
    assert set(chain.from_iterable(check.permissions for check in CHECKS)) <= actions("ApplicationPolicy")


def test_before_a_deployment_the_account_and_the_endpoint_are_looked_at(house, monkeypatch):
    monkeypatch.setattr(Cloud, "aws", lambda: house.stack.cloud)
    said = CliRunner().invoke(app, ["doctor", "--json"])
    findings = [json.loads(line) for line in said.stdout.splitlines()]
    assert [finding["check"] for finding in findings] == [check.name for check in CHECKS if check.before]
    assert said.exit_code == 0


def test_an_inbox_that_an_earlier_stack_left_is_found(house):
    place = Place(house.stack.cloud, NOW)
    (free,) = account.inbox_name(place)
    house.s3.create_bucket(Bucket=f"bincheck-inbox-{ACCOUNT}-us-east-1")
    (taken,) = account.inbox_name(place)
    assert (free.state, taken.state) == ("ok", "failed")
    house.answers["HeadBucket"] = {"Error": {"Code": "403", "Message": "Forbidden"}}
    (of_others,) = account.inbox_name(place)
    assert (of_others.state, "another account" in of_others.remedy) == ("failed", True)


def test_without_credentials_every_check_says_so(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    findings = list(examine(Place(Cloud.aws(), NOW)))
    assert {finding.state for finding in findings} == {"failed"}
    assert "AWS_PROFILE" in findings[0].remedy
    assert len(findings) == len([check for check in CHECKS if check.before])


def test_the_exit_code_is_1_if_a_check_failed_and_0_for_warnings(house, monkeypatch):
    monkeypatch.setattr("local.cli.doctor.find_stack", lambda *_: house.stack)
    assert CliRunner().invoke(app, ["doctor", "--stack", "bincheck"]).exit_code == 0
    keep_versions(house)
    warned = CliRunner().invoke(app, ["doctor", "--stack", "bincheck"])
    assert (warned.exit_code, "! versions" in warned.stdout) == (0, True)
    bury_a_message(house)
    failed = CliRunner().invoke(app, ["doctor", "--stack", "bincheck"])
    assert failed.exit_code == 1
    assert "--redrive" in failed.stdout


def test_the_defaults_before_a_deployment_are_those_of_template_and_settings():
    parameters = template()["Parameters"]
    place = Place(Cloud(boto3.Session()), NOW)
    assert place.endpoint == parameters["EndpointName"]["Default"]
    concurrency = (parameters[name]["Default"] for name in ("MaximumConcurrency", "BackfillConcurrency"))
    assert place.checkers == sum(map(int, concurrency))
    settings = (ROOT / "training" / "jobs" / "settings.toml").read_text()
    assert f'instance_type = "{account.INSTANCE_TYPE}"' in settings.partition("[deploy]")[2]
    assert f"max_instances = {account.INSTANCES}" in settings


def test_the_manual_has_every_check_and_its_permissions():
    page = (ROOT / "docs" / "operations.md").read_text()
    permissions = [", ".join(f"`{one}`" for one in check.permissions) or "-" for check in CHECKS]
    rows = [
        f"| {check.name} | {check.looks_at} | {needed} |" for check, needed in zip(CHECKS, permissions, strict=True)
    ]
    section = page.partition("### What `bincheck doctor` looks at")[2].partition("\n##")[0]
    assert re.findall(r"^\| (?!check|---).*$", section, re.MULTILINE) == rows
