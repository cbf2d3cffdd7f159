"""Permissions are enforced: each function uses all that the template allows it, and is refused everything else."""

import base64
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlencode

import boto3
import pytest
from botocore.exceptions import ClientError
from starlette.responses import RedirectResponse
from starlette.testclient import TestClient

from inventory.alert_text import Unnamed
from inventory.check import Alert, Check, timestamp
from inventory.check_items import FAILURES, TALLIES, alert_item
from inventory.hourly_emails import PERIOD_S
from local.stack.aws import EMBEDDED_REGION
from local.stack.queues import depth
from local.stack.reviewers import one_time_password
from review.access import sign_in
from review.cognito import CognitoAccess
from tests.builders import left_by_version_0_1, metadata, notification, sqs_event, stream_event, upload
from tests.flow.acting import Actor, without, without_notifications
from tests.flow.warehouse import wait_until
from tests.functions.test_handlers import Context
from tests.template import resource

STATEMENTS = ("ReadUploads", "AskTheEndpoint", "RecordChecks")
"""Those of the Checker. What becomes of alerts without "Alert" of the Alerter: see test_alerting."""
BY_LAMBDA = (
    "logs:",
    "xray:",
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:DescribeStream",
    "dynamodb:ListStreams",
)
"""What Lambda itself does under a function's role; the embedded cloud's does without asking."""
UNVERSIONED = {"s3:GetObjectVersion"}
"""What a function needs only where somebody has turned on the versions of a bucket."""


@pytest.mark.parametrize("statement", STATEMENTS)
def test_without_a_permission_nothing_is_told_and_with_it_everything_is(warehouse, impatient_queues, statement):
    started_ms = int(time.time() * 1000)
    with without(warehouse.stack, "Checker", statement):
        warehouse.photograph("7", warehouse.image_of(3))
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


# Each function does its work in this process, under its role


def check_a_mismatch_that_is_resolved(actor, warehouse, monkeypatch):
    code, stack = actor.code(monkeypatch), warehouse.stack
    image, wrong, right = warehouse.image_of(3), metadata(5), metadata(3)
    with without_notifications(stack):
        for path, content in (("bin-images/1.jpg", image), ("metadata/1.json", wrong), ("metadata/1.json", right)):
            warehouse.upload(path, content)
            told = replace(upload(f"{warehouse.site}/{path}", content), bucket=stack.inbox_bucket)
            code.handler(notification(told), Context())
        code.handler(notification(told), Context())
    assert warehouse.alerts(2) == [("1", "mismatch"), ("1", "resolved")]


def count_an_image(actor, warehouse, monkeypatch):
    image = base64.b64encode(warehouse.image_of(3)).decode()
    assert actor.code(monkeypatch).handler({"image": image}, Context())["count"] == 3


def send_alerts(actor, warehouse, monkeypatch):
    code, told = actor.code(monkeypatch), []
    monkeypatch.setattr(code, "RETRY_DELAY_S", 0)
    for id in ("1", "2"):
        check = Check(f"{warehouse.site}/{id}", warehouse.site, "a/b", "rejected", timestamp(datetime.now(UTC)))
        told.append(alert_item(Alert("rejected", check, 1), datetime.now(UTC)))
    code.handler(stream_event(told[0]), Context())
    code.handler(stream_event(told[0]), Context())
    with monkeypatch.context() as broken:
        broken.setattr(code.alerts, "_topic_arn", f"{warehouse.stack.mismatch_topic_arn}-that-is-not-there")
        assert code.handler(sqs_event(told[1]["alert"]), Context())["batchItemFailures"]
        code.handler(stream_event(told[1]), Context())
    assert warehouse.alerts(2) == [("1", "rejected"), ("2", "rejected")]


def tell_of_lonely_uploads(actor, warehouse, monkeypatch):
    """Of one that came now, and of one that came to version 0.1."""
    stack, older, hour_ago = warehouse.stack, f"{warehouse.site}/2", datetime.now(UTC) - timedelta(hours=1)
    warehouse.report("1", 3)
    warehouse.settle()
    with without_notifications(stack):
        warehouse.report("2", 3)
    for item in left_by_version_0_1(older, stack.inbox_bucket, timestamp(hour_ago)):
        stack.table.put_item(Item=item)
    code = actor.code(monkeypatch, WAIT_MINUTES="0")
    if code.emails.claim("an email of long ago", 0) is None:
        code.emails.settle_digest(Unnamed(), -PERIOD_S)  # another test has the email of this hour
    code.emails.count("rejected")
    code.handler({}, Context())
    assert code.emails.claim("one more", 0) is None, "the digest is the email of this hour"
    assert warehouse.alerts(2) == [("1", "unpaired"), ("2", "unpaired")]


def tally_today(actor, warehouse, monkeypatch):
    warehouse.photograph("1", warehouse.image_of(3))
    warehouse.report("1", 3)
    warehouse.settle()
    said = actor.code(monkeypatch).handler({"day": str(datetime.now(UTC).date())}, Context())
    assert said["sites"]


def review_a_bin(actor, warehouse, monkeypatch):
    """An answer and its withdrawal, of a bin that is there and of one whose image is gone since."""
    stack = warehouse.stack
    for id in ("1", "2"):
        warehouse.photograph(id, warehouse.image_of(3))
        warehouse.report(id, 5)
    warehouse.settle()
    checks = [warehouse.checks(id)[0] for id in ("1", "2")]
    with without_notifications(stack):
        stack.cloud.s3().delete_object(Bucket=stack.inbox_bucket, Key=f"{warehouse.site}/bin-images/2.jpg")
    app = actor.code(monkeypatch).app
    one_time_password(stack, "ann@example.com")
    monkeypatch.setattr(CognitoAccess, "invite", let_in)
    browser = TestClient(app, base_url=stack.outputs["ReviewUrl"])
    for check in checks:
        named = {"bin": check.bin, "check": check.check}
        page = browser.get(f"/bin?{urlencode(named)}")
        assert check.bin in page.text
        token = page.text.split('name="csrf" value="')[1].split('"')[0]
        form = named | {"answer": "3", "actual": "3", "csrf": token}
        for path in ("/answer", "/take-back"):
            reviewed_at = stack.checks.find(check.subject, check.check).reviewed_at or ""
            data = form | {"reviewed_at": reviewed_at}
            assert browser.post(f"{path}?{urlencode(named)}", data=data).status_code == 200
    assert all(browser.get(path).status_code == 200 for path in ("/", "/next", "/figures", "/list/rejected"))


def let_in(_, request):
    sign_in(request, "ann", "ann@example.com")
    return RedirectResponse(str(request.url), 303)


WORK = {
    "Checker": check_a_mismatch_that_is_resolved,
    "Counter": count_an_image,
    "Alerter": send_alerts,
    "Watchdog": tell_of_lonely_uploads,
    "Reporter": tally_today,
    "Review": review_a_bin,
}


@pytest.mark.parametrize("function", WORK)
def test_a_function_uses_all_that_it_may(warehouse, monkeypatch, function):
    actor = Actor(warehouse.stack, function)
    WORK[function](actor, warehouse, monkeypatch)
    policy, *_ = resource(f"{function}Role")["Policies"]
    actions = [statement["Action"] for statement in policy["PolicyDocument"]["Statement"]]
    given = {one for named in actions for one in (named if isinstance(named, list) else [named])}
    assert actor.used == {action for action in given if not action.startswith(BY_LAMBDA)} - UNVERSIONED


# Whoever steals its credentials gets no further


def attempts(stack, actor):
    """Calls by what they try. None of them does harm where it is let through."""
    s3, sns, sqs, db = (actor.client(name) for name in ("s3", "sns", "sqs", "dynamodb"))
    streams = actor.client("dynamodbstreams")
    sagemaker, functions, iam, logs = (actor.client(name) for name in ("sagemaker-runtime", "lambda", "iam", "logs"))
    inbox = {"Bucket": stack.inbox_bucket}
    table = {"TableName": stack.outputs["ChecksTableName"]}
    check = {"bin": {"S": "nobody"}, "check": {"S": "none"}}
    tally = {"bin": {"S": TALLIES}, "check": {"S": "1970-01-01#nobody"}}
    failure = {"bin": {"S": FAILURES}, "check": {"S": "none"}}
    alerter = stack.cloud.functions().get_function_configuration(FunctionName=stack.outputs["AlerterFunctionName"])
    sent = {"TableName": alerter["Environment"]["Variables"]["SENT_ALERTS_TABLE"]}
    alert, alerts = {"id": {"S": "none"}}, stack.alerts_queue_url
    pool = stack.outputs["ReviewUserPoolId"]
    reviewing = stack.cloud.functions().get_function_configuration(FunctionName=stack.outputs["ReviewFunctionName"])
    secret = reviewing["Environment"]["Variables"]["REVIEW_SECRET_ARN"]
    stream = {"StreamArn": stack.table.latest_stream_arn}
    impossible = {"ConditionExpression": "attribute_exists(nothing)"}
    topic, alarms = stack.mismatch_topic_arn, stack.outputs["OperationsTopicArn"]
    checker, own = stack.outputs["CheckerFunctionName"], actor.deployed["FunctionName"]
    role = actor.deployed["Role"].rsplit("/", 1)[-1]

    def query(value, key="bin", **index):
        names, values = {"#key": key}, {":value": {"S": value}}
        return lambda: db.query(
            **table,
            **index,
            KeyConditionExpression="#key = :value",
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
        )

    def ask(endpoint):
        return lambda: sagemaker.invoke_endpoint(EndpointName=endpoint, Body=b"?", ContentType="image/jpeg")

    def log_to(function):
        group = {"logGroupName": f"/aws/lambda/{function}", "logStreamName": "nothing"}
        return lambda: logs.put_log_events(**group, logEvents=[{"timestamp": 0, "message": "forged"}])

    return {
        "read an upload": lambda: s3.get_object(**inbox, Key="nothing"),
        "list the inbox": lambda: s3.list_objects_v2(**inbox, MaxKeys=1),
        "upload": lambda: s3.put_object(**inbox, Key="folder/"),
        "remove an upload": lambda: s3.delete_object(**inbox, Key="nothing"),
        "open the inbox": lambda: s3.put_bucket_policy(**inbox, Policy="{"),
        "read another bucket": lambda: s3.get_object(Bucket="bincheck-deployments", Key="nothing"),
        "list buckets": lambda: s3.list_buckets(),
        "get a check": lambda: db.get_item(**table, Key=check),
        "put a check": lambda: db.put_item(**table, Item=check, **impossible),
        "put a tally": lambda: db.put_item(**table, Item=tally, **impossible),
        "keep a reason": lambda: db.put_item(**table, Item=failure, **impossible),
        "change a check": lambda: db.update_item(**table, Key=check, UpdateExpression="REMOVE nothing", **impossible),
        "query a bin": query("nobody"),
        "query tallies": query(TALLIES),
        "query what is open": query("none", "open", IndexName="open-by-day"),
        "query a day": query("none", "checked_on", IndexName="by-day"),
        "scan all checks": lambda: db.scan(**table, Limit=1),
        "remove a check": lambda: db.delete_item(**table, Key=check),
        "export checks": lambda: db.describe_continuous_backups(**table),
        "read the stream": lambda: streams.describe_stream(**stream, Limit=1),
        "list streams": lambda: streams.list_streams(Limit=1),
        "look what was sent": lambda: db.get_item(**sent, Key=alert),
        "remember as sent": lambda: db.put_item(**sent, Item=alert, **impossible),
        "change what was sent": lambda: db.update_item(
            **sent, Key=alert, UpdateExpression="REMOVE nothing", **impossible
        ),
        "forget that it was sent": lambda: db.delete_item(**sent, Key=alert),
        "alert": lambda: sns.publish(TopicArn=topic, Message="", MessageStructure="json"),
        "pretend an alarm": lambda: sns.publish(TopicArn=alarms, Message="", MessageStructure="json"),
        "subscribe": lambda: sns.subscribe(TopicArn=topic, Protocol="nothing"),
        "open the topic": lambda: sns.set_topic_attributes(TopicArn=topic, AttributeName="Nothing"),
        "send to the inbox queue": lambda: sqs.send_message(QueueUrl=stack.inbox_queue_url, MessageBody=""),
        "take from the inbox queue": lambda: sqs.receive_message(QueueUrl=stack.inbox_queue_url),
        "send to the alerts queue": lambda: sqs.send_message(QueueUrl=alerts, MessageBody=""),
        "take from the alerts queue": lambda: sqs.receive_message(QueueUrl=alerts, VisibilityTimeout=0),
        "take dead letters": lambda: sqs.receive_message(QueueUrl=stack.dead_letters_url, VisibilityTimeout=0),
        "ask the endpoint": ask("bincheck-counter"),
        "ask another endpoint": ask("another"),
        "invoke a function": lambda: functions.invoke(FunctionName=checker, InvocationType="DryRun"),
        "change a function": lambda: functions.update_function_code(FunctionName=own, ZipFile=b"", DryRun=True),
        "write its own log": log_to(own),
        "write another log": log_to("another"),
        "read its own log": lambda: logs.filter_log_events(logGroupName=f"/aws/lambda/{own}", limit=1),
        "widen its role": lambda: iam.put_role_policy(RoleName=role, PolicyName="more", PolicyDocument="{"),
        "become an administrator": lambda: actor.client("sts").assume_role(
            RoleArn="arn:aws:iam::000000000000:role/admin", RoleSessionName="test"
        ),
        "read the secret of sessions": lambda: actor.client("secretsmanager").get_secret_value(SecretId=secret),
        "change the secret of sessions": lambda: actor.client("secretsmanager").put_secret_value(
            SecretId=f"{secret}-not-there", SecretString="known"
        ),
        "ask for a reviewer": lambda: actor.client("cognito-idp").admin_get_user(UserPoolId=pool, Username="mallory"),
        "make a reviewer": lambda: actor.client("cognito-idp").admin_create_user(UserPoolId=pool, Username="mallory"),
        "read secrets": lambda: actor.client("secretsmanager").list_secrets(),
        "look at the stack": lambda: actor.client("cloudformation").describe_stacks(StackName=stack.name),
    }


ALLOWED = {
    "Checker": {
        "read an upload",
        "list the inbox",
        "get a check",
        "put a check",
        "put a tally",
        "keep a reason",
        "change a check",
        "query a bin",
        "query tallies",
        "take from the inbox queue",
        "ask the endpoint",
        "write its own log",
    },
    "Counter": {"ask the endpoint", "write its own log"},
    "Alerter": {
        "alert",
        "remember as sent",
        "change what was sent",
        "forget that it was sent",
        "keep a reason",
        "send to the alerts queue",
        "take from the alerts queue",
        "list streams",
        "write its own log",
    },
    "Watchdog": {
        "read an upload",
        "list the inbox",
        "get a check",
        "put a check",
        "put a tally",
        "keep a reason",
        "change a check",
        "query a bin",
        "query tallies",
        "query what is open",
        "pretend an alarm",
        "write its own log",
    },
    "Reporter": {"query a day", "put a tally", "query tallies", "write its own log"},
    "Review": {
        "read an upload",
        "list the inbox",
        "get a check",
        "put a check",
        "put a tally",
        "keep a reason",
        "change a check",
        "query a bin",
        "query tallies",
        "query what is open",
        "ask for a reviewer",
        "read the secret of sessions",
        "write its own log",
    },
}


NOT_SEEN = {
    "Alerter": {"put a check", "put a tally"},
    "Watchdog": {"change what was sent"},
    "Reporter": {"put a check", "keep a reason", "query a bin"},
}
"""The embedded cloud does not know `dynamodb:LeadingKeys`: tests/test_template.py looks at that condition. Nor does it
know a stream as a resource, so it lets the Alerter not read the one that it may read."""


@pytest.mark.parametrize("function", ALLOWED)
def test_a_function_is_refused_everything_else(stack, function):
    passed = {what for what, attempt in attempts(stack, Actor(stack, function)).items() if is_let_through(attempt)}
    assert passed - NOT_SEEN.get(function, set()) == ALLOWED[function]
    queues = stack.inbox_queue_url, stack.alerts_queue_url
    assert [depth(stack, queue) for queue in queues] == [0, 0]  # else whoever waits for them to be empty waits long


def is_let_through(attempt):
    try:
        attempt()
    except ClientError as error:
        return not any(code in error.response["Error"]["Code"] for code in ("AccessDenied", "AuthorizationError"))
    return True


def test_another_account_gets_at_neither_topics_nor_queues_nor_the_inbox(stack):
    stranger = boto3.Session("111122223333", "test", region_name=EMBEDDED_REGION)
    sns, sqs, s3 = (stranger.client(name, endpoint_url=stack.cloud.endpoint_url) for name in ("sns", "sqs", "s3"))
    topics = stack.mismatch_topic_arn, stack.outputs["OperationsTopicArn"]
    queues = stack.inbox_queue_url, stack.alerts_queue_url, stack.dead_letters_url
    tried = [
        *(partial(sns.publish, TopicArn=topic, Message="forged") for topic in topics),
        *(partial(sns.subscribe, TopicArn=topic, Protocol="email", Endpoint="a@example.com") for topic in topics),
        *(partial(sqs.send_message, QueueUrl=queue, MessageBody="{}") for queue in queues),
        *(partial(sqs.receive_message, QueueUrl=queue, VisibilityTimeout=0) for queue in queues),
        partial(s3.put_object, Bucket=stack.inbox_bucket, Key="folder/"),
        partial(s3.list_objects_v2, Bucket=stack.inbox_bucket),
    ]
    assert [attempt for attempt in tried if is_let_through(attempt)] == []
